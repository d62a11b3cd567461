"""What rules found, and what of it is wanted."""

"""What a message is made of, and what is wrong with it."""

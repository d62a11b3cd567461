"""Cut bytes into lines, replies and mail data."""

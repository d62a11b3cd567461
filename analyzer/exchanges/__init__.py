"""Commands with their replies, and the state on either side."""

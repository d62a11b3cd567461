"""Find the connections of a capture, and follow each of them."""

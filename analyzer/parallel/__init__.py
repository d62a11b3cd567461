"""One audit in several processes."""

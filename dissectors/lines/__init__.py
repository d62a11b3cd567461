"""Command lines and replies, read and judged."""

"""Parsers of command lines and replies, with their deviations from the grammar."""

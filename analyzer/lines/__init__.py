"""Bytes as lines, replies and mail data."""

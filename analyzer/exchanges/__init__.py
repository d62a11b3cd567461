"""Exchanges: commands with their replies, and the session state of both sides."""

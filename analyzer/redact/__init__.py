"""Hides secrets and, if asked, people's names before any writer sees a connection."""

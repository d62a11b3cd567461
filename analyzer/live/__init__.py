"""Watching interfaces and growing directories: frames as they come, findings as soon as they are known."""

"""Frames as TCP segments."""

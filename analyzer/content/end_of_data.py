"""The old place of `Content`."""

from .message import Content

__all__ = ["Content"]

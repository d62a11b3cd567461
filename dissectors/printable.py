"""Bytes from the wire as text that is safe to show.

Every writer and every report field uses this function: ASCII is kept, all other bytes and all control characters become
``\\xNN``. So the result cannot move a cursor, ring a bell or change the text direction.
"""

from __future__ import annotations

import re

__all__ = ["printable"]

_UNSAFE = re.compile(rb"[^ -~]")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\x%02x" % match[0][0]


def printable(data: bytes) -> str:
    """Return ``data`` as text: printable ASCII is kept, each other byte (controls too) becomes ``\\xNN``."""
    text = data.decode("latin-1")
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escape, data).decode("ascii")

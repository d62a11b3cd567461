"""Bytes from the wire as text that is safe to show.

Every writer and every report field uses this function: ASCII is kept, all other bytes and all control characters become
``\\xNN``. So the result cannot move a cursor, ring a bell or change the text direction.
"""

from __future__ import annotations

import re

__all__ = ["printable", "whole_words"]

_UNSAFE = re.compile(rb"[^ -~]")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\x%02x" % match[0][0]


def printable(data: bytes) -> str:
    """Return ``data`` as text: printable ASCII is kept, each other byte (controls too) becomes ``\\xNN``."""
    text = data.decode("latin-1")
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escape, data).decode("ascii")


def whole_words(text: bytes, most: int) -> bytes:
    """Return at most ``most`` bytes of the start of ``text``, up to the end of a word. What repeats a secret is hidden
    later, and a part of it would not be found."""
    if len(text) <= most:
        return text
    head = text[: most + 1]
    return head[: max(head.rfind(b" "), head.rfind(b"\t"), head.rfind(b"\r"), head.rfind(b"\n"), 0)]

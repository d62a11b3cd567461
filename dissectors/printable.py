"""Bytes from the wire as text that is safe to show.

Every writer and every report field goes through here: ASCII as it is, all other bytes and all control characters as
``\\xNN``. Nothing that comes out can move a cursor, ring a bell or change its reading direction.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["printable"]

_UNSAFE = re.compile(rb"[^ -~]")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\x%02x" % match[0][0]


def printable(data: bytes) -> str:
    """Text of ``data``: printable ASCII kept, each other byte (controls too) as ``\\xNN``."""
    if len(data) <= 64:
        return _short(data)
    return _UNSAFE.sub(_escape, data).decode("ascii")


@lru_cache(maxsize=4096)
def _short(data: bytes) -> str:
    return _UNSAFE.sub(_escape, data).decode("ascii")

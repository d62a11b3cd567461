"""Collect the header section of a message, up to its empty line."""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter

__all__ = ["HeaderSection"]

_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")  # with the end of the line before it (RFC 5322 §2.1)


class HeaderSection:
    """Takes the octets of a message as stored, until the header section is over.

    ``octets``: the section so far, without the empty line; at most ``limit`` of them, 0 means no limit. ``cut``: it was
    longer. ``ends_in_crlf``: its last line does, and the empty line was seen.
    """

    __slots__ = ("_limit", "_places", "cut", "ends_in_crlf", "octets")

    def __init__(self, limit: int) -> None:
        self.octets: bytes | bytearray = b""
        self.cut = False
        self.ends_in_crlf = False
        self._limit = limit
        self._places: list[tuple[int, int, int, int]] = []  # octets before a block, and its place

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return len(self.octets) + 32 * len(self._places)

    def take(self, stored: bytes, place: tuple[int, int, int], *, clean: bool) -> int:
        """Take the next octets. ``place``: their offset in the client's stream, frame and time; ``clean``: all line
        ends in them are CRLF. Returns how many of them belong to the section with its empty line; -1 if it continues.
        """
        known = len(self.octets)
        self._places.append((known, *place))
        section: bytes | bytearray = stored
        if known:
            section = self.octets = self.octets if isinstance(self.octets, bytearray) else bytearray(self.octets)
            section += stored
        if known == 0 and section[:2] == b"\r\n":
            end, after = 0, 2
        elif clean and known == 0:
            end = section.find(b"\r\n\r\n")
            after = end + 4
            self.ends_in_crlf = end >= 0
        else:
            found = _EMPTY_LINE.search(section, max(0, known - 4))
            end, after = found.span() if found else (-1, -1)
            self.ends_in_crlf = found is not None and found[0].startswith(b"\r")
        if end >= 0:
            self.octets = bytes(section[:end])
            return after - known
        if len(section) > self._limit > 0:
            section = bytes(section[: self._limit])
            self.cut = True
        self.octets = section
        return -1

    def place(self, at: int) -> tuple[int, int, int] | None:
        """Return offset, frame and time of octet ``at``; None if no octet has come."""
        if not self._places:
            return None
        known, offset, frame, time_ns = self._places[max(0, bisect_right(self._places, at, key=_octets) - 1)]
        return offset + at - known, frame, time_ns


_octets = itemgetter(0)

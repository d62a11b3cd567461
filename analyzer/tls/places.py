"""Where the octets inside TLS stand in the TCP stream: the record of each."""

# Theory
# ------
# What is inside TLS has offsets of its own, which count plaintext. The conversation uses them as it uses offsets of the
# TCP stream: it compares them, and counts with them. So that they cannot be mixed up, offsets inside TLS begin far
# above those of any TCP stream, at another number for each side (`INSIDE`), and the report turns them into the offset
# of the record and the place in the plaintext (`shown_place`).

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from ..limits import TLS_PLACES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .facts import Side

__all__ = ["INSIDE", "RecordPlaces", "shown_place"]

_CLIENT, _SERVER = 1 << 56, 1 << 57
INSIDE: dict[Side, int] = {"client": _CLIENT, "server": _SERVER}
"""The first offset inside TLS of each side."""


class RecordPlaces:
    """The records of one side with octets inside. ``size``: octets inside so far; ``lost``: of these, such that could
    not be read, because ``missing`` bytes of the stream are not in the capture, or not authentic. ``exact``: all places
    are known; if there were too many records, every other one was forgotten, and the place of the one before it is
    given."""

    __slots__ = ("_ends", "_gaps", "_starts", "_texts", "exact", "lost", "missing", "size")

    def __init__(self) -> None:
        self._texts = array("Q")  # octets inside before each record
        self._starts = array("Q")  # its offset in the TCP stream
        self._ends = array("Q")
        self._gaps: dict[int, tuple[int, int]] = {}
        self.size = self.lost = self.missing = 0
        self.exact = True

    def add(self, length: int, start: int, end: int) -> None:
        """Add a record from ``start`` to ``end`` of the TCP stream with ``length`` octets inside."""
        if len(self._texts) >= TLS_PLACES:
            self._texts, self._starts, self._ends = self._texts[::2], self._starts[::2], self._ends[::2]
            self.exact = False
        self._texts.append(self.size)
        self._starts.append(start)
        self._ends.append(end)
        self.size += length

    def add_gap(self, length: int, start: int, missing: int) -> None:
        """Add ``length`` missing octets; in the TCP stream they are ``missing`` bytes at ``start``."""
        self.lost += length
        self.missing += missing
        if missing and len(self._gaps) < TLS_PLACES:
            self._gaps[self.size] = start, missing
        self.add(length, start, start + missing)

    def gap_at(self, inside: int) -> tuple[int, int] | None:
        """Return the offset and the length in the TCP stream of the gap at ``inside``."""
        return self._gaps.get(inside)

    def record_of(self, inside: int) -> int:
        """Return the offset of the record that holds the octet at ``inside``."""
        at = bisect_right(self._texts, inside) - 1
        return self._starts[at] if at >= 0 else 0

    def seen(self, offset: int) -> int:
        """Return how many octets inside have arrived with the first ``offset`` bytes of the TCP stream."""
        if self._ends and offset >= self._ends[-1]:
            return self.size
        at = bisect_left(self._starts, offset) - 1
        if at < 0:
            return 0
        whole = self._ends[at] <= offset
        return self._texts[at + 1] if whole else self._texts[at]


def shown_place(places: Mapping[Side, RecordPlaces], offset: int) -> tuple[int, int | None]:
    """Return the offset in the TCP stream that the report gives for ``offset``, and the place inside TLS, None if it is
    outside."""
    if offset < _CLIENT:
        return offset, None
    side: Side = "server" if offset >= _SERVER else "client"
    inside = offset - INSIDE[side]
    return places[side].record_of(inside), inside

"""Count the lines of BDAT chunks that begin with a dot: are all of them doubled, as if chunks had dot-stuffing?"""

# RFC 3030 §2: the octets of chunks are stored as they are. Whole blocks are counted by bytes.count(), and nothing more
# is counted after the first line with a single dot.

from __future__ import annotations

from typing import TYPE_CHECKING

from .line_lengths import Occurrence

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ChunkDots"]

_STARTS = (b"\r\n..", b"\r\n.", b"\r\n", b"\r")  # what the next block may show to be the start of a dotted line


class ChunkDots:
    """Takes the octets of all chunks of a message."""

    __slots__ = ("_doubled", "_held", "_more", "_single", "first")

    def __init__(self) -> None:
        self.first: tuple[int, int, int] | None = None  # offset, frame and time of the first doubled dot
        self._held = b"\r\n"  # the end of the last block, not yet counted; a message starts like a line
        self._single = False  # there is a line with one dot
        self._doubled = 0  # lines that begin with two dots or more
        self._more = 0  # with three or more

    def feed(self, block: bytes, position: int, where: Callable[[int], tuple[int, int]]) -> None:
        """Take the next octets, at ``position`` of the client's stream. ``where`` returns frame and time of an offset
        in it."""
        if self._single:
            return
        held = self._held
        if b"." not in block and b"." not in held:  # many encoded bodies have none
            self._held = b"\r\n" if (held + block[-2:]).endswith(b"\r\n") else b"\r" if block.endswith(b"\r") else b""
            return
        if held:
            block = held + block
            position -= len(held)
        self._held = b""
        if block.endswith(_STARTS):
            self._held = next(start for start in _STARTS if block.endswith(start))
        end = len(block) - len(self._held)
        if block.rfind(b"\r\n.", 0, end) < 0:  # faster than count()
            return
        lines = block.count(b"\r\n.", 0, end)
        doubled = block.count(b"\r\n..", 0, end)
        self._single = lines > doubled
        if doubled and self.first is None:
            place = position + block.find(b"\r\n..", 0, end) + 2
            self.first = (place, *where(place))
        self._doubled += doubled
        self._more += block.count(b"\r\n...", 0, end)

    def stuffed(self) -> Occurrence | None:
        """Return the first doubled dot with the number of such lines, if all dotted lines have one, and stuffing is the
        only explanation: there are at least two, and one of them has no third dot. The message is complete."""
        doubled = self._doubled + (self._held == b"\r\n..")
        if self._single or self._held == b"\r\n." or doubled < 2 or doubled == self._more or self.first is None:
            return None
        return Occurrence(*self.first, doubled)

"""Measure the lines of mail data, at the speed of the blocks they come in."""

# A line that is too long is a range of a thousand bytes without a line end. So the search goes in steps of the maximum
# length and calls rfind() once for each step: one call for a thousand bytes, even if the lines are short.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_TEXT_LINE", "LineMeter", "Occurrence"]

MAX_TEXT_LINE = 1000  # octets of a line with its CRLF, without the stuffed dot (RFC 5321 §4.5.3.1.6)


class Occurrence(Struct):
    """The first occurrence of something in the content, and the number of them. ``offset``: in the client's stream."""

    offset: int
    frame: int
    time_ns: int
    count: int


class LineMeter:
    """Takes mail data as sent. ``first``: the first line that is too long, with the number of such lines; ``longest``:
    octets of the longest one. A bare LF counts as a line end here; other rules report it."""

    __slots__ = ("_dotted", "_length", "_place", "_stuffed", "first", "longest")

    def __init__(self, *, stuffed: bool) -> None:
        """``stuffed``: a dot at the start of a line is not stored (RFC 5321 §4.5.2)."""
        self.first: Occurrence | None = None
        self.longest = 0
        self._stuffed = stuffed
        self._length = 0  # octets of the unfinished line
        self._dotted = False  # it starts with a dot
        self._place = (0, 0)  # frame and time of its start

    def feed(self, block: bytes, position: int, where: Callable[[int], tuple[int, int]]) -> None:
        """Take the next bytes. ``position``: their offset in the client's stream. ``where`` returns frame and time of
        an offset in them, or a few bytes before."""
        total = len(block)
        rfind = block.rfind
        start, known = -self._length, 0  # start of the current line, and its first byte in this block
        reach = start + MAX_TEXT_LINE
        while reach < total:
            end = rfind(b"\n", known, reach) if reach > 0 else -1
            if end < 0:
                end = block.find(b"\n", max(reach, 0))
                length = (total if end < 0 else end + 1) - start
                dotted = self._dotted if start < 0 else block[start] == 0x2E
                if self._stuffed and dotted:
                    length -= 1
                if length > MAX_TEXT_LINE:
                    self._too_long(start, length, position, where)
                if end < 0:
                    break
            start = known = end + 1
            reach = start + MAX_TEXT_LINE
        last = block.rfind(b"\n")
        if last < 0:
            if not self._length:
                self._dotted, self._place = block[:1] == b".", where(position)
            self._length += total
        else:
            self._length = total - 1 - last
            self._dotted = block[last + 1 : last + 2] == b"."
            if self._length:
                self._place = where(position + last + 1)

    def _too_long(self, start: int, length: int, position: int, where: Callable[[int], tuple[int, int]]) -> None:
        """Note a line of at least ``length`` octets that starts ``start`` octets into the block."""
        self.longest = max(self.longest, length)
        if self.first is None:
            frame, time_ns = self._place if start < 0 else where(position + start)
            self.first = Occurrence(position + start, frame, time_ns, 1)
        elif -start <= MAX_TEXT_LINE:  # otherwise it was counted when it became too long
            self.first.count += 1

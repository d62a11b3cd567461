"""The start of a line whose end has not come, of either side."""

# A line may come byte by byte, and be taken off in parts from its front. So it is one buffer that grows at its end and
# shrinks at its front, and no byte of it is copied again for those that come later.

from __future__ import annotations

from typing import Protocol

from ..streams.stream import PIECE

__all__ = ["KeepsLines", "PartialLine"]


class KeepsLines(Protocol):
    """Learns what is kept."""

    def long_line(self) -> None:
        """A line is longer than the limit: only its first bytes are kept."""

    def keeps(self, count: int) -> None:
        """``count`` more bytes are kept for later."""


class PartialLine:
    """The start of a line whose end has not come. ``kept``: its bytes, at most the limit; ``dropped``: further bytes,
    above it."""

    __slots__ = ("_without_lf", "dropped", "ends_in_cr", "frame", "kept", "offset", "resumed", "time_ns")

    def __init__(self, offset: int, frame: int, time_ns: int) -> None:
        self.kept = bytearray()
        self._without_lf = 0  # bytes in which there is no LF
        self.dropped = 0
        self.ends_in_cr = False
        self.resumed = 0  # bytes that had come when the other side sent a line, 0: it has sent none since
        self.offset = offset
        self.frame = frame
        self.time_ns = time_ns

    @property
    def raw(self) -> bytes:
        """A copy of the bytes kept."""
        return bytes(self.kept)

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return len(self.kept)

    @property
    def first(self) -> int:
        """The first byte."""
        return self.kept[0]

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return PIECE + len(self.kept)

    def keep(self, data: bytes, limit: int, handler: KeepsLines) -> None:
        """Add bytes. Of the line at most ``limit`` are kept, 0: all; ``handler`` learns how much more is kept now."""
        self.ends_in_cr = data[-1] == 0x0D
        kept = self.kept
        if limit and len(kept) + len(data) > limit:
            first = not self.dropped
            self.dropped += len(kept) + len(data) - limit
            data = data[: limit - len(kept)]
            if first:
                handler.long_line()
        if data:
            handler.keeps(len(data) if kept else len(data) + PIECE)
            kept += data

    def find_lf(self) -> int:
        """Return the place of the first LF in the bytes kept, -1 if there is none."""
        at = self.kept.find(b"\n", self._without_lf)
        self._without_lf = len(self.kept) if at < 0 else at
        return at

    def cut(self, size: int) -> None:
        """Drop all bytes after the first ``size``."""
        del self.kept[size:]
        self._without_lf = min(self._without_lf, size)
        self.dropped = 0
        self.ends_in_cr = self.kept.endswith(b"\r")
        self.resumed = min(self.resumed, size)

    def take(self, size: int) -> bytes:
        """Take the first ``size`` bytes off: another line starts after them."""
        taken = bytes(self.kept[:size])
        del self.kept[:size]
        self._without_lf = max(0, self._without_lf - size)
        self.offset += size
        self.resumed = 0
        return taken

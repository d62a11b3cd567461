"""The start of a line whose end has not come, of either side."""

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
    """The start of a line whose end has not come. ``size``: bytes kept; ``dropped``: further bytes, above the limit."""

    __slots__ = ("_parts", "dropped", "ends_in_cr", "frame", "offset", "resumed", "size", "time_ns")

    def __init__(self, offset: int, frame: int, time_ns: int) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self.dropped = 0
        self.ends_in_cr = False
        self.resumed = 0  # bytes that had come when the other side sent a line, 0: it has sent none since
        self.offset = offset
        self.frame = frame
        self.time_ns = time_ns

    @property
    def raw(self) -> bytes:
        """The bytes kept."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    @property
    def first(self) -> int:
        """The first byte."""
        return self._parts[0][0]

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return self.size + PIECE * len(self._parts)

    def keep(self, data: bytes, limit: int, handler: KeepsLines) -> None:
        """Add bytes. Of the line at most ``limit`` are kept, 0: all; ``handler`` learns how much more is kept now."""
        self.ends_in_cr = data[-1] == 0x0D
        if limit and self.size + len(data) > limit:
            first = not self.dropped
            self.dropped += self.size + len(data) - limit
            data = data[: limit - self.size]
            if first:
                handler.long_line()
        if data:
            self._parts.append(data)
            self.size += len(data)
            handler.keeps(len(data) + PIECE)

    def cut(self, size: int) -> None:
        """Drop all bytes after the first ``size``."""
        raw = self.raw[:size]
        self._parts, self.size, self.dropped = [raw], len(raw), 0
        self.ends_in_cr = raw.endswith(b"\r")
        self.resumed = min(self.resumed, self.size)

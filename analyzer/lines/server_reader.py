"""Cut the bytes of the server into whole replies (RFC 5321 §4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from ...dissectors.lines.replies import Reply, begins_reply, parse_reply
from ..streams.stream import PIECE

if TYPE_CHECKING:
    from ..limits import Limits

__all__ = ["ServerHandler", "ServerReader"]


class ServerHandler(Protocol):
    """Receives what was read. Offsets are in the server's stream."""

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        """One whole reply with any number of lines."""

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """A line that is not a reply and does not belong to one."""

    def tls_begins(self, side: Literal["client", "server"], offset: int, frame: int, time_ns: int) -> None:
        """There is a TLS record where a line should start."""

    def long_line(self) -> None:
        """A line is longer than the limit: only its first bytes will be reported."""

    def long_reply(self) -> None:
        """A reply is longer than the limit: it counts as ended."""

    def keeps(self, count: int) -> None:
        """``count`` more bytes are kept for later."""


class ServerReader:
    """Takes the server's stream in order and calls ``handler`` for everything it reads.

    Unlike the client's lines, a line of the server also ends at a bare LF: clients accept that and continue.
    """

    __slots__ = (
        "_frame",
        "_handler",
        "_limits",
        "_lines",
        "_offset",
        "_overlong",
        "_partial",
        "_parts",
        "_size",
        "_time_ns",
        "after_gap",
        "expect_tls",
        "opaque",
    )

    def __init__(self, handler: ServerHandler, limits: Limits) -> None:
        self.opaque = False
        self.expect_tls = False
        self.after_gap = False
        self._handler = handler
        self._limits = limits
        self._lines: list[bytes] = []  # lines of an unfinished reply
        self._parts: list[bytes] = []  # the start of a line
        self._partial = 0  # bytes in _parts
        self._size = 0  # bytes in _lines
        self._overlong = False  # a reply was ended because of its length, and no line with a code has come since
        self._offset = 0  # where the reply, or else the line, starts
        self._frame = 0
        self._time_ns = 0

    @property
    def unfinished(self) -> bool:
        """Whether a reply has started and stops, for now, after a line that announces another."""
        return bool(self._lines) and not self._parts

    @property
    def mid_line(self) -> bool:
        """Whether the end of a line has not come."""
        return bool(self._parts)

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return self._size + self._partial + PIECE * (len(self._lines) + len(self._parts))

    @property
    def incomplete_reply(self) -> tuple[bytes, int, int, int] | None:
        """A reply with at least one line but without its last line: its bytes, offset, frame and time."""
        return (b"".join(self._lines), self._offset, self._frame, self._time_ns) if self._lines else None

    def feed(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Take the next bytes of the stream."""
        if self.opaque:
            return
        if not self._parts and not self._lines:
            if data[0] < 0x18 and self._is_tls(data, offset, frame, time_ns):
                return
            # The usual case: one whole reply of one line.
            if data.endswith(b"\n") and data[3:4] == b" " and data.count(b"\n") == 1 and begins_reply(data):
                self.after_gap = self._overlong = False
                self._handler.reply(parse_reply(data), offset, offset + len(data), frame, time_ns)
                return
        start = 0
        while True:
            end = data.find(b"\n", start) + 1
            if not end:
                break
            if self._parts:
                line = b"".join(self._parts) + data[start:end]
                self._parts, self._partial = [], 0
            else:
                line = data[start:end]
                if not self._lines:
                    self._offset, self._frame, self._time_ns = offset + start, frame, time_ns
            start = end
            self._take_line(line, offset + end)
            if self.opaque:
                return
            binary = start < len(data) and data[start] < 0x18 and not self._lines
            if binary and self._is_tls(data[start:], offset + start, frame, time_ns):
                return
        if start < len(data):
            self._keep_partial(data[start:] if start else data, offset + start, frame, time_ns)

    def count_ends(self, data: bytes) -> int:
        """Return how many replies would end in ``data`` if it came next."""
        lines = (b"".join(self._parts) + data).split(b"\n")[:-1]
        return sum(begins_reply(line + b"\n") and line[3:4] != b"-" for line in lines)

    def gap(self) -> None:
        """Bytes are missing here: drop an unfinished line and reply."""
        self._lines = []
        self._parts = []
        self._partial = self._size = 0
        self.after_gap = True

    def end_unfinished(self) -> bool:
        """Deliver the unfinished reply as a whole one, because the client went on as if it were. False: not a reply."""
        line = b"".join(self._parts)
        raw = b"".join(self._lines) + line
        if not begins_reply(raw):
            return False
        offset, frame, time_ns = self._offset, self._frame, self._time_ns
        self._lines, self._parts, self._partial, self._size = [], [], 0, 0
        self._handler.reply(parse_reply(raw), offset, offset + len(raw), frame, time_ns)
        return True

    def _take_line(self, line: bytes, end: int) -> None:
        if begins_reply(line):
            self.after_gap = self._overlong = False
            self._lines.append(line)
            self._size += len(line)
            if line[3:4] == b"-" and not self._reply_too_long():
                self._handler.keeps(len(line) + PIECE)
                return
            raw = b"".join(self._lines) if len(self._lines) > 1 else line
            self._lines, self._size = [], 0
            self._handler.reply(parse_reply(raw), self._offset, end, self._frame, self._time_ns)
        elif self.after_gap or self._overlong:
            return  # the rest of a line whose beginning was lost, or of a reply that was too long
        elif self._lines:
            self._lines.append(line)
            self._size += len(line)
            self._handler.keeps(len(line) + PIECE)
            if self._reply_too_long():
                self._overlong = True
                self.end_unfinished()
        else:
            self._handler.malformed(line, self._offset, self._frame, self._time_ns)

    def _reply_too_long(self) -> bool:
        """Return whether the reply has become too long to wait for its end."""
        if not self._size > self._limits.reply_bytes > 0:
            return False
        self._handler.long_reply()
        return True

    def _keep_partial(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        if not self._parts and not self._lines:
            self._offset, self._frame, self._time_ns = offset, frame, time_ns
        limit = self._limits.line_bytes
        if limit and self._partial + len(data) > limit:
            self._handler.long_line()
            data = data[: max(0, limit - self._partial)]  # only the first bytes are judged
        if data:
            self._parts.append(data)
            self._partial += len(data)
            self._handler.keeps(len(data) + PIECE)

    def _is_tls(self, data: bytes, offset: int, frame: int, time_ns: int) -> bool:
        if not (0x14 <= data[0] <= 0x17 and (data[1:2] == b"\x03" or (self.expect_tls and len(data) == 1))):
            return False
        self.opaque = True
        self._handler.tls_begins("server", offset, frame, time_ns)
        return True

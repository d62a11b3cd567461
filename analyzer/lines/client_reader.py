"""Cut the bytes of the client into command lines, lines of an AUTH exchange, mail data and BDAT chunks."""

# Theory
# ------
# The meaning of a client's byte depends on the server's reply: after DATA it is mail data if the reply is 354, and a
# command otherwise. So after DATA, AUTH, STARTTLS and a BDAT that does not parse, the bytes are held, with their
# frames, until the reply is known. If no reply can come (one direction captured, connection over), the conversation
# assumes the likely one.
#
# Only CRLF ends a line (RFC 5321 §2.3.8). A bare LF is part of its line, unless an answer of the server shows that it
# accepted the LF as the end. Then the conversation calls `cut_bare`.

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, Protocol

from ..streams.stream import PIECE

if TYPE_CHECKING:
    from ..content.end_of_data import Content
    from ..limits import Limits

__all__ = ["ClientHandler", "ClientReader", "Mode"]


class Mode(IntEnum):
    """What the next byte of the client is."""

    COMMAND = 0
    ANSWER = 1  # a line of an AUTH exchange: the answer to a 334
    CONTENT = 2  # mail data up to CRLF.CRLF
    CHUNK = 3  # octets of a BDAT chunk
    HOLD = 4  # depends on a reply that has not come
    TLS_EXPECTED = 5  # after 220 to STARTTLS: a handshake, or else commands
    OPAQUE = 6  # encrypted, or impossible to decode from here on


class ClientHandler(Protocol):
    """Receives what was read. Offsets are in the client's stream; ``seen`` is in the server's stream, -1 if unknown."""

    def command_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line where a command is expected. ``end``: its line end; ``length``: bytes of the line with its end."""

    def answer_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line that answers a 334."""

    def content_end(self, content: Content, seen: int) -> None:
        """The end mark of the mail data was read."""

    def chunk_end(self, seen: int) -> None:
        """The last octet of a BDAT chunk was read."""

    def tls_begins(self, side: Literal["client", "server"], offset: int, frame: int, time_ns: int) -> None:
        """There is a TLS record where a line should start."""

    def no_tls(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """There is plain text where the TLS handshake was expected."""

    def undecided(self) -> None:
        """Too many bytes are held: assume the expected reply."""

    def long_line(self) -> None:
        """A line is longer than the limit: only its first bytes will be reported."""

    def keeps(self, count: int) -> None:
        """``count`` more bytes are kept for later."""


class ClientReader:
    """Takes the client's stream in order and calls ``handler`` for everything it reads."""

    __slots__ = (
        "_cr",
        "_dropped",
        "_frame",
        "_handler",
        "_held",
        "_held_bytes",
        "_limits",
        "_offset",
        "_parts",
        "_size",
        "_time_ns",
        "chunk_left",
        "content",
        "mode",
        "position",
    )

    def __init__(self, handler: ClientHandler, limits: Limits) -> None:
        self.mode = Mode.COMMAND
        self.content: Content | None = None
        self.chunk_left = 0
        self.position = 0  # offset after the last byte that came
        self._handler = handler
        self._limits = limits
        self._parts: list[bytes] = []  # the start of a line without an end so far
        self._size = 0
        self._dropped = 0  # bytes of that line above the limit
        self._cr = False  # the last byte of that line so far is CR
        self._offset = 0  # where that line starts
        self._frame = 0
        self._time_ns = 0
        self._held: deque[tuple[bytes, int, int, int, int]] = deque()
        self._held_bytes = 0

    @property
    def partial(self) -> bytes:
        """The start of a line whose end has not come."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    @property
    def held(self) -> bytes:
        """The first bytes that wait for a reply, at most one segment."""
        return self._held[0][0] if self._held else b""

    @property
    def held_size(self) -> int:
        """Number of bytes that wait for a reply."""
        return self._held_bytes

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        pieces = len(self._held) + len(self._parts)
        own = self._held_bytes + self._size + PIECE * pieces
        return own if self.content is None else own + self.content.weight

    @property
    def held_place(self) -> tuple[int, int, int]:
        """Offset, frame and time of the first byte that waits."""
        return self._held[0][1:4] if self._held else (0, 0, 0)

    @property
    def unfinished(self) -> tuple[int, int, int, int]:
        """Length, offset, frame and time of the line whose end has not come."""
        return self._size + self._dropped, self._offset, self._frame, self._time_ns

    @property
    def held_seen(self) -> int:
        """How many bytes of the server the client had seen when it sent the first waiting byte, -1 if unknown."""
        return self._held[0][4] if self._held else -1

    def feed(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """Take the next bytes of the stream."""
        self.position = offset + len(data)
        while data:
            mode = self.mode
            if mode <= Mode.ANSWER:
                used = self._read_lines(data, offset, frame, time_ns, seen)
            elif mode is Mode.CONTENT:
                assert self.content is not None
                used = self.content.feed(data, frame, time_ns)
                if used < 0:
                    if self.content.in_header:
                        self._handler.keeps(len(data))
                    return
                content, self.content, self.mode = self.content, None, Mode.COMMAND
                self._handler.content_end(content, seen)
            elif mode is Mode.CHUNK:
                used = self._read_chunk(data, offset, frame, time_ns, seen)
            elif mode is Mode.HOLD:
                self._hold(data, offset, frame, time_ns, seen)
                return
            elif mode is Mode.TLS_EXPECTED:
                if data[0] in _TLS_FIRST:
                    self.mode = Mode.OPAQUE
                    self._handler.tls_begins("client", offset, frame, time_ns)
                    return
                self.mode = Mode.COMMAND
                self._handler.no_tls(data, offset, frame, time_ns)
                used = 0
            else:
                return
            data = data[used:]
            offset += used

    def gap(self, length: int) -> None:
        """``length`` bytes are missing here. Mail data and chunks continue after them, a line does not."""
        self._forget_line()
        self.position += length
        if self.content is not None and self.mode is Mode.CONTENT:
            self.content.lose(length)
        elif self.mode is Mode.CHUNK:
            lost = min(length, self.chunk_left)
            if self.content is not None:
                self.content.lose(lost)
            self.chunk_left -= lost
            if not self.chunk_left:
                self.mode = Mode.COMMAND
                self._handler.chunk_end(-1)

    def release(self, mode: Mode) -> None:
        """Continue in ``mode`` with the held bytes, because the reply is known."""
        self.mode = mode
        held, self._held = self._held, deque()
        size, self._held_bytes = self._held_bytes, 0
        while held:
            chunk = held.popleft()
            size -= len(chunk[0])
            self.feed(*chunk)
            if self.mode is Mode.HOLD:  # there was another such command in the held bytes
                held.extendleft(reversed(self._held))
                self._held = held
                self._held_bytes += size
                return

    def discard_held(self) -> int:
        """Drop the held bytes (injected before TLS). Returns how many there were."""
        count = self._held_bytes
        self._held.clear()
        self._held_bytes = 0
        return count

    def cut_bare(self, *, verbs: bool = False) -> bool:
        """End the unfinished line at its first bare LF, or at a bare CR that is its last byte. False if it has neither.

        ``verbs``: cut only at a bare LF. For lines that must be commands; do not use it on mail data.
        """
        line = self.partial
        at = line.find(b"\n")
        if at < 0:
            at = len(line) - 1 if line.endswith(b"\r") and len(line) > 1 and not verbs else -1
        if at < 0 or not line[:at].strip(b"\r\n"):
            return False
        offset, frame, time_ns, mode = self._offset, self._frame, self._time_ns, self.mode
        self._forget_line()
        rest = line[at + 1 :]
        self._emit(mode, line[:at], line[at : at + 1], offset, at + 1, frame, time_ns, -1)
        if rest:
            self.feed(rest, offset + at + 1, frame, time_ns, -1)
        return True

    def end_content_early(self) -> Content:
        """End the content at a look-alike, as the server did. The bytes after it are read as commands."""
        content = self.content
        assert content is not None
        self.content, self.mode = None, Mode.COMMAND
        return content

    # -- pieces ----------------------------------------------------------------------------------------------------

    def _read_lines(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
        """Read lines until the mode changes. Returns how many bytes were used."""
        start = 0
        total = len(data)
        mode = self.mode
        while start < total:
            parts = self._parts
            first = parts[0][0] if parts else data[start]
            if first == _HANDSHAKE and (self.partial[:2] + data[start : start + 2])[1:2] == b"\x03":
                at = (self._offset, self._frame, self._time_ns) if parts else (offset + start, frame, time_ns)
                self._forget_line()
                self.mode = Mode.OPAQUE
                self._handler.tls_begins("client", *at)
                return total
            if self._cr and data[start] == 0x0A:
                line, stop = self.partial, start + 1
                line = line[:-1] if not self._dropped else line
            else:
                end = data.find(b"\r\n", start)
                if end < 0:
                    self._keep_partial(data[start:] if start else data, offset + start, frame, time_ns)
                    return total
                line, stop = data[start:end], end + 2
                if parts:
                    line = (self.partial + line)[: self._limits.line_bytes or None]
            if parts:
                length = self._size + self._dropped + stop - start
                at = self._offset, self._frame, self._time_ns
                self._forget_line()
                self._emit(mode, line, b"\r\n", at[0], length, at[1], at[2], seen)
            else:
                self._emit(mode, line, b"\r\n", offset + start, stop - start, frame, time_ns, seen)
            start = stop
            if self.mode is not mode:
                return start
        return total

    def _emit(
        self, mode: Mode, line: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        if mode is Mode.COMMAND:
            self._handler.command_line(line, end, offset, length, frame, time_ns, seen)
        else:
            self._handler.answer_line(line, end, offset, length, frame, time_ns, seen)

    def _read_chunk(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
        used = min(self.chunk_left, len(data))
        if self.content is not None and used:
            self.content.feed_chunk(data[:used] if used < len(data) else data, frame, time_ns)
            if self.content.in_header:
                self._handler.keeps(used)
        self.chunk_left -= used
        if not self.chunk_left:
            self.mode = Mode.COMMAND
            self._handler.chunk_end(seen)
        return used

    def _keep_partial(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Keep the start of a line whose end has not come."""
        if not self._parts:
            self._offset, self._frame, self._time_ns = offset, frame, time_ns
        self._cr = data[-1] == 0x0D
        limit = self._limits.line_bytes
        if limit and self._size + len(data) > limit:
            if not self._dropped:
                self._handler.long_line()
            self._dropped += self._size + len(data) - limit
            data = data[: limit - self._size]
        if data:
            self._parts.append(data)
            self._size += len(data)
            self._handler.keeps(len(data) + PIECE)

    def _forget_line(self) -> None:
        self._parts = []
        self._size = self._dropped = 0
        self._cr = False

    def _hold(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._held.append((data, offset, frame, time_ns, seen))
        self._held_bytes += len(data)
        self._handler.keeps(len(data) + PIECE)
        if self._held_bytes > self._limits.undecided_bytes > 0:
            self._handler.undecided()


_HANDSHAKE = 0x16  # RFC 8446 §5.1: the record type that starts a TLS connection
_TLS_FIRST = frozenset({0x14, 0x15, 0x16, 0x17, 0x80})  # record types of RFC 8446 §5.1; 0x80: an SSLv2-style hello

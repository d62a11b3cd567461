"""The client's bytes, cut into what they are: command lines, lines of an AUTH exchange, mail data, BDAT chunks."""

# Theory
# ------
# What a client's byte means depends on what the server has said: after DATA it is mail data if the reply is 354 and a
# command otherwise. So behind DATA, AUTH, STARTTLS and a BDAT that does not parse the bytes are held, with the frames
# they came in, until the reply is known. Where no reply can come (one direction captured, connection over), the
# conversation presumes the likely one.
#
# Only CRLF ends a line (RFC 5321 §2.3.8). A bare LF stays inside its line, unless the server shows by answering that it
# took it for the end; then the conversation asks for the cut (`cut_bare`).

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, Protocol

from ..streams.stream import PIECE

if TYPE_CHECKING:
    from ..content.mail_data import Content
    from ..limits import Limits

__all__ = ["ClientHandler", "ClientReader", "Mode"]


class Mode(IntEnum):
    """What the next byte of the client is."""

    COMMAND = 0
    ANSWER = 1  # a line of an AUTH exchange
    CONTENT = 2  # mail data up to CRLF.CRLF
    CHUNK = 3  # octets of a BDAT chunk
    HOLD = 4  # only a reply can tell
    TLS_EXPECTED = 5  # after 220 to STARTTLS: a handshake, or else commands
    OPAQUE = 6  # encrypted or undecodable from here


class ClientHandler(Protocol):
    """Who is told what was read. Offsets are of the client's stream; ``seen`` of the server's, -1 unknown."""

    def command_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line in command position; ``end`` is what ended it, ``length`` counts it all."""

    def answer_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line that answers a 334."""

    def content_end(self, content: Content, seen: int) -> None:
        """The end mark of mail data was read."""

    def chunk_end(self, seen: int) -> None:
        """The last octet of a BDAT chunk was read."""

    def tls_begins(self, side: Literal["client", "server"], offset: int, frame: int, time_ns: int) -> None:
        """A TLS record stands where a line should begin."""

    def no_tls(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Plain text stands where the TLS handshake was due."""

    def undecided(self) -> None:
        """Too much is held: presume the reply that is due."""

    def long_line(self) -> None:
        """A line is longer than the limit: only its first bytes will be told."""

    def keeps(self, count: int) -> None:
        """So many bytes are kept for later."""


class ClientReader:
    """Feed it the client's stream in order; it tells ``handler`` what it read."""

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
        self.position = 0  # offset behind everything that came
        self._handler = handler
        self._limits = limits
        self._parts: list[bytes] = []  # the beginning of a line whose end has not come
        self._size = 0
        self._dropped = 0  # bytes of that line beyond the limit
        self._cr = False  # its last byte so far is CR
        self._offset = 0  # where that line begins
        self._frame = 0
        self._time_ns = 0
        self._held: deque[tuple[bytes, int, int, int, int]] = deque()
        self._held_bytes = 0

    @property
    def partial(self) -> bytes:
        """The beginning of a line whose end has not come."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""

    @property
    def held(self) -> bytes:
        """The first bytes that wait for a reply, at most a segment's worth."""
        return self._held[0][0] if self._held else b""

    @property
    def held_size(self) -> int:
        """How many bytes wait for a reply."""
        return self._held_bytes

    @property
    def weight(self) -> int:
        """Bytes that are kept, about."""
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
        """How many bytes of the server the client had seen when it sent the first of them, -1: unknown."""
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
        """``length`` bytes are missing here. Mail data and chunks go on behind them, a line does not."""
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
        """The reply is known: go on in ``mode`` with what was held."""
        self.mode = mode
        held, self._held = self._held, deque()
        size, self._held_bytes = self._held_bytes, 0
        while held:
            chunk = held.popleft()
            size -= len(chunk[0])
            self.feed(*chunk)
            if self.mode is Mode.HOLD:  # the held bytes held another such command
                held.extendleft(reversed(self._held))
                self._held = held
                self._held_bytes += size
                return

    def discard_held(self) -> int:
        """Throw away what is held (injected before TLS); return how many bytes."""
        count = self._held_bytes
        self._held.clear()
        self._held_bytes = 0
        return count

    def cut_bare(self, *, verbs: bool = False) -> bool:
        """End the unfinished line at its first bare LF, or at a bare CR that is its last byte. False: it has none.

        ``verbs``: only where a line in command position is meant, not to be asked for in mail data.
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
        """The server took a look-alike for the end of data: so do we; what came behind it is read as commands."""
        content = self.content
        assert content is not None
        self.content, self.mode = None, Mode.COMMAND
        return content

    # -- pieces ----------------------------------------------------------------------------------------------------

    def _read_lines(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
        """Cut lines until the mode changes; return how many bytes were used."""
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
        """Remember the beginning of a line, its end has not come."""
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


_HANDSHAKE = 0x16  # RFC 8446 §5.1: the record type that opens a TLS connection
_TLS_FIRST = frozenset({0x14, 0x15, 0x16, 0x17, 0x80})  # record types of RFC 8446 §5.1; 0x80: an SSLv2-style hello

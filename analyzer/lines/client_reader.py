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
#
# Nothing here depends on how the bytes are divided: the start of a line waits in a `PartialLine`, which exists only
# until the end of the line comes.

from __future__ import annotations

from collections import deque
from enum import IntEnum
from itertools import takewhile
from sys import maxsize
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ..limits import BLANK_BYTES
from ..streams.stream import PIECE
from ..tls.records import RECORD_TYPES, SSL2, begins_record
from .command_line import KNOWN_LINES, LONGEST_KNOWN, CommandLine, line_of_auth, read_line, remember_line
from .partial_line import PartialLine

if TYPE_CHECKING:
    from ..content.message import Content
    from ..limits import Limits

__all__ = ["ClientHandler", "ClientReader", "HeldPiece", "Mode"]


class Mode(IntEnum):
    """What the next byte of the client is."""

    COMMAND = 0
    ANSWER = 1  # a line of an AUTH exchange: the answer to a 334
    CONTENT = 2  # mail data up to CRLF.CRLF
    CHUNK = 3  # octets of a BDAT chunk
    HOLD = 4  # depends on a reply that has not come
    TLS_EXPECTED = 5  # after 220 to STARTTLS: a handshake, or else commands
    OPAQUE = 6  # encrypted, or impossible to decode from here on
    PROXY_HEADER = 7  # in a PROXY header, what may be the start of one, or directly after it
    TLS = 8  # TLS records, which are not read here


_COMMAND, _ANSWER = Mode.COMMAND, Mode.ANSWER
_LF = 0x0A
_AFTER_TLS = RECORD_TYPES.stop  # the octets that are usual here are not below it
_TLS_FIRST = frozenset({*RECORD_TYPES, SSL2})


class ClientHandler(Protocol):
    """Receives what was read. Offsets are in the client's stream; ``seen`` is in the server's stream, -1 if unknown."""

    def command_line(self, line: CommandLine, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """A line where a command is expected."""

    def answer_line(self, line: CommandLine, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """A line that answers a 334."""

    def content_end(self, content: Content, seen: int) -> None:
        """The end mark of the mail data was read."""

    def chunk_end(self) -> None:
        """The last octet of a BDAT chunk was read."""

    def tls_begins(self, side: Literal["client", "server"], kind: int, offset: int, frame: int, time_ns: int) -> None:
        """There is a TLS record, of the type ``kind``, where a line should start."""

    def tls_records(
        self, side: Literal["client", "server"], data: bytes, offset: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """TLS records came, which are not read here."""

    def before_session(self, piece: HeldPiece) -> int:
        """Octets where a PROXY header may be, or plain text where the TLS handshake was expected. Returns how many of
        them belong to the header."""

    def undecided(self) -> None:
        """Too many bytes are held: assume the expected reply."""

    def long_line(self) -> None:
        """A line is longer than the limit: only its first bytes will be reported."""

    def keeps(self, count: int) -> None:
        """``count`` more bytes are kept for later."""


class HeldPiece(NamedTuple):
    """Bytes that wait for a reply, with their place."""

    data: bytes
    offset: int
    frame: int
    time_ns: int
    seen: int


class ClientReader:
    """Takes the client's stream in order and calls ``handler`` for everything it reads."""

    __slots__ = (
        "_handler",
        "_held",
        "_limits",
        "chunk_left",
        "content",
        "held_size",
        "mode",
        "partial_line",
        "position",
    )

    def __init__(self, handler: ClientHandler, limits: Limits) -> None:
        self.mode = Mode.COMMAND
        self.content: Content | None = None
        self.chunk_left = 0
        self.position = 0  # offset after the last byte that came
        self._handler = handler
        self._limits = limits
        self.partial_line: PartialLine | None = None  # a line whose end has not come
        self._held: deque[HeldPiece] | None = None
        self.held_size = 0  # bytes that wait for a reply

    @property
    def partial(self) -> bytes:
        """The start of a line whose end has not come."""
        return b"" if self.partial_line is None else self.partial_line.raw

    def held_after(self, seen: int) -> bytes:
        """Return the held bytes that were sent after the client had acknowledged ``seen`` bytes."""
        pieces = takewhile(lambda piece: piece.seen >= seen, reversed(self._held or ()))
        return b"".join([piece.data for piece in pieces][::-1])

    def held_end(self, size: int = maxsize) -> bytes:
        """Return the last ``size`` bytes of those that wait for a reply, or all."""
        parts: list[bytes] = []
        left = size
        for piece in reversed(self._held or ()):
            if left <= 0:
                break
            parts.append(piece.data[-left:])
            left -= len(piece.data)
        return b"".join(parts[::-1])

    @property
    def first_held(self) -> HeldPiece | None:
        """The first piece that waits for a reply."""
        return self._held[0] if self._held else None

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        held, partial = self._held, self.partial_line
        own = self.held_size + (PIECE * len(held) if held else 0)
        own += 0 if partial is None else partial.weight
        return own if self.content is None else own + self.content.weight

    @property
    def unfinished(self) -> tuple[int, int, int, int]:
        """Length, offset, frame and time of the line whose end has not come."""
        one = self.partial_line
        return (0, 0, 0, 0) if one is None else (one.size + one.dropped, one.offset, one.frame, one.time_ns)

    def feed(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """Take the next bytes of the stream."""
        self.position = offset + len(data)
        while data:
            mode = self.mode
            if mode is _COMMAND and self.partial_line is None:
                line = KNOWN_LINES.get(data)
                size = len(data)
                # One whole line, as most segments are, and no TLS.
                if line is None and size <= LONGEST_KNOWN and data.find(b"\r") == size - 2 and data[-1] == _LF:
                    line = remember_line(data) if data[0] >= _AFTER_TLS else None
                if line is not None:
                    self._handler.command_line(line, offset, frame, time_ns, seen)
                    return
            if mode <= _ANSWER:
                used = self._read_lines(data, offset, frame, time_ns, seen)
            elif mode is Mode.CONTENT:
                assert self.content is not None
                used = self.content.feed(data, frame, time_ns)
                if used < 0:
                    if self.content.in_header:
                        self._handler.keeps(len(data))
                    return
                content, self.content, self.mode = self.content, None, _COMMAND
                self._handler.content_end(content, seen)
            elif mode is Mode.CHUNK:
                used = self._read_chunk(data, frame, time_ns)
            elif mode is Mode.OPAQUE:
                return
            elif mode is Mode.HOLD:
                self._hold(HeldPiece(data, offset, frame, time_ns, seen))
                return
            elif mode is Mode.TLS_EXPECTED and data[0] in _TLS_FIRST:
                self.mode = Mode.OPAQUE
                self._handler.tls_begins("client", data[0], offset, frame, time_ns)
                continue
            elif mode is Mode.TLS:
                self._handler.tls_records("client", data, offset, frame, time_ns, seen)
                return
            else:
                used = self._handler.before_session(HeldPiece(data, offset, frame, time_ns, seen))
            data = data[used:]
            offset += used

    def gap(self, length: int) -> None:
        """``length`` bytes are missing here. Mail data and chunks continue after them, a line does not."""
        self.partial_line = None
        self.position += length
        if self.content is not None and self.mode is Mode.CONTENT:
            self.content.lose(length)
        elif self.mode is Mode.CHUNK:
            lost = min(length, self.chunk_left)
            if self.content is not None:
                self.content.lose(lost)
            self.chunk_left -= lost
            if not self.chunk_left:
                self.mode = _COMMAND
                self._handler.chunk_end()

    def revoke(self, offset: int) -> bool:
        """Forget the bytes from ``offset`` on. False: something was made of them already."""
        held, partial = self._held, self.partial_line
        if held:
            if offset < held[0].offset:
                return False
            while held and held[-1].offset + len(held[-1].data) > offset:
                last = held.pop()
                kept = last.data[: max(0, offset - last.offset)]
                self.held_size -= len(last.data) - len(kept)
                if kept:
                    held.append(last._replace(data=kept))
        elif partial is not None and self.mode <= _ANSWER and offset >= partial.offset:
            kept_size = min(offset - partial.offset, partial.size)
            partial.cut(kept_size)
            if not kept_size:
                self.partial_line = None
        else:
            return False
        self.position = offset
        return True

    def restart(self, start: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Go on after ``start``, the start of a line at ``offset``: what came after it does not count."""
        self.partial_line = None
        self.position = offset + len(start)
        if start:
            self._keep_partial(start, offset, frame, time_ns)

    def release(self, mode: Mode) -> None:
        """Continue in ``mode`` with the held bytes, because the reply is known."""
        self.mode = mode
        held, self._held = self._held, None
        size, self.held_size = self.held_size, 0
        while held:
            piece = held.popleft()
            size -= len(piece.data)
            self.feed(*piece)
            if self.mode is Mode.HOLD:  # there was another such command in the held bytes
                if self._held:
                    held.extendleft(reversed(self._held))
                self._held = held
                self.held_size += size
                return

    def discard_held(self) -> int:
        """Drop the held bytes (injected before TLS). Returns how many there were."""
        count = self.held_size
        self._held = None
        self.held_size = 0
        return count

    def cut_bare(self, *, lf_only: bool = False) -> bool:
        """End the unfinished line at its first bare LF, or at a bare CR that is its last byte. False if it has neither.

        ``lf_only``: cut only at a bare LF. For lines that must be commands; do not use it on mail data.
        """
        partial = self.partial_line
        if partial is None:
            return False
        at = partial.find_lf()
        if at < 0:
            at = partial.size - 1 if partial.kept.endswith(b"\r") and partial.size > 1 and not lf_only else -1
        if at < 0 or not partial.kept[: min(at, BLANK_BYTES)].strip(b"\r\n"):
            return False
        self.partial_line = None
        offset, frame, time_ns, mode = partial.offset, partial.frame, partial.time_ns, self.mode
        line = partial.take(at + 1)
        self._emit(line[:at], line[at:], at + 1, offset, frame, time_ns, -1)
        if partial.size and self.mode is mode and self.partial_line is None and partial.first >= _AFTER_TLS:
            self.partial_line = partial  # what comes next is a line too, and has no end either
        elif partial.size:
            self.feed(partial.raw, partial.offset, frame, time_ns, -1)
        return True

    def end_content_early(self) -> None:
        """End the mail data without its end mark: it was lost, or the server took a look-alike for it."""
        self.content, self.mode = None, _COMMAND

    # -- pieces ----------------------------------------------------------------------------------------------------

    def _read_lines(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
        """Read lines until the mode changes. Returns how many bytes were used."""
        if len(data) > self._limits.line_bytes > 0:
            data = data[: self._limits.line_bytes]  # so that a longer line is a partial one
        start = self._end_partial(data, offset, frame, time_ns, seen) if self.partial_line is not None else 0
        total, mode, handler = len(data), self.mode, self._handler
        while start < total:
            if mode > _ANSWER or mode is not self.mode:
                return start
            stop = data.find(b"\r\n", start) + 2
            if data[start] < _AFTER_TLS and begins_record(data, start):
                self.mode = Mode.OPAQUE
                handler.tls_begins("client", data[start], offset + start, frame, time_ns)
                return start
            if stop < 2:
                self._keep_partial(data[start:] if start else data, offset + start, frame, time_ns)
                return total
            if mode is _COMMAND:
                whole = data[start:stop]
                line = KNOWN_LINES.get(whole) or remember_line(whole)
                handler.command_line(line, offset + start, frame, time_ns, seen)
            else:
                line = line_of_auth(data[start : stop - 2], b"\r\n", stop - start)
                handler.answer_line(line, offset + start, frame, time_ns, seen)
            start = stop
        return total

    def _end_partial(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
        """Go on with the line whose start waits. Returns how many bytes were used."""
        partial = self.partial_line
        assert partial is not None
        if partial.first < _AFTER_TLS and begins_record(bytes(partial.kept[:2]) + data[:1]):
            self.partial_line = None
            self.mode = Mode.OPAQUE
            self._handler.tls_begins("client", partial.first, partial.offset, partial.frame, partial.time_ns)
            if self.mode is Mode.TLS:
                first = partial.raw, partial.offset, partial.frame, partial.time_ns
                self._handler.tls_records("client", *first, seen)
            return 0
        if partial.ends_in_cr and data[0] == 0x0A:
            raw, stop = partial.raw, 1
            raw = raw[:-1] if not partial.dropped else raw
        else:
            end = data.find(b"\r\n")
            if end < 0:
                self._keep_partial(data, offset, frame, time_ns)
                return len(data)
            raw, stop = (partial.raw + data[:end])[: self._limits.line_bytes or None], end + 2
            if partial.size + stop - 1 > self._limits.line_bytes > 0 and not partial.dropped:
                self._handler.long_line()
        length = partial.size + partial.dropped + stop
        self.partial_line = None
        self._emit(raw, b"\r\n", length, partial.offset, partial.frame, partial.time_ns, seen)
        return stop

    def _emit(self, raw: bytes, end: bytes, length: int, offset: int, frame: int, time_ns: int, seen: int) -> None:
        if self.mode is not _COMMAND:
            self._handler.answer_line(line_of_auth(raw, end, length), offset, frame, time_ns, seen)
            return
        whole = raw + end
        line = KNOWN_LINES.get(whole) if len(whole) == length else None
        if line is None:
            line = remember_line(whole) if end == b"\r\n" and len(whole) == length else read_line(raw, end, length)
        self._handler.command_line(line, offset, frame, time_ns, seen)

    def _read_chunk(self, data: bytes, frame: int, time_ns: int) -> int:
        used = min(self.chunk_left, len(data))
        if self.content is not None and used:
            self.content.feed_chunk(data[:used] if used < len(data) else data, frame, time_ns)
            if self.content.in_header:
                self._handler.keeps(used)
        self.chunk_left -= used
        if not self.chunk_left:
            self.mode = _COMMAND
            self._handler.chunk_end()
        return used

    def _keep_partial(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Keep the start of a line whose end has not come."""
        if self.partial_line is None:
            self.partial_line = PartialLine(offset, frame, time_ns)
        self.partial_line.keep(data, self._limits.line_bytes, self._handler)

    def _hold(self, piece: HeldPiece) -> None:
        if self._held is None:
            self._held = deque()
        self._held.append(piece)
        self.held_size += len(piece.data)
        self._handler.keeps(len(piece.data) + PIECE)
        if self.held_size > self._limits.undecided_bytes > 0:
            self._handler.undecided()

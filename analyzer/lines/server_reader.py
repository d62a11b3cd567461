"""Cut the bytes of the server into whole replies (RFC 5321 §4.2)."""

# Most segments of a server hold one whole reply that was seen before: it is looked up as it is. Otherwise one
# expression matches a whole well-formed reply of any number of lines. What it does not match is taken line by line.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ...dissectors.lines.replies import Reply, begins_reply, parse_reply
from ..streams.stream import PIECE
from ..tls.records import RECORD_TYPES, begins_record
from .partial_line import PartialLine

if TYPE_CHECKING:
    from ..limits import Limits

__all__ = ["KNOWN_REPLIES", "IncompleteReply", "OpenReply", "Place", "ServerHandler", "ServerReader"]

KNOWN_REPLIES: dict[bytes, Reply] = {}
"""Whole replies by their bytes: at most ``_MOST`` replies of at most ``_LONGEST`` octets, a megabyte. Only
``ServerReader`` adds to it. Challenges (334), which may be secret, are not remembered."""

_MOST, _LONGEST = 1024, 1024
_AFTER_TLS = RECORD_TYPES.stop  # replies begin with higher octets

# The same code in all lines, and only the last line without "-".
_whole_reply = re.compile(rb"([0-9]{3})(?:-[^\n]*+\n\1)*+(?: [^\n]*+|\r)?\n").match


class ServerHandler(Protocol):
    """Receives what was read. Offsets are in the server's stream."""

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        """One whole reply with any number of lines."""

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """A line that is not a reply and does not belong to one."""

    def tls_begins(self, side: Literal["client", "server"], kind: int, offset: int, frame: int, time_ns: int) -> None:
        """There is a TLS record, of the type ``kind``, where a line should start."""

    def tls_records(
        self, side: Literal["client", "server"], data: bytes, offset: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """Bytes came that are not read here, TLS records if there is TLS."""

    def long_line(self) -> None:
        """A line is longer than the limit: only its first bytes will be reported."""

    def long_reply(self) -> None:
        """A reply is longer than the limit: it counts as ended."""

    def last_said(self) -> bytes:
        """Return the last reply, or line that is no reply, that was delivered."""

    def two_replies(self) -> None:
        """The next reply has another one in its last line, which began after the client had sent more."""

    def keeps(self, count: int) -> None:
        """``count`` more bytes are kept for later."""


class IncompleteReply(NamedTuple):
    """A reply, or a line, of which the end has not come. ``raw``: what came of it."""

    raw: bytes
    offset: int
    frame: int
    time_ns: int


class Place(NamedTuple):
    """Where a line begins."""

    offset: int
    frame: int
    time_ns: int


class OpenReply:
    """The lines so far of a reply whose last line has not come (RFC 5321 §4.2.1)."""

    __slots__ = ("answerable", "frame", "later", "lines", "offset", "size", "time_ns")

    def __init__(self, offset: int, frame: int, time_ns: int) -> None:
        self.lines: list[bytes] = []
        self.later: list[Place] = []  # the first line that begins in each later frame
        self.size = 0
        # Offset of the end of the first line that the client sent since the first line of the reply, -1: none. A
        # segment of the server that does not acknowledge it cannot answer what the client sent.
        self.answerable = -1
        self.offset = offset
        self.frame = frame
        self.time_ns = time_ns

    def answered_by(self, seen: int) -> bool:
        """Whether bytes that acknowledge ``seen`` bytes of the client (-1: unknown) may answer what it sent since."""
        return self.answerable >= 0 and (seen < 0 or seen > self.answerable)

    def add(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Add a line that begins at ``offset``, in ``frame``."""
        if frame != (self.later[-1].frame if self.later else self.frame):
            self.later.append(Place(offset, frame, time_ns))
        self.lines.append(line)
        self.size += len(line)


class ServerReader:
    """Takes the server's stream in order and calls ``handler`` for everything it reads.

    Unlike the client's lines, a line of the server also ends at a bare LF: clients accept that and continue.
    """

    __slots__ = (
        "_handler",
        "_later",
        "_limits",
        "_overlong",
        "after_gap",
        "opaque",
        "open_reply",
        "partial_line",
    )

    def __init__(self, handler: ServerHandler, limits: Limits) -> None:
        self.opaque = False
        self.after_gap = False
        self._handler = handler
        self._limits = limits
        self.open_reply: OpenReply | None = None
        self.partial_line: PartialLine | None = None
        self._overlong = False  # a reply was ended because of its length, and no line with a code has come since
        self._later: tuple[int, list[Place]] | None = None  # offset of the last reply in several frames, and its places

    @property
    def unfinished_holds_two(self) -> bool:
        """Whether the line whose end has not come seems to hold two replies."""
        one = self.partial_line
        return one is not None and _holds_two(one.raw, one.resumed)

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        total = 0
        if self.open_reply is not None:
            total += self.open_reply.size + PIECE * len(self.open_reply.lines)
        if self.partial_line is not None:
            total += self.partial_line.weight
        return total

    @property
    def incomplete_reply(self) -> IncompleteReply | None:
        """The reply whose last line has not come, None if there is none."""
        one = self.open_reply
        return None if one is None else IncompleteReply(b"".join(one.lines), one.offset, one.frame, one.time_ns)

    @property
    def unfinished(self) -> IncompleteReply | None:
        """What came of a reply or of another line whose end has not come, None if nothing did."""
        start = self.open_reply or self.partial_line
        if start is None:
            return None
        raw = b"" if self.open_reply is None else b"".join(self.open_reply.lines)
        raw += b"" if self.partial_line is None else self.partial_line.raw
        return IncompleteReply(raw, start.offset, start.frame, start.time_ns)

    def feed(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Take the next bytes of the stream. ``seen``: bytes of the client that the server had acknowledged, -1:
        unknown."""
        if self.opaque:
            self._handler.tls_records("server", data, offset, frame, time_ns, seen)
            return
        start = 0
        if self.partial_line is None and self.open_reply is None:
            reply = KNOWN_REPLIES.get(data)
            if reply is not None:
                self.after_gap = self._overlong = False
                self._handler.reply(reply, offset, offset + len(data), frame, time_ns)
                return
        longest = self._limits.line_bytes
        if len(data) > longest > 0:  # in parts, so that a longer line is a partial one
            for at in range(0, len(data), longest):
                self.feed(data[at : at + longest], offset + at, frame, time_ns, seen)
            return
        if self.partial_line is not None:
            start = self._end_partial(data, offset, frame, time_ns, seen)
        total = len(data)
        while start < total and not self.opaque:
            if self.open_reply is None:
                if data[start] < _AFTER_TLS and begins_record(data, start):
                    self._begin_tls(data[start:], offset + start, frame, time_ns)
                    return
                match = _whole_reply(data, start)
                if match is not None:
                    self.after_gap = self._overlong = False
                    raw = match[0]
                    start += len(raw)
                    reply = KNOWN_REPLIES.get(raw) or _remembered(raw)
                    self._handler.reply(reply, offset + start - len(raw), offset + start, frame, time_ns)
                    continue
            end = data.find(b"\n", start) + 1
            if not end:
                self._keep_partial(data[start:] if start else data, offset + start, frame, time_ns)
                return
            self._take_line(data[start:end], offset + start, offset + end, frame, time_ns, seen)
            start = end

    def gap(self) -> None:
        """Bytes are missing here: drop an unfinished line and reply."""
        self.open_reply = self.partial_line = None
        self.after_gap = True

    def revoke(self, offset: int) -> bool:
        """Forget the bytes from ``offset`` on. False: they belong to a reply that is complete, or cannot be read."""
        one, partial = self.open_reply, self.partial_line
        start = one or partial
        if start is None or self.opaque or offset < start.offset:
            return False
        if partial is not None:
            kept = min(max(0, offset - partial.offset), partial.size)
            partial.cut(kept)
            if not kept:
                self.partial_line = None
        if one is not None and (partial is None or offset < partial.offset):
            self._cut_lines(one, offset)
        return True

    def _cut_lines(self, one: OpenReply, offset: int) -> None:
        lines, one.lines, one.size = one.lines, [], 0
        one.later = [place for place in one.later if place.offset < offset]
        at = one.offset
        for line in lines:
            if at + len(line) <= offset:
                one.lines.append(line)
                one.size += len(line)
            elif at < offset:
                place = one.later[-1] if one.later and one.later[-1].offset <= at else one
                self._keep_partial(line[: offset - at], at, place.frame, place.time_ns)
            at += len(line)
        if not one.lines:
            self.open_reply = None

    def end_unfinished(self) -> bool:
        """Deliver the unfinished reply as it is, because its last line will not come. False: it is not a reply."""
        one = self.unfinished
        if one is None or not begins_reply(one.raw):
            return False
        self.open_reply = self.partial_line = None
        self._handler.reply(parse_reply(one.raw), one.offset, one.offset + len(one.raw), one.frame, one.time_ns)
        return True

    def place_of(self, reply: int, offset: int) -> Place | None:
        """Return where the line at ``offset`` begins, in the reply at offset ``reply``, which came last; None: in the
        frame of the reply itself."""
        if self._later is None or self._later[0] != reply:
            return None
        return next((place for place in reversed(self._later[1]) if place.offset <= offset), None)

    def _end_partial(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
        """Go on with the line whose start waits. Returns how many bytes were used."""
        partial = self.partial_line
        assert partial is not None
        if self.open_reply is None and partial.size == 1 and partial.first < _AFTER_TLS:
            first = partial.raw + data
            if begins_record(first):
                self._begin_tls(first, partial.offset, partial.frame, partial.time_ns)
                self.partial_line = None
                return len(data)
        end = data.find(b"\n") + 1
        if not end:
            self._keep_partial(data, offset, frame, time_ns)
            return len(data)
        self.partial_line = None
        line = partial.raw + data[:end]
        longest = self._limits.line_bytes
        if partial.dropped or len(line) - 1 > longest > 0:
            if not partial.dropped:
                self._handler.long_line()
            paired = data[end - 2 : end] == b"\r\n" if end > 1 else partial.ends_in_cr
            line = line[:longest] + (b"\r\n" if paired else b"\n")
        if _holds_two(line, partial.resumed):
            self._handler.two_replies()
        if partial.resumed:
            seen = 0  # it began before the client's bytes, so it does not answer them
        self._take_line(line, partial.offset, offset + end, partial.frame, partial.time_ns, seen)
        return end

    def _take_line(self, line: bytes, offset: int, end: int, frame: int, time_ns: int, seen: int) -> None:
        one = self.open_reply
        if line[:1] == b"\r" and begins_reply(line[1:]) and self._after_bare_lf():
            line, offset = line[1:], offset + 1  # this CR is the rest of the line end LF CR
        if begins_reply(line):
            self.after_gap = self._overlong = False
            if one is not None and line[:3] != one.lines[0][:3] and one.answered_by(seen):
                self.end_unfinished()  # this line answers what the client has sent since
                one = None
            if one is None:
                one = self.open_reply = OpenReply(offset, frame, time_ns)
            one.add(line, offset, frame, time_ns)
            if line[3:4] == b"-" and not self._reply_too_long(one):
                self._handler.keeps(len(line) + PIECE)
                return
            raw = b"".join(one.lines) if len(one.lines) > 1 else line
            self.open_reply = None
            if one.later:
                self._later = one.offset, one.later
            self._handler.reply(KNOWN_REPLIES.get(raw) or _remembered(raw), one.offset, end, one.frame, one.time_ns)
        elif self.after_gap or self._overlong:
            return  # the rest of a line whose beginning was lost, or of a reply that was too long
        elif one is not None:
            one.add(line, offset, frame, time_ns)
            self._handler.keeps(len(line) + PIECE)
            if self._reply_too_long(one):
                self._overlong = True
                self.end_unfinished()
        else:
            self._handler.malformed(line, offset, frame, time_ns)

    def _after_bare_lf(self) -> bool:
        """Return whether the line before ended with LF alone."""
        last = self._handler.last_said() if self.open_reply is None else self.open_reply.lines[-1]
        return last.endswith(b"\n") and not last.endswith(b"\r\n")

    def _reply_too_long(self, one: OpenReply) -> bool:
        """Return whether the reply has become too long to wait for its end."""
        if not one.size > self._limits.reply_bytes > 0:
            return False
        self._handler.long_reply()
        return True

    def _keep_partial(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        if self.partial_line is None:
            self.partial_line = PartialLine(offset, frame, time_ns)
        self.partial_line.keep(data, self._limits.line_bytes, self._handler)

    def _begin_tls(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        self.opaque = True
        self._handler.tls_begins("server", data[0], offset, frame, time_ns)
        self._handler.tls_records("server", data, offset, frame, time_ns, -1)


def _holds_two(line: bytes, resumed: int) -> bool:
    """Whether another reply begins in ``line`` where the server went on after the client had sent more."""
    return resumed > 0 and begins_reply(line[resumed:])


def _remembered(raw: bytes) -> Reply:
    """Return the reply ``raw``, and remember it unless it may hold a secret."""
    reply = parse_reply(raw)
    if len(raw) <= _LONGEST and reply.code != 334:
        if len(KNOWN_REPLIES) >= _MOST:
            KNOWN_REPLIES.clear()
        KNOWN_REPLIES[raw] = reply
    return reply

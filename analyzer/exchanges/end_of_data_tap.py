"""Where six kinds of reader see the end of each message, and what the server did: the tap for
``smtpwire show --end-of-data``."""

# Theory
# ------
# A reader that is stricter than the server does not stop where the server stopped: it takes the next lines for mail
# data. So if the server accepted a look-alike as the end, the tap follows the client's stream after it, until every
# reader has seen an end or the limit is reached.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..content.lenient_readers import EndFinder, Ending, differs
from .turns import ReplySeen, is_servers

if TYPE_CHECKING:
    from ..content.message import Content
    from ..streams.stream import Deliver
    from .exchange import Exchange
    from .record import ConnectionRecord

__all__ = ["EndTap", "EndView", "SeenEnd", "answered_beyond"]

SHOWN = 200  # bytes of the line after an end mark
FOLLOWED = 1 << 20  # bytes read after an end that only the server saw

ServerAction = Literal["ended there", "went on", "refused", "unknown"]


@dataclass(slots=True)
class SeenEnd:
    """The end that a reader sees: where its dot is, and the first line after the end mark."""

    ending: Ending
    offset: int = -1  # in the client's stream
    frame: int = 0
    after: bytearray = field(default_factory=bytearray)

    @property
    def line(self) -> bytes:
        """The first line after the end mark."""
        return bytes(self.after).lstrip(b"\r\n").split(b"\n", 1)[0].split(b"\r", 1)[0]


@dataclass(slots=True)
class EndView:
    """One message.

    ``server_action``: how the server treated the first look-alike of the end, whose bytes are ``lookalike``. ``code``:
    code of its reply, 0: not seen. ``whole``: the capture has every byte that was read.
    """

    offset: int
    frame: int
    seen: list[SeenEnd]
    lookalike: bytes = b""
    server_action: ServerAction = "unknown"
    code: int = 0
    whole: bool = True

    @property
    def differs(self) -> bool:
        """Whether the readers disagree."""
        return differs([one.ending for one in self.seen])


class _Sink:
    """Reads one message for all readers (a ``ContentSink``)."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.view = EndView(content.offset, content.frame, [SeenEnd(ending) for ending in EndFinder().endings])
        self.turn = -1
        self._finder = EndFinder()
        self._read = 0  # bytes, missing ones included
        self._beyond = 0

    def take(self, stored: bytes, sent: bytes) -> None:
        """See ``ContentSink``."""
        self._feed(sent, 0)

    def lose(self, length: int) -> None:
        """See ``ContentSink``."""
        self._finder.skip(length)
        self._read += length
        self.view.whole = False

    def cut(self, size: int, kept_back: bytes) -> None:
        """See ``ContentSink``."""
        self._feed(kept_back, 0)
        self.view.lookalike = b"\r\n" + kept_back if kept_back else b""

    def follow(self, data: bytes, offset: int, frame: int) -> bool:
        """Read client bytes after an end that only the server saw. Return whether more bytes are wanted."""
        if offset != self.content.offset + self._read:
            return False  # bytes are missing
        self._feed(data, frame)
        self._beyond += len(data)
        return not self._finder.settled and self._beyond < FOLLOWED

    def over(self) -> None:
        """Read the rest: no more bytes come."""
        if self.content.complete and not self.content.cut:
            self._feed(b".\r\n", 0)
        self._note(self._finder.close(), b"", 0)

    def _feed(self, data: bytes, frame: int) -> None:
        start = self._read
        self._read += len(data)
        for one in self.view.seen:
            if one.offset >= 0 and len(one.after) < SHOWN:
                one.after += data[: SHOWN - len(one.after)]
        self._note(self._finder.feed(data), data, start, frame)

    def _note(self, found: list[int], data: bytes, start: int, frame: int = 0) -> None:
        for number in found:
            one = self.view.seen[number]
            one.ending = self._finder.endings[number]
            one.offset = self.content.offset + one.ending.at
            one.frame = frame or self.content.where(one.offset)[0]
            first = max(0, one.ending.end - start)
            one.after += data[first : first + SHOWN]


class EndTap:
    """Reads the messages of one connection (a ``ContentTap``). ``everything``: keep messages with an undisputed end
    too."""

    def __init__(self, record: ConnectionRecord, *, everything: bool) -> None:
        self.messages = 0
        self._record = record
        self._everything = everything
        self._kept: list[_Sink] = []
        self._following: _Sink | None = None

    def begin(self, content: Content, transaction: object) -> _Sink | None:
        """See ``ContentTap``. BDAT chunks are skipped: their end is given by a size, not by a mark."""
        if content.chunked:
            return None
        self.messages += 1
        return _Sink(content)

    def over(self, content: Content, x: Exchange) -> None:
        """See ``ContentTap``."""
        sink = content.sink
        if not isinstance(sink, _Sink):
            return
        if content.cut:
            self._following = sink
        else:
            sink.over()
        if not (self._everything or content.cut or sink.view.differs):
            return
        sink.turn = x.turn
        sink.view.code = x.code
        sink.view.frame = content.frame
        sink.view.lookalike = sink.view.lookalike or content.lookalike_form
        self._kept.append(sink)

    def wrap_client(self, deliver: Deliver) -> Deliver:
        """See ``ContentTap``."""

        def follow_and_deliver(data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
            if self._following is not None and not self._following.follow(data, offset, frame):
                self._following = None
            deliver(data, offset, frame, time_ns, seen)

        return follow_and_deliver

    def finish(self) -> list[EndView]:
        """Return the views of the messages to show; the connection is over."""
        for sink in self._kept:
            if sink.content.cut:
                sink.over()
            sink.view.server_action = self._server_action(sink)
        return [sink.view for sink in self._kept]

    def _server_action(self, sink: _Sink) -> ServerAction:
        if sink.content.cut or answered_beyond(self._record, sink.turn):
            return "ended there"
        code = sink.view.code
        return "refused" if code >= 400 else "went on" if 200 <= code < 300 else "unknown"


def answered_beyond(record: ConnectionRecord, turn: int) -> bool:
    """Whether the server gave further replies to the message ``turn`` of the dialogue before the client sent more: then
    it took something inside the message for its end, and the text after that for commands."""
    if turn < 0:
        return False
    dialogue = record.dialogue
    for place in range(turn + 1, len(dialogue)):
        later = dialogue[place]
        if not is_servers(later):
            return False
        if isinstance(later, ReplySeen) and later.answers < 0 and later.reply.code != 421:
            return True
    return False

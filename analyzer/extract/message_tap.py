"""The taps that take the messages of connections during the audit and pass each on when it is over."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from ..exchanges.end_of_data_tap import answered_beyond
from ..timestamps import format_time
from .envelope import Envelope, MissingOctets, envelope_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..content.message import Content
    from ..exchanges.connection_report import TimeFormat
    from ..exchanges.exchange import Exchange
    from ..exchanges.record import ConnectionRecord
    from ..streams.stream import Deliver
    from .spooled_message import Spool, SpooledMessage

    Keep = Callable[[Envelope, SpooledMessage], None]

__all__ = ["ExtractedMessage", "MessageTap"]

# Messages of one connection that have started and are not over: chunks that RSET discarded, or pipelined messages that
# still wait for their replies. With more of them, the oldest counts as never ended.
OPEN = 256
MAX_GAPS = 1000  # gaps reported for one message


class ExtractedMessage:
    """The octets of one message (a ``ContentSink``), at most ``limit`` of them; 0 means no limit."""

    def __init__(self, content: Content, transaction: object, turn: int, spooled: SpooledMessage, limit: int) -> None:
        self.content = content
        self.transaction = transaction
        self.turn = turn
        self.spooled = spooled
        self.ended: Exchange | None = None
        self.truncated = False
        self._limit = limit
        self._gaps: list[tuple[int, int]] = []  # stored octets before the gap, and its length
        self._stored = 0

    def take(self, stored: bytes, sent: bytes) -> None:
        """See ``ContentSink``."""
        self._stored += len(stored)
        if self._limit and self.spooled.size + len(stored) > self._limit:
            self.truncated = True
            stored = stored[: self._limit - self.spooled.size]
        if stored:
            self.spooled.append(stored)

    def lose(self, length: int) -> None:
        """See ``ContentSink``."""
        if self._gaps and (self._gaps[-1][0] == self._stored or len(self._gaps) == MAX_GAPS):
            offset, known = self._gaps.pop()
            length += known
            self._gaps.append((offset, length))
        else:
            self._gaps.append((self._stored, length))

    def cut(self, size: int, kept_back: bytes) -> None:
        """See ``ContentSink``."""
        lost = accumulate((length for _, length in self._gaps), initial=0)
        self._gaps = [gap for gap, before in zip(self._gaps, lost, strict=False) if gap[0] + before < size]
        self._stored = size - sum(length for _, length in self._gaps)
        self.spooled.truncate(self._stored)
        self.truncated = self.truncated and self._stored > self.spooled.size

    @property
    def missing(self) -> list[MissingOctets]:
        """Return what is missing in the stored octets."""
        return [MissingOctets(offset, length) for offset, length in self._gaps if offset <= self.spooled.size]


class MessageTap:
    """Takes the messages of one connection (a ``ContentTap``)."""

    def __init__(self, record: ConnectionRecord, clock: TimeFormat, spool: Spool, keep: Keep, limit: int) -> None:
        self._record = record
        self._clock = clock
        self._spool = spool
        self._keep = keep
        self._limit = limit
        self._open: dict[int, ExtractedMessage] = {}  # by the identity of the content, in order

    def begin(self, content: Content, transaction: object) -> ExtractedMessage:
        """See ``ContentTap``."""
        if len(self._open) >= OPEN:
            self._deliver_first()
        turn = len(self._record.dialogue) - 1
        message = ExtractedMessage(content, transaction, turn, self._spool.begin(), self._limit)
        self._open[id(content)] = message
        return message

    def over(self, content: Content, x: Exchange) -> None:
        """See ``ContentTap``."""
        message = self._open.get(id(content))
        if message is None:
            return
        if content.lookalike is not None and not content.cut:
            message.ended = x  # the next replies show how the server treated the look-alike
            return
        del self._open[id(content)]
        self._deliver(message, x)

    def wrap_client(self, deliver: Deliver) -> Deliver:
        """See ``ContentTap``."""
        return deliver

    def finish(self) -> None:
        """End the messages that never ended: the connection is over."""
        while self._open:
            self._deliver_first()

    def _deliver_first(self) -> None:
        message = self._open.pop(next(iter(self._open)))
        self._deliver(message, message.ended)

    def _deliver(self, message: ExtractedMessage, x: Exchange | None) -> None:
        content = message.content
        if x is None:
            content.flush()
        if not content.size and not content.complete:
            message.spooled.discard()  # DATA was accepted, and no content followed
            return
        envelope = envelope_of(self._record, self._clock, x, message.transaction, message.turn)
        envelope.complete = content.complete and not content.missing
        envelope.truncated = message.truncated
        envelope.chunked = content.chunked
        envelope.frame = content.frame
        envelope.started = format_time(content.time_ns, 9 if content.time_ns % 1000 else 6)
        envelope.size = content.size
        envelope.missing = message.missing
        if content.cut:
            envelope.notes.append(
                "the server treated a look-alike as the end of the mail data; this file ends there too"
            )
        elif content.lookalike is not None and x is not None and answered_beyond(self._record, x.turn):
            envelope.notes.append(
                "the server treated a look-alike as the end of the mail data, and what follows as commands: "
                "it stored less than this file contains, and perhaps another message"
            )
        self._keep(envelope, message.spooled)

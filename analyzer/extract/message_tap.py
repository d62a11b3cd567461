"""Takes the messages of connections while the audit reads them, and hands each on when it is over."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from ..exchanges.end_of_data_tap import answered_beyond
from ..timestamps import format_time
from .envelope import Envelope, MissingOctets, envelope_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..content.mail_data import Content
    from ..exchanges.exchange import Exchange
    from ..model import Connection
    from ..streams.stream import Deliver
    from .spooled_message import Spool, SpooledMessage

    Keep = Callable[[Envelope, SpooledMessage], None]

__all__ = ["ExtractedMessage", "MessageTap"]

# Messages of one connection that have begun and are not over: chunks that RSET threw away, or pipelined ones whose
# replies are due. Beyond this the oldest counts as never ended.
OPEN = 256
HOLES = 1000  # told of one message


class ExtractedMessage:
    """The octets of one message (a ``ContentSink``), at most ``limit`` of them, 0 being all."""

    def __init__(self, content: Content, transaction: object, turn: int, spill: SpooledMessage, limit: int) -> None:
        self.content = content
        self.transaction = transaction
        self.turn = turn
        self.spill = spill
        self.ended: Exchange | None = None
        self.truncated = False
        self._limit = limit
        self._gaps: list[tuple[int, int]] = []  # octets before it, missing ones not counted, and its length
        self._stored = 0

    def take(self, stored: bytes, sent: bytes) -> None:
        """See ``ContentSink``."""
        self._stored += len(stored)
        if self._limit and self.spill.size + len(stored) > self._limit:
            self.truncated = True
            stored = stored[: self._limit - self.spill.size]
        if stored:
            self.spill.append(stored)

    def lose(self, length: int) -> None:
        """See ``ContentSink``."""
        if self._gaps and (self._gaps[-1][0] == self._stored or len(self._gaps) == HOLES):
            offset, known = self._gaps.pop()
            length += known
            self._gaps.append((offset, length))
        else:
            self._gaps.append((self._stored, length))

    def cut(self, size: int, kept_back: bytes) -> None:
        """See ``ContentSink``."""
        missing = accumulate((length for _, length in self._gaps), initial=0)
        self._gaps = [gap for gap, before in zip(self._gaps, missing, strict=False) if gap[0] + before < size]
        self._stored = size - sum(length for _, length in self._gaps)
        self.spill.truncate(self._stored)
        self.truncated = self.truncated and self._stored > self.spill.size

    @property
    def holes(self) -> list[MissingOctets]:
        """What is missing of the octets that are there."""
        return [MissingOctets(offset, length) for offset, length in self._gaps if offset <= self.spill.size]


class MessageTap:
    """Takes the messages of one connection (a ``ContentTap``)."""

    def __init__(self, record: Connection, spills: Spool, keep: Keep, limit: int) -> None:
        self._record = record
        self._spills = spills
        self._keep = keep
        self._limit = limit
        self._open: list[ExtractedMessage] = []

    def begin(self, content: Content, transaction: object) -> ExtractedMessage:
        """See ``ContentTap``."""
        if len(self._open) >= OPEN:
            letter = self._open.pop(0)
            self._hand_on(letter, letter.ended)
        turn = len(self._record.dialogue) - 1
        letter = ExtractedMessage(content, transaction, turn, self._spills.begin(), self._limit)
        self._open.append(letter)
        return letter

    def over(self, content: Content, x: Exchange) -> None:
        """See ``ContentTap``."""
        for letter in self._open:
            if letter.content is content:
                if content.lookalike is not None and not content.cut:
                    letter.ended = x  # what the server made of the look-alike shows in its next replies
                    return
                self._open.remove(letter)
                self._hand_on(letter, x)
                return

    def wrap_client(self, deliver: Deliver) -> Deliver:
        """See ``ContentTap``."""
        return deliver

    def finish(self) -> None:
        """The connection is over: so is what never ended."""
        while self._open:
            letter = self._open.pop(0)
            self._hand_on(letter, letter.ended)

    def _hand_on(self, letter: ExtractedMessage, x: Exchange | None) -> None:
        content = letter.content
        if x is None:
            content.flush()
        if not content.size and not content.complete:
            letter.spill.discard()  # DATA was accepted, and nothing came
            return
        envelope = envelope_of(self._record, x, letter.transaction, letter.turn)
        envelope.complete = content.complete and not content.missing
        envelope.truncated = letter.truncated
        envelope.chunked = content.chunked
        envelope.frame = content.frame
        envelope.started = format_time(content.time_ns, 9 if content.time_ns % 1000 else 6)
        envelope.size = content.size
        envelope.missing = letter.holes
        if content.cut:
            envelope.notes.append("the server took a look-alike for the end of the mail data; so does this file")
        elif content.lookalike is not None and x is not None and answered_beyond(self._record, x.turn):
            envelope.notes.append(
                "the server took a look-alike for the end of the mail data, and what stands behind it for commands: "
                "it stored less than this file holds, and perhaps another message"
            )
        self._keep(envelope, letter.spill)

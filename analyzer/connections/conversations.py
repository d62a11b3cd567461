"""Start a conversation for each connection that is SMTP, and take its report when it is over."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from ..exchanges.connection_report import NO_DETAIL, TimeFormat, TurnDetail
from ..exchanges.conversation import Conversation, Run
from ..exchanges.conversation_feed import ConversationFeed, detach
from ..exchanges.record import IMPLICIT_TLS_PORT, ConnectionRecord
from ..exchanges.secret_context import SecretContext, secret_context
from ..model import Part
from ..streams.reassembler import Reassembler
from ..tls.receiver import TlsReceiver
from .other_traffic import OtherConnections
from .receivers import Candidate, TappedConversation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .. import model
    from ..exchanges.conversation import ContentTap, Judge
    from ..limits import Limits
    from ..streams.flow import Flow
    from ..streams.receiver import Receiver
    from ..tls.key_log import KeyLog
    from .places import Places

__all__ = ["PROFILE_OF_PORT", "Conversations", "EndedConnection"]

PROFILE_OF_PORT = {587: "submission", IMPLICIT_TLS_PORT: "submission", 24: "lmtp"}


class EndedConnection(NamedTuple):
    """The report of a connection that is over, and what in it is secret; None if nothing is."""

    report: model.Connection
    secrets: SecretContext | None


class Conversations:
    """Decides what becomes of each connection in ``streams``. The reports of those that are over are in ``ended``.
    ``ids``: the numbers of the next ones."""

    def __init__(
        self,
        judge: Judge,
        limits: Limits,
        *,
        ports: frozenset[int],
        profile: str | None = None,
        detail: TurnDetail = NO_DETAIL,
        tap: Callable[[ConnectionRecord, TimeFormat], ContentTap] | None = None,
        keys: KeyLog | None = None,
    ) -> None:
        """``tap``: returns the receiver of a new connection's messages."""
        self.streams = Reassembler(self, limits)
        self.ended: deque[EndedConnection] = deque()
        self.others = OtherConnections()
        self.clock = TimeFormat()
        self.places: Places | None = None
        self._run = Run(judge, limits, self.clock, detail, profile is not None, keys)
        self._limits = limits
        self._port_bytes = frozenset(port.to_bytes(2, "big") for port in ports)
        client_first = {IMPLICIT_TLS_PORT.to_bytes(2, "big")}
        self.streams.table.handshakes.greeting_ports = self._port_bytes - client_first
        self._profile = profile
        self._tap = tap
        self.ids: Iterator[int] = count(1)
        self._last_id = 0

    def accept(self, flow: Flow) -> None:
        """See ``FlowHost``."""
        from_port, to_port = flow.key[-4:-2], flow.key[-2:]
        ports = self._port_bytes
        swapped = from_port in ports and to_port not in ports and not flow.handshake
        if swapped:
            flow.swap()
        flow.receiver = Candidate(self, flow, self._limits, smtp_port=swapped or to_port in ports)

    def leave_out(self, flow: Flow, client: bytes, server: bytes, *, over: bool) -> None:
        """See ``CandidateHost``."""
        if not self._last_id:  # a report that has SMTP does not say what else there was
            self.others.add(flow, client, server)
        if not over:
            self.streams.ignore(flow)

    def begin(self, flow: Flow) -> Receiver:
        """See ``CandidateHost``."""
        self._last_id = next(self.ids)
        handshake = flow.handshake
        if self.places is not None:
            self.places.note_number(flow.key)
        port = int.from_bytes(flow.key[-2:], "big")
        record = ConnectionRecord(
            self._last_id,
            flow.key,
            profile=self._profile or PROFILE_OF_PORT.get(port, "rfc5321"),
            opening="handshake" if handshake else "midstream",
            started_ns=flow.started_ns,
        )
        tap = None if self._tap is None else self._tap(record, self.clock)
        talk = Conversation(record, self._run, tap)
        talk.shared = self.streams.housekeeping.shared
        talk.owner = flow
        if handshake:
            talk.client_captured = flow.client_syn
            talk.server_syn_missing = not flow.server_start_known
        feed = ConversationFeed(talk)
        flow.receiver = feed if tap is None else TappedConversation(feed, tap)
        return flow.receiver

    def giving_up(self, flow: Flow) -> None:
        """See ``FlowHost``."""
        if self.places is not None:
            self.places.note_given_up(flow.started)

    def finished(self, flow: Flow, why: str) -> None:
        """See ``FlowHost``."""
        if isinstance(flow.receiver, Candidate):
            flow.receiver.conclude()
        elif isinstance(flow.receiver, TlsReceiver):
            flow.receiver.finish()
        feed = _feed(flow)
        if feed is None:
            return
        record = self._standing(flow, feed)
        if flow.remarks is not None:
            feed.talk.course.overlaps = dict(flow.remarks.overlaps.items())
            for side, place in flow.remarks.uncompared.items():
                record.note(_not_compared(side, *place))
            if flow.remarks.ends_refused:
                record.note(f"ends that their receiver did not accept, left out: {flow.remarks.ends_refused}")
            if flow.remarks.urgent:
                record.note(f"urgent data in frame {flow.remarks.urgent}: {_URGENT}")
        if why:
            record.note(why)
        report = feed.finish(captured=flow.captured)
        if flow.remarks is not None:
            report.captures = [Part(number - 1, "", self.clock(time_ns)) for time_ns, number in flow.remarks.filled]
        context = secret_context(record, always=feed.talk.quotes_more)
        detach(feed.talk)
        if self.places is not None:
            self.places.note_end(record.id)
        self.ended.append(EndedConnection(report, context))

    def standing(self) -> Iterator[ConnectionRecord]:
        """Yield the records of the open connections. They will still grow."""
        for flow in self.streams.table:
            feed = _feed(flow)
            if feed is not None:
                yield self._standing(flow, feed)

    def _standing(self, flow: Flow, feed: ConversationFeed) -> ConnectionRecord:
        record = feed.talk.record
        record.client_bytes, record.server_bytes = flow.received
        record.ended_ns = flow.last_ns
        return record


_URGENT = "its last byte may not be part of the stream, because most programs leave it out (RFC 6093)"


def _not_compared(side: str, offset: int, count: int) -> str:
    """Return the note on bytes that came again, too far back to be compared."""
    return f"{count} bytes of the {side} came again or late, from offset {offset} on, and were not compared"


def _feed(flow: Flow) -> ConversationFeed | None:
    """Return what feeds the conversation of ``flow``, None if it has none."""
    receiver = flow.receiver
    if isinstance(receiver, TlsReceiver):
        receiver = receiver.inner
    if isinstance(receiver, ConversationFeed):
        return receiver
    return receiver.feed if isinstance(receiver, TappedConversation) else None

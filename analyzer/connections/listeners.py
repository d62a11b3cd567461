"""The listeners of a flow that the reassembler follows: the first detects its protocol, the next judges it."""

# Theory
# ------
# A flow passes from one listener to the next, and each gets everything that came before:
#
#   CandidateListener  -> collects the first bytes, until they show whether it is SMTP
#   AttachedListener   -> passes everything to a conversation

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..lines.protocol_detection import Detection, judge_heads, preamble

if TYPE_CHECKING:
    from .. import model
    from ..exchanges.conversation_feed import ConversationFeed
    from ..exchanges.record import ConnectionRecord
    from ..limits import Limits
    from ..streams.stream import Flow, How, Stream

__all__ = ["AttachedListener", "CandidateListener", "ListenerHost"]


class ListenerHost(Protocol):
    """The part of the tracker that listeners use."""

    limits: Limits

    def take(self, one: model.Connection) -> None:
        """Take the report of a connection that ended."""

    def begin(self, flow: Flow, client: Stream) -> AttachedListener:
        """Start a conversation for ``flow``, which is SMTP."""

    def ignore(self, flow: Flow) -> None:
        """Stop following ``flow``, which is not SMTP."""


class AttachedListener:
    """The listener of a flow with a conversation."""

    __slots__ = ("_client", "_flow", "_host", "feed")

    def __init__(self, host: ListenerHost, flow: Flow, client: Stream, feed: ConversationFeed) -> None:
        self._host = host
        self._flow = flow
        self._client = client
        self.feed = feed
        client.deliver = feed.client
        client.peer.deliver = feed.server
        flow.listener = self

    def _side(self, stream: Stream) -> Literal["client", "server"]:
        return "client" if stream is self._client else "server"

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``stream.Listener``."""
        self.feed.gap(self._side(stream), offset, length, frame, time_ns)

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``stream.Listener``."""
        self.feed.closed(self._side(stream), how, frame, time_ns, acked)

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``stream.Listener``."""
        self.feed.conflict(self._side(stream), offset, frame, time_ns)

    def weight(self) -> int:
        """See ``stream.Listener``."""
        return self.feed.weight

    def finish(self, why: str) -> None:
        """See ``stream.Listener``."""
        self._note_extent()
        if why:
            self.feed.talk.record.note(why)
        self.feed.talk.course.captured = self._client.seen and self._client.peer.seen
        self.feed.talk.course.overlaps = {"client": self._client.overlap, "server": self._client.peer.overlap}
        self._host.take(self.feed.finish())
        self.feed.detach()

    def standing(self) -> ConnectionRecord:
        """Return the record so far. It will still grow."""
        self._note_extent()
        return self.feed.talk.record

    def _note_extent(self) -> None:
        record = self.feed.talk.record
        record.client_bytes = self._client.offset
        record.server_bytes = self._client.peer.offset
        record.ended_ns = self._flow.last_ns


class CandidateListener:
    """The listener of a flow that may be SMTP: keeps all events until the first bytes decide, then delivers them."""

    __slots__ = ("_events", "_flow", "_heads", "_host", "_limits", "_smtp_port", "_swapped")

    def __init__(self, host: ListenerHost, flow: Flow, *, smtp_port: bool, swapped: bool = False) -> None:
        """``smtp_port``: the server's port is an SMTP port. ``swapped``: the server seems to be ``flow.a``."""
        self._host = host
        self._flow = flow
        self._limits = host.limits
        self._events: list[tuple[str, Stream, tuple[Any, ...]]] = []
        self._heads = {flow.a: b"", flow.b: b""}
        self._swapped = swapped
        self._smtp_port = smtp_port
        flow.listener = self
        flow.a.deliver = self._deliver_a
        flow.b.deliver = self._deliver_b

    def _deliver_a(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data(self._flow.a, payload, offset, frame, time_ns, seen)

    def _deliver_b(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data(self._flow.b, payload, offset, frame, time_ns, seen)

    def _data(self, stream: Stream, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._events.append(("data", stream, (payload, offset, frame, time_ns, seen)))
        if len(self._heads[stream]) < self._limits.sniffed_bytes or not self._limits.sniffed_bytes:
            self._heads[stream] += payload
        self._decide(over=False)

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``stream.Listener``."""
        self._events.append(("gap", stream, (offset, length, frame, time_ns)))

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """See ``stream.Listener``."""
        self._events.append(("closed", stream, (how, frame, time_ns, acked)))

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``stream.Listener``."""
        self._events.append(("conflict", stream, (offset, frame, time_ns)))

    def weight(self) -> int:
        """See ``stream.Listener``."""
        return sum(map(len, self._heads.values())) + sum(len(e[0]) for kind, _, e in self._events if kind == "data")

    def finish(self, why: str) -> None:
        """See ``stream.Listener``."""
        if self._decide(over=True):
            self._flow.listener.finish(why)

    def _decide(self, *, over: bool) -> bool:
        """Decide whether the flow is SMTP. Returns False also while that is open."""
        flow = self._flow
        first = flow.b if self._swapped else flow.a
        orders = [(first, first.peer)]
        if not flow.handshake and not self._smtp_port:
            orders.append((first.peer, first))  # neither SYN nor port shows which side is the client
        full = any(len(head) >= self._limits.sniffed_bytes > 0 for head in self._heads.values())
        undecided = False
        for client, server in orders:
            heads = self._heads[client], self._heads[server]
            skip = (0, 0) if self._smtp_port else preamble(*heads)
            if skip is None:
                undecided = True
                continue
            rest = heads[0][skip[0] :], heads[1][skip[1] :]
            if skip != (0, 0) and not any(rest):
                undecided = True
                continue
            verdict = judge_heads(*rest, smtp_port=self._smtp_port, over=over or full)
            if over and self._smtp_port and not any(rest) and self._events:
                verdict = Detection.SMTP  # all data were lost: report the connection anyway
            if verdict is Detection.SMTP:
                self._start_conversation(client, skip)
                return True
            undecided = undecided or verdict is Detection.UNDECIDED
        if not over and (full or not undecided):
            self._host.ignore(flow)
        return False

    def _start_conversation(self, client: Stream, skip: tuple[int, int]) -> None:
        flow, events = self._flow, self._events
        left = {client: skip[0], client.peer: skip[1]}
        followed = self._host.begin(flow, client)
        for kind, stream, event in events:
            if kind == "data":
                payload, offset, frame, time_ns, seen = event
                cut = min(left[stream], len(payload))
                left[stream] -= cut
                if cut < len(payload):
                    stream.deliver(payload[cut:], offset + cut, frame, time_ns, seen)
            elif kind == "gap":
                followed.gap(stream, *event)
            elif kind == "closed":
                followed.closed(stream, *event)
            else:
                followed.conflict(stream, *event)

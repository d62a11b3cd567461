"""Turn segments into finished connections: connects streams, protocol detection and conversations."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING

from ..exchanges.connection_report import NO_DETAIL, TimeFormat, TurnDetail
from ..exchanges.conversation import Conversation, Judge, Run
from ..exchanges.conversation_feed import ConversationFeed
from ..exchanges.record import ConnectionRecord
from ..limits import DEFAULT_LIMITS, Limits
from ..streams.reassembler import Reassembler
from .listeners import AttachedListener, CandidateListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .. import model
    from ..exchanges.conversation import ContentTap
    from ..segments.decoder import SegmentSink
    from ..streams.stream import Flow, Stream
    from .partition import Places

__all__ = ["DEFAULT_PORTS", "PROFILE_OF_PORT", "Tracker"]

DEFAULT_PORTS = frozenset({25, 465, 587, 2525, 24})
PROFILE_OF_PORT = {587: "submission", 465: "submission", 24: "lmtp"}


class Tracker:
    """Takes segments. Finished connections are in ``ended``, in the order in which they ended."""

    def __init__(
        self,
        judge: Judge,
        *,
        ports: frozenset[int] = DEFAULT_PORTS,
        profile: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        detail: TurnDetail = NO_DETAIL,
        tap: Callable[[ConnectionRecord, TimeFormat], ContentTap] | None = None,
    ) -> None:
        """``tap``: returns the receiver of a new connection's messages."""
        self.ended: deque[model.Connection] = deque()
        self.streams = Reassembler(self._accept, limits)
        self.limits = limits
        self.servers = judge.servers
        self.clock = TimeFormat()
        self._run = Run(judge, limits, self.clock, detail, profile is not None)
        self._port_bytes = frozenset(port.to_bytes(2, "big") for port in ports)
        self._profile = profile
        self._tap = tap
        self.places: Places | None = None
        self.segment: SegmentSink = self.streams.feed
        self._last_id = 0

    def close(self) -> None:
        """End every connection, because the last source ended."""
        for _ in self.ending():
            pass

    def ending(self) -> Iterator[None]:
        """Do the same step by step, so that code that empties ``ended`` meanwhile needs less memory."""
        streams = self.streams
        left = sorted(streams.flows(), key=attrgetter("started"), reverse=True)
        while left:
            flow = left.pop()
            if self.places is not None:
                self.places.here = flow.started
            streams.finish(flow.a.key)
            yield
        streams.close()

    @property
    def done(self) -> list[model.Connection]:
        """The reports of the connections that ended and were not taken from ``ended`` yet."""
        return [*self.ended]

    def set_digits(self, digits: int) -> None:
        """Set the decimals of a second for the times from now on."""
        self.clock.digits = digits

    @property
    def open(self) -> int:
        """Number of open connections."""
        return self.streams.open

    def sweep(self, *times_ns: int) -> None:
        """Close connections that were idle too long or are too many. ``times_ns``: times of the last frames."""
        for time_ns in times_ns:
            self.streams.clock.tick(time_ns)
        self.streams.sweep()

    def follows(self, key: bytes) -> bool:
        """Return whether the connection with flow ``key`` is open, or has a SYN but no data so far."""
        return self.streams.follows(key)

    def known(self) -> tuple[set[bytes], list[bytes]]:
        """Return the keys of both flows of all connections for which ``follows`` is true, and keys of closed ones."""
        return self.streams.known()

    def under_way(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield each open connection, and each SYN without data so far: the key of a flow, and the times of the first
        and the last frame."""
        yield from self.streams.waiting()
        for flow in self.streams.flows():
            yield flow.a.key, flow.started_ns, flow.last_ns

    def standing(self) -> Iterator[ConnectionRecord]:
        """Yield the records of the open connections. They will still grow."""
        for flow in self.streams.flows():
            if isinstance(flow.listener, AttachedListener):
                yield flow.listener.standing()

    def problems(self) -> list[str]:
        """Return the problems with the segments since the last call, as plain sentences."""
        return self.streams.problems()

    def ignore(self, flow: Flow) -> None:
        """Stop following ``flow``, which is not SMTP."""
        self.streams.ignore(flow)

    def clock_set(self, by_ns: int) -> None:
        """Shift all times by ``by_ns``, because the clock that stamps the segments was changed by that."""
        self.streams.clock_set(by_ns)

    def next_id(self, client: bytes, first_frame: int, *, handshake: bool = True) -> int:
        """Return the number of a new connection. ``client``: a key of it."""
        if self.places is not None:
            self.places.numbered.append((self.places.here, client, first_frame, handshake))
        self._last_id += 1
        return self._last_id

    def take(self, one: model.Connection) -> None:
        """Take a connection that ended."""
        if self.places is not None:
            self.places.note_end(self.streams.giving_up)
        self.ended.append(one)

    def _accept(self, flow: Flow) -> None:
        from_port, to_port = flow.a.key[-4:-2], flow.a.key[-2:]
        ports = self._port_bytes
        swapped = not flow.handshake and from_port in ports and to_port not in ports
        CandidateListener(self, flow, smtp_port=swapped or to_port in ports, swapped=swapped)

    def begin(self, flow: Flow, client: Stream) -> AttachedListener:
        """Start a conversation for ``flow``, which is SMTP. ``client``: the direction of the client."""
        number = self.next_id(client.key, flow.first_frame, handshake=flow.handshake)
        port = int.from_bytes(client.key[-2:], "big")
        record = ConnectionRecord(
            number,
            client.key,
            profile=self._profile or PROFILE_OF_PORT.get(port, "rfc5321"),
            opening="handshake" if flow.handshake else "midstream",
            started_ns=flow.started_ns,
        )
        tap = None if self._tap is None else self._tap(record, self.clock)
        talk = Conversation(record, self._run, tap)
        talk.kept = flow.kept
        if flow.handshake and not client.peer.start_known:
            talk.server_syn_missing = True
        attached = AttachedListener(self, flow, client, ConversationFeed(talk))
        if tap is not None:
            client.deliver = tap.wrap_client(client.deliver)
        return attached

"""Turn segments into finished connections: connects streams, protocol detection and conversations."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING

from .. import model
from ..exchanges.conversation import Conversation, Judge
from ..exchanges.turns import NO_DETAIL, TurnDetail
from ..limits import DEFAULT_LIMITS, Limits
from ..streams.reassembler import Reassembler
from ..timestamps import format_time
from .endpoints import endpoint
from .listeners import AttachedListener, CandidateListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        tap: Callable[[model.Connection], ContentTap] | None = None,
    ) -> None:
        """``tap``: returns the receiver of a new connection's messages."""
        self.ended: deque[model.Connection] = deque()
        self.digits = 6  # decimals of a second in the times of the capture
        self.streams = Reassembler(self._accept, limits)
        self.limits = limits
        self.servers = judge.servers
        self._judge = judge
        self._port_bytes = frozenset(port.to_bytes(2, "big") for port in ports)
        self._profile = profile
        self._detail = detail
        self._tap = tap
        self.places: Places | None = None
        self.segment: SegmentSink = self.streams.feed
        self._last_id = 0
        self._second_ns = -1_000_000_000
        self._prefix = ""  # that second as text

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
        self.digits = digits

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

    def standing(self) -> Iterator[model.Connection]:
        """Yield the reports of the open connections so far. They will still grow."""
        for flow in self.streams.flows():
            if isinstance(flow.listener, AttachedListener):
                yield flow.listener.standing()

    def problems(self) -> list[str]:
        """Return the problems with the segments since the last call, as plain sentences."""
        return self.streams.problems()

    def clock(self, time_ns: int) -> str:
        """Format a time for the report."""
        fraction = time_ns - self._second_ns
        if not 0 <= fraction < 1_000_000_000:
            fraction = time_ns % 1_000_000_000
            self._second_ns = time_ns - fraction
            self._prefix = format_time(time_ns, 0)[:-1]
        if self.digits == 6:
            return f"{self._prefix}.{fraction // 1000:06d}Z"
        return f"{self._prefix}.{fraction:09d}Z" if self.digits == 9 else format_time(time_ns, self.digits)

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

    def record(self, client: bytes, number: int, started_ns: int, *, handshake: bool) -> model.Connection:
        """Return the empty report of a new connection. ``client``: the key of its client's direction."""
        server_end = endpoint(client, source=False)
        started = self.clock(started_ns)
        return model.Connection(
            id=number,
            client=endpoint(client, source=True),
            server=server_end,
            protocol="smtp",
            profile=self._profile or PROFILE_OF_PORT.get(server_end.port, "rfc5321"),
            tls="none",
            opening="handshake" if handshake else "midstream",
            closing="open",
            started=started,
            ended=started,
            client_bytes=0,
            server_bytes=0,
            gaps=[],
            dialogue=[],
            messages=[],
            findings=[],
        )

    def begin(self, flow: Flow, client: Stream) -> AttachedListener:
        """Start a conversation for ``flow``, which is SMTP. ``client``: the direction of the client."""
        number = self.next_id(client.key, flow.first_frame, handshake=flow.handshake)
        record = self.record(client.key, number, flow.started_ns, handshake=flow.handshake)
        fixed = self._profile is not None
        tap = None if self._tap is None else self._tap(record)
        talk = Conversation(
            record, self._judge, self.limits, self.clock, profile_fixed=fixed, detail=self._detail, tap=tap
        )
        talk.kept = flow.kept
        if flow.handshake and not client.peer.start_known:
            talk.server_syn_missing = True
        attached = AttachedListener(self, flow, client, talk)
        if tap is not None:
            client.deliver = tap.wrap_client(client.deliver)
        return attached

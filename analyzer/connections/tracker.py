"""Segments in, finished connections out: what ties streams, detection and conversations together."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING

from .. import model
from ..exchanges.conversation import Conversation, Judge
from ..exchanges.turns import NO_DETAIL, TurnDetail
from ..fastpath.buffer import Gatherer
from ..fastpath.hit import Repeat
from ..fastpath.recorder import Scout
from ..fastpath.trie import Ways
from ..limits import DEFAULT_LIMITS, Limits
from ..segments.decoder import SegmentSink, nobody
from ..streams.reassembler import Reassembler
from ..streams.stream import Flow
from ..timestamps import format_time
from .endpoints import endpoint
from .listeners import AttachedListener, CandidateListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..exchanges.conversation import ContentTap
    from ..fastpath.compact import Packed
    from ..fastpath.matcher import Walker
    from ..streams.stream import Stream
    from .partition import Places

__all__ = ["DEFAULT_PORTS", "PROFILE_OF_PORT", "Tracker"]

DEFAULT_PORTS = frozenset({25, 465, 587, 2525, 24})
PROFILE_OF_PORT = {587: "submission", 465: "submission", 24: "lmtp"}


class Tracker:
    """Feed it segments; finished connections gather in ``ended``, in the order in which they end."""

    def __init__(
        self,
        judge: Judge,
        *,
        ports: frozenset[int] = DEFAULT_PORTS,
        profile: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        detail: TurnDetail = NO_DETAIL,
        tap: Callable[[model.Connection], ContentTap] | None = None,
        learn: bool = True,
        early: bool = False,
    ) -> None:
        """``tap``: makes what takes the messages themselves of a connection that begins. ``learn``: False judges each
        connection in full, as if it were the first of its kind; so does whoever wants more of it than the report.
        ``early``: findings are told before a connection ends, so only ways without any are learned."""
        self.ended: deque[model.Connection | Repeat] = deque()
        self.digits = 6  # decimals of a second that the capture has
        self.streams = Reassembler(self._accept, limits)
        self.limits = limits
        self.servers = judge.servers
        self.ways = Ways()
        self._judge = judge
        self._port_bytes = frozenset(port.to_bytes(2, "big") for port in ports)
        self._profile = profile
        self._detail = detail
        self._tap = tap
        self.early = early
        self.places: Places | None = None
        learns = learn and detail == NO_DETAIL and tap is None
        self._gatherer = Gatherer(self, self.streams) if learns else None
        self.segment: SegmentSink = self.streams.feed if self._gatherer is None else self._gatherer.segment
        self.gathered = nobody if self._gatherer is None else self._gatherer.gathered
        self._last_id = 0
        self.judged = 0  # connections that were given to a conversation
        self._second_ns = -1_000_000_000
        self._prefix = ""  # that second as text

    def close(self) -> None:
        """The last source ended: finish every connection."""
        for _ in self.ending():
            pass

    def ending(self) -> Iterator[None]:
        """The same step by step, so that who takes from ``ended`` meanwhile need not hold all that was open at once."""
        gatherer, streams = self._gatherer, self.streams
        left: list[Flow | Walker | Packed] = [*streams.flows()]
        if gatherer is not None:
            gatherer.settle()
            left += gatherer.all()
        left.sort(key=attrgetter("started"), reverse=True)
        while left:
            one = left.pop()
            if self.places is not None:
                self.places.here = one.started
            if isinstance(one, Flow):
                streams.finish(one.a.key)
            elif gatherer is not None:
                gatherer.close(one)
                streams.finish(one.client)
            yield
        streams.close()

    @property
    def done(self) -> list[model.Connection]:
        """The reports of those that ended and were not taken yet."""
        return [one.connection() if isinstance(one, Repeat) else one for one in self.ended]

    def set_digits(self, digits: int) -> None:
        """From here on times have so many decimals of a second."""
        self.digits = digits

    @property
    def open(self) -> int:
        """Connections that go on."""
        return self.streams.open + (0 if self._gatherer is None else self._gatherer.open)

    def sweep(self, *times_ns: int) -> None:
        """Close what was idle too long or is too much, by the time of the capture; ``times_ns``: of the last frames."""
        for time_ns in times_ns:
            self.streams.clock.tick(time_ns)
        if self._gatherer is not None:
            self._gatherer.sweep()
        self.streams.sweep()

    def follows(self, key: bytes) -> bool:
        """Whether the connection that ``key`` is a flow of goes on, or began with a SYN and carried nothing yet."""
        return self.streams.follows(key) or (self._gatherer is not None and self._gatherer.gathered(key) is not None)

    def known(self) -> tuple[set[bytes], list[bytes]]:
        """Keys of both flows of all connections of which ``follows`` is true; and of those that are over."""
        going, over = self.streams.known()
        return going.union(() if self._gatherer is None else self._gatherer.keys()), over

    def under_way(self) -> Iterator[tuple[bytes, int, int]]:
        """Each connection that is open: the key of a flow, and the times of its first and its last frame; SYNs that
        wait for their connection are some too."""
        yield from self.streams.waiting()
        for flow in self.streams.flows():
            yield flow.a.key, flow.started_ns, flow.last_ns
        for one in self._gatherer.all() if self._gatherer is not None else ():
            yield one.client, one.started[0], one.last_ns

    def standing(self) -> Iterator[model.Connection]:
        """Reports of the connections that are open, as they stand; they go on growing."""
        self._release()
        for flow in self.streams.flows():
            if isinstance(flow.listener, AttachedListener):
                yield flow.listener.standing()

    def problems(self) -> list[str]:
        """What to say of the segments since this was last asked, in plain sentences."""
        return self.streams.problems()

    def clock(self, time_ns: int) -> str:
        """A time as the report shows it."""
        fraction = time_ns - self._second_ns
        if not 0 <= fraction < 1_000_000_000:
            fraction = time_ns % 1_000_000_000
            self._second_ns = time_ns - fraction
            self._prefix = format_time(time_ns, 0)[:-1]
        if self.digits == 6:
            return f"{self._prefix}.{fraction // 1000:06d}Z"
        return f"{self._prefix}.{fraction:09d}Z" if self.digits == 9 else format_time(time_ns, self.digits)

    def clocks(self, times_ns: Sequence[int]) -> list[str]:
        """The same of many times, of which most lie in one second."""
        clock = self.clock
        if self.digits != 6 or not times_ns:
            return [clock(time_ns) for time_ns in times_ns]
        clock(times_ns[0])
        second, prefix = self._second_ns, self._prefix
        after = second + 1_000_000_000
        return [
            f"{prefix}.{(time_ns - second) // 1000:06d}Z" if second <= time_ns < after else clock(time_ns)
            for time_ns in times_ns
        ]

    def ignore(self, flow: Flow) -> None:
        """``flow`` carries something else."""
        self.streams.ignore(flow)

    def forget_ways(self) -> None:
        """What was learned, and is being learned, was judged by other rules than those that hold from now on."""
        self._release()
        self.ways = Ways()
        for flow in self.streams.flows():
            if isinstance(flow.listener, Scout):
                flow.listener.stop()

    def clock_set(self, by_ns: int) -> None:
        """The clock that stamps segments was set by so much."""
        self._release()
        self.streams.clock_set(by_ns)

    def _release(self) -> None:
        """Whatever is gathered is judged now."""
        if self._gatherer is not None:
            self._gatherer.release()

    def next_id(self, client: bytes, first_frame: int, *, handshake: bool = True) -> int:
        """The number of a new connection. ``client``: a key of it."""
        if self.places is not None:
            self.places.begun.append((self.places.here, client, first_frame, handshake))
        self._last_id += 1
        return self._last_id

    def kind(self, server: bytes) -> object:
        """See ``gather.Leader``: connections of one port, on one machine or between two, are judged alike."""
        return (server[-4:-2], _is_loopback(server)) if server[-4:-2] in self._port_bytes else None

    def take(self, one: model.Connection | Repeat) -> None:
        """A connection ended."""
        if self.places is not None:
            self.places.note_end(self.streams.giving_up)
        self.ended.append(one)

    def _accept(self, flow: Flow) -> None:
        from_port, to_port = flow.a.key[-4:-2], flow.a.key[-2:]
        ports = self._port_bytes
        if self._gatherer is not None:
            flow.number = self._gatherer.number
        if flow.handshake:
            kind = None if self._gatherer is None else self.kind(flow.b.key)
            CandidateListener(self, flow, kind, smtp_port=to_port in ports)
        else:
            swapped = from_port in ports and to_port not in ports
            CandidateListener(self, flow, None, smtp_port=swapped or to_port in ports, swapped=swapped)

    def record(self, client: bytes, number: int, started_ns: int, *, handshake: bool) -> model.Connection:
        """See ``repeat.Guide``."""
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

    def begin(self, flow: Flow, client: Stream, kind: object = None) -> AttachedListener:
        """``flow`` carries SMTP and ``client`` is the client's direction: let a conversation judge it.

        ``kind``: of the ways that it may be learned for, None: none.
        """
        self.judged += 1
        if not flow.number:
            flow.number = self.next_id(client.key, flow.first_frame, handshake=flow.handshake)
        number = flow.number
        record = self.record(client.key, number, flow.started_ns, handshake=flow.handshake)
        fixed = self._profile is not None
        tap = None if self._tap is None else self._tap(record)
        talk = Conversation(
            record, self._judge, self.limits, self.clock, profile_fixed=fixed, detail=self._detail, tap=tap
        )
        talk.kept = flow.kept
        if flow.handshake and not client.peer.told:
            talk.server_syn_missing = True
        elif kind is not None:
            return Scout(self, flow, client, talk, kind)
        attached = AttachedListener(self, flow, client, talk)
        if tap is not None:
            client.deliver = tap.wrap_client(client.deliver)
        return attached


def _is_loopback(key: bytes) -> bool:
    """Whether the server, which the segments of ``key`` come from, is the client's own machine."""
    source = key[:4] if len(key) == 12 else key[:16]
    return source[:1] == b"\x7f" if len(source) == 4 else source == _LOOPBACK_6 or source[:13] == _LOOPBACK_4_IN_6


_LOOPBACK_6 = bytes(15) + b"\x01"
_LOOPBACK_4_IN_6 = bytes(10) + b"\xff\xff\x7f"

"""Turn segments into finished connections: connects streams, protocol detection and conversations."""

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
from ..segments.decoder import SegmentSink, gather_none
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
        learn: bool = True,
        early: bool = False,
    ) -> None:
        """``tap``: returns the receiver of a new connection's messages. ``learn``: False judges each connection in
        full, as if it were the first of its kind, which is also needed for anything beyond the report. ``early``:
        findings are reported before a connection ends, so only paths without findings are recorded."""
        self.ended: deque[model.Connection | Repeat] = deque()
        self.digits = 6  # decimals of a second in the times of the capture
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
        self.gathered = gather_none if self._gatherer is None else self._gatherer.gathered
        self._last_id = 0
        self.judged = 0  # connections that a conversation judged
        self._second_ns = -1_000_000_000
        self._prefix = ""  # that second as text

    def close(self) -> None:
        """End every connection, because the last source ended."""
        for _ in self.ending():
            pass

    def ending(self) -> Iterator[None]:
        """Do the same step by step, so that code that empties ``ended`` meanwhile needs less memory."""
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
        """The reports of the connections that ended and were not taken from ``ended`` yet."""
        return [one.connection() if isinstance(one, Repeat) else one for one in self.ended]

    def set_digits(self, digits: int) -> None:
        """Set the decimals of a second for the times from now on."""
        self.digits = digits

    @property
    def open(self) -> int:
        """Number of open connections."""
        return self.streams.open + (0 if self._gatherer is None else self._gatherer.open)

    def sweep(self, *times_ns: int) -> None:
        """Close connections that were idle too long or are too many. ``times_ns``: times of the last frames."""
        for time_ns in times_ns:
            self.streams.clock.tick(time_ns)
        if self._gatherer is not None:
            self._gatherer.sweep()
        self.streams.sweep()

    def follows(self, key: bytes) -> bool:
        """Return whether the connection with flow ``key`` is open, or has a SYN but no data so far."""
        return self.streams.follows(key) or (self._gatherer is not None and self._gatherer.gathered(key) is not None)

    def known(self) -> tuple[set[bytes], list[bytes]]:
        """Return the keys of both flows of all connections for which ``follows`` is true, and keys of closed ones."""
        going, over = self.streams.known()
        return going.union(() if self._gatherer is None else self._gatherer.keys()), over

    def under_way(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield each open connection, and each SYN without data so far: the key of a flow, and the times of the first
        and the last frame."""
        yield from self.streams.waiting()
        for flow in self.streams.flows():
            yield flow.a.key, flow.started_ns, flow.last_ns
        for one in self._gatherer.all() if self._gatherer is not None else ():
            yield one.client, one.started[0], one.last_ns

    def standing(self) -> Iterator[model.Connection]:
        """Yield the reports of the open connections so far. They will still grow."""
        self._release()
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

    def clocks(self, times_ns: Sequence[int]) -> list[str]:
        """Format many times, most of which are in the same second."""
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
        """Stop following ``flow``, which is not SMTP."""
        self.streams.ignore(flow)

    def forget_ways(self) -> None:
        """Drop everything that was recorded, because the rules have changed."""
        self._release()
        self.ways = Ways()
        for flow in self.streams.flows():
            if isinstance(flow.listener, Scout):
                flow.listener.stop()

    def clock_set(self, by_ns: int) -> None:
        """Shift all times by ``by_ns``, because the clock that stamps the segments was changed by that."""
        self._release()
        self.streams.clock_set(by_ns)

    def _release(self) -> None:
        """Judge all gathered connections now."""
        if self._gatherer is not None:
            self._gatherer.release()

    def next_id(self, client: bytes, first_frame: int, *, handshake: bool = True) -> int:
        """Return the number of a new connection. ``client``: a key of it."""
        if self.places is not None:
            self.places.numbered.append((self.places.here, client, first_frame, handshake))
        self._last_id += 1
        return self._last_id

    def kind(self, server: bytes) -> object:
        """See ``buffer.Leader``: connections of one port, on one machine or between two, are judged alike."""
        return (server[-4:-2], _is_loopback(server)) if server[-4:-2] in self._port_bytes else None

    def take(self, one: model.Connection | Repeat) -> None:
        """Take a connection that ended."""
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
        """See ``hit.Guide``."""
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
        """Start a conversation for ``flow``, which is SMTP. ``client``: the direction of the client.

        ``kind``: the group of paths that it may be recorded for, None if it must not be recorded.
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
        if flow.handshake and not client.peer.start_known:
            talk.server_syn_missing = True
        elif kind is not None:
            return Scout(self, flow, client, talk, kind)
        attached = AttachedListener(self, flow, client, talk)
        if tap is not None:
            client.deliver = tap.wrap_client(client.deliver)
        return attached


def _is_loopback(key: bytes) -> bool:
    """Return whether the server, the sender of the segments of ``key``, is the client's own machine."""
    source = key[:4] if len(key) == 12 else key[:16]
    return source[:1] == b"\x7f" if len(source) == 4 else source == _LOOPBACK_6 or source[:13] == _LOOPBACK_4_IN_6


_LOOPBACK_6 = bytes(15) + b"\x01"
_LOOPBACK_4_IN_6 = bytes(10) + b"\xff\xff\x7f"

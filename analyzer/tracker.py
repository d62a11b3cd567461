"""Segments in, finished connections out: what ties streams, detection and conversations together."""

from __future__ import annotations

from collections import deque
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING, Any, Literal

from . import model
from .conversation import Conversation, Judge
from .detect import Verdict, judge_heads, preamble
from .dialogue import NO_DETAIL, Detail
from .limits import DEFAULT_LIMITS, Limits
from .reassembler import Reassembler
from .times import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conversation import ContentTap
    from .streams import Flow, Stream

__all__ = ["DEFAULT_PORTS", "PROFILE_OF_PORT", "Tracker", "endpoint"]

DEFAULT_PORTS = frozenset({25, 465, 587, 2525, 24})
PROFILE_OF_PORT = {587: "submission", 465: "submission", 24: "lmtp"}


def endpoint(key: bytes, *, source: bool) -> model.Endpoint:
    """One end of a flow key (source address, destination address, source port, destination port)."""
    half = (len(key) - 4) // 2
    address = key[:half] if source else key[half : 2 * half]
    port = key[-4:-2] if source else key[-2:]
    return model.Endpoint(inet_ntop(AF_INET if half == 4 else AF_INET6, address), int.from_bytes(port, "big"))


class Tracker:
    """Feed it segments; finished connections gather in ``done``, in the order in which they end."""

    def __init__(
        self,
        judge: Judge,
        *,
        ports: frozenset[int] = DEFAULT_PORTS,
        profile: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        detail: Detail = NO_DETAIL,
        tap: Callable[[model.Connection], ContentTap] | None = None,
    ) -> None:
        """``tap``: makes what takes the messages themselves of a connection that begins."""
        self.done: deque[model.Connection] = deque()
        self.digits = 6  # decimals of a second that the capture has
        self.streams = Reassembler(self._accept, limits)
        self.segment = self.streams.feed
        self._judge = judge
        self._ports = ports
        self._profile = profile
        self._limits = limits
        self._detail = detail
        self._tap = tap
        self._last_id = 0
        self._second = -1
        self._prefix = ""  # that second as text

    def close(self) -> None:
        """The last source ended: finish every connection."""
        self.streams.close()

    def sweep(self) -> None:
        """Close what was idle too long or is too much, by the time of the capture."""
        self.streams.sweep()

    def standing(self) -> Iterator[model.Connection]:
        """Reports of the connections that are open, as they stand; they go on growing."""
        for flow in self.streams.flows():
            if isinstance(flow.listener, Attached):
                yield flow.listener.standing()

    def clock(self, time_ns: int) -> str:
        """A time as the report shows it."""
        second, fraction = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._prefix = format_time(time_ns, 0)[:-1]
        if self.digits == 6:
            return f"{self._prefix}.{fraction // 1000:06d}Z"
        return f"{self._prefix}.{fraction:09d}Z" if self.digits == 9 else format_time(time_ns, self.digits)

    def _accept(self, flow: Flow) -> None:
        Candidate(self, flow, self._ports, self._limits)

    def begin(self, flow: Flow, client: Stream) -> Conversation:
        """``flow`` carries SMTP and ``client`` is the client's direction."""
        self._last_id += 1
        server_end = endpoint(client.key, source=False)
        profile = self._profile or PROFILE_OF_PORT.get(server_end.port, "rfc5321")
        started = self.clock(flow.started_ns)
        record = model.Connection(
            id=self._last_id,
            client=endpoint(client.key, source=True),
            server=server_end,
            protocol="smtp",
            profile=profile,
            tls="none",
            opening="handshake" if flow.handshake else "midstream",
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
        fixed = self._profile is not None
        tap = None if self._tap is None else self._tap(record)
        talk = Conversation(
            record, self._judge, self._limits, self.clock, profile_fixed=fixed, detail=self._detail, tap=tap
        )
        Attached(self, flow, client, talk)
        if tap is not None:
            client.deliver = tap.overhear(client.deliver)
        return talk


class Attached:
    """Listener of a flow whose conversation is known."""

    __slots__ = ("_client", "_flow", "_talk", "_tracker")

    def __init__(self, tracker: Tracker, flow: Flow, client: Stream, talk: Conversation) -> None:
        self._tracker = tracker
        self._flow = flow
        self._client = client
        self._talk = talk
        client.deliver = talk.client
        client.peer.deliver = talk.server
        flow.listener = self

    def _side(self, stream: Stream) -> model.Side:
        return "client" if stream is self._client else "server"

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._talk.gap(self._side(stream), offset, length, frame, time_ns)

    def closed(self, stream: Stream, how: Literal["fin", "rst"], frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._talk.closed(self._side(stream), how, frame, time_ns, stream.peer.acked)

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._talk.conflict(self._side(stream), offset, frame, time_ns)

    def finish(self, why: str) -> None:
        """See ``streams.Listener``."""
        record = self.standing()
        if why:
            record.notes.append(why)
        self._talk.course.captured = self._client.seen and self._client.peer.seen
        self._tracker.done.append(self._talk.finish())

    def standing(self) -> model.Connection:
        """The report as it stands; it goes on growing."""
        record = self._talk.record
        record.client_bytes = self._client.offset
        record.server_bytes = self._client.peer.offset
        record.ended = self._tracker.clock(self._flow.last_ns)
        return record


_GREETS = frozenset({b"220 ", b"220-"})


class Candidate:
    """Listener of a flow that may carry SMTP: keeps what comes until the first bytes tell, then hands it on."""

    __slots__ = ("_events", "_flow", "_heads", "_limits", "_smtp_port", "_swapped", "_tracker")

    def __init__(self, tracker: Tracker, flow: Flow, ports: frozenset[int], limits: Limits) -> None:
        self._tracker = tracker
        self._flow = flow
        self._limits = limits
        self._events: list[tuple[str, Stream, tuple[Any, ...]]] = []
        self._heads = {flow.a: b"", flow.b: b""}
        from_port, to_port = (endpoint(flow.a.key, source=source).port for source in (True, False))
        self._swapped = not flow.handshake and from_port in ports and to_port not in ports
        self._smtp_port = (from_port if self._swapped else to_port) in ports
        flow.listener = self
        flow.a.deliver = self._deliver_a
        flow.b.deliver = self._deliver_b

    def _deliver_a(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data(self._flow.a, payload, offset, frame, time_ns, seen)

    def _deliver_b(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data(self._flow.b, payload, offset, frame, time_ns, seen)

    def _data(self, stream: Stream, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        flow = self._flow
        if self._smtp_port and not self._events and stream is flow.b and flow.handshake and payload[:4] in _GREETS:
            self._tracker.begin(flow, flow.a)  # what nearly every connection begins with needs no second look
            stream.deliver(payload, offset, frame, time_ns, seen)
            return
        self._events.append(("data", stream, (payload, offset, frame, time_ns, seen)))
        if len(self._heads[stream]) < self._limits.sniffed_bytes or not self._limits.sniffed_bytes:
            self._heads[stream] += payload
        self._decide(over=False)

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._events.append(("gap", stream, (offset, length, frame, time_ns)))

    def closed(self, stream: Stream, how: Literal["fin", "rst"], frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._events.append(("closed", stream, (how, frame, time_ns)))

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """See ``streams.Listener``."""
        self._events.append(("conflict", stream, (offset, frame, time_ns)))

    def finish(self, why: str) -> None:
        """See ``streams.Listener``."""
        if self._decide(over=True):
            self._flow.listener.finish(why)

    def _decide(self, *, over: bool) -> bool:
        """Whether it is SMTP; False also while that is open."""
        flow = self._flow
        first = flow.b if self._swapped else flow.a
        orders = [(first, first.peer)]
        if not flow.handshake and not self._smtp_port:
            orders.append((first.peer, first))  # neither SYN nor port tells who is the client
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
                verdict = Verdict.SMTP  # all of it was lost: that is worth a line in the report
            if verdict is Verdict.SMTP:
                self._hand_on(client, skip)
                return True
            undecided = undecided or verdict is Verdict.UNDECIDED
        if not over and (full or not undecided):
            self._tracker.streams.ignore(flow)
        return False

    def _hand_on(self, client: Stream, skip: tuple[int, int]) -> None:
        flow, events = self._flow, self._events
        left = {client: skip[0], client.peer: skip[1]}
        self._tracker.begin(flow, client)
        for kind, stream, event in events:
            if kind == "data":
                payload, offset, frame, time_ns, seen = event
                cut = min(left[stream], len(payload))
                left[stream] -= cut
                if cut < len(payload):
                    stream.deliver(payload[cut:], offset + cut, frame, time_ns, seen)
            elif kind == "gap":
                flow.listener.gap(stream, *event)
            elif kind == "closed":
                flow.listener.closed(stream, *event)
            else:
                flow.listener.conflict(stream, *event)

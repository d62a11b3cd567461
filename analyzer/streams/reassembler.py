"""Turn TCP segments in any order into both byte streams of each connection, in the order in which they were sent."""

# Theory
# ------
# Bytes that an ACK proves to be lost become a gap (`gaps`).
#
# A RST without the expected sequence number counts only if its sender sends nothing after it (`resets`). A SYN to an
# open connection ends that connection only if the SYN is answered, or followed by the next segment (RFC 5961 §4.2).
#
# The SYN gives the start of a stream. If the SYN was lost, the ACK of the peer's handshake gives it.
#
# If each side waits for the other, nothing is out of order, and a segment costs one comparison of four numbers: the
# fast path at the top of feed().

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from ..limits import DEFAULT_LIMITS, Limits
from .capture_clock import IdleClock
from .causal_order import pump
from .gaps import declare_gaps, record_ack, record_end, withdraw
from .handshakes import ACK, SYN, Handshakes, drop_oldest
from .memory_pressure import FLOW_COST, GROWTH_PER_FLOW, heaviest, relieve, weight
from .ordering import (
    RECENT_BYTES,
    RECENT_CHUNKS,
    drain,
    guess_fin,
    lose,
    put,
    reach_fin,
    reach_guessed_fin,
    take_fin,
    trim,
)
from .resets import RST, is_doubtful
from .stream import HALF, M32, SANE_AHEAD, Flow, KeptCount, Stream, reversed_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .stream import How, Reset

__all__ = ["Reassembler"]

FIN = 0x01

_LATE_NS = 1_000_000_000  # how late a SYN may be captured after its first segment; later it starts a new connection


class _IgnoringListener:
    """The listener of a connection that is no longer followed."""

    def data(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None: ...
    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None: ...
    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None: ...
    def weight(self) -> int:
        return 0

    def finish(self, why: str) -> None: ...


_IGNORING = _IgnoringListener()


class Reassembler:
    """Takes segments. For each connection with data it calls ``accept`` to get listeners, and reports to them.

    ``accept(flow)`` is called at the first payload byte and must set ``listener`` and both streams' ``deliver``.
    """

    def __init__(self, accept: Callable[[Flow], None], limits: Limits = DEFAULT_LIMITS) -> None:
        self._accept = accept
        self._limits = limits
        self._streams: dict[bytes, Stream] = {}
        self._handshakes = Handshakes(limits.handshakes)
        self._closed: dict[bytes, int | None] = {}  # key: isn
        self.ignored: set[bytes] = set()  # flows that are not SMTP; sources may omit their segments
        self.clock = IdleClock()
        self.kept = KeptCount()
        self._free = limits.all_held_bytes  # bytes that may be kept before all connections are weighed
        self.relieved = 0  # connections whose missing bytes were declared lost, because all held too much
        self.evicted = 0
        # Streams that were first seen in mid-stream and got a SYN that nothing has answered.
        self._unanswered_syns: set[bytes] = set()
        self.unclear = False  # another segment came there; earlier segments decide which connection it belongs to
        self.giving_up: Flow | None = None
        self.crowded = 0  # connections that were dropped because too many were open

    @property
    def open(self) -> int:
        """Number of connections that are followed now."""
        return len(self._streams) // 2

    def flows(self) -> list[Flow]:
        """Return the connections that are followed now, oldest first."""
        return [stream.flow for stream in self._streams.values() if stream is stream.flow.a]

    def follows(self, key: bytes) -> bool:
        """Return whether the connection with stream ``key`` is followed, or has a SYN that waits."""
        return key in self._streams or key in self._handshakes or reversed_key(key) in self._handshakes

    def known(self) -> tuple[set[bytes], list[bytes]]:
        """Return the keys of both streams of all connections for which ``follows`` is true, and keys of closed ones."""
        waiting = [*self._handshakes]
        return {*self._streams, *waiting, *map(reversed_key, waiting)}, [*self._closed]

    def waiting(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield the SYNs of connections without data so far: the key, and the time twice."""
        for key, syn in self._handshakes.items():
            yield key, syn.time_ns, syn.time_ns

    @property
    def idle(self) -> bool:
        """Whether nothing is followed and no SYN waits."""
        return not self._streams and not self._handshakes

    @property
    def remembered(self) -> int:
        """Number of streams of closed connections whose late copies are still recognised."""
        return len(self._closed)

    @property
    def pressed(self) -> bool:
        """Whether ``problems`` has something to report."""
        return self.relieved > 0 or self._handshakes.forgotten > 0

    def clock_set(self, by_ns: int) -> None:
        """Shift all times by ``by_ns``, because the clock that stamps the segments was changed by that."""
        self.clock.adjust(by_ns)
        for flow in self.flows():
            flow.last_ns += by_ns

    def feed(
        self,
        key: bytes,
        seq: int,
        ack: int,
        flags: int,
        payload: bytes,
        missing: int,
        frame: int,
        time_ns: int,
    ) -> None:
        """Take one segment.

        ``key``: source and destination address, source and destination port as they stand in the headers.
        ``missing``: payload bytes that followed ``payload`` on the wire but were not captured (snap length).
        """
        stream = self._streams.get(key)
        if stream is not None and seq == stream.next and not flags & 7 and not missing:
            flow = stream.flow
            peer = stream.peer
            in_flight = (peer.next - ack) & M32  # bytes of the peer that the sender has not acknowledged
            if in_flight < HALF and not flow.busy and peer.next >= 0:
                flow.last_ns = time_ns
                if payload:
                    length = len(payload)
                    offset = stream.offset
                    stream.next = (seq + length) & M32
                    stream.offset = stream.top = offset + length
                    recent = stream.recent
                    recent.append(payload)
                    if length > RECENT_BYTES or len(recent) > RECENT_CHUNKS:
                        trim(recent)
                    stream.deliver(payload, offset, frame, time_ns, peer.offset - in_flight)
                return
        self._segment(stream, key, seq, ack, flags, payload, missing, frame, time_ns)

    def close(self) -> None:
        """End all open connections, because the source ended."""
        for flow in self.flows():
            self.finish(flow.a.key)
        self._handshakes.clear()

    def finish(self, key: bytes) -> None:
        """End the connection with stream ``key``, if there is one."""
        stream = self._streams.get(key)
        if stream is not None:
            self._end(stream.flow, "", stream.flow.last_ns)

    def ignore(self, flow: Flow) -> None:
        """Stop following ``flow`` without a report, because it is not SMTP."""
        self._drop(flow)
        self.ignored |= {flow.a.key, flow.b.key}
        _detach(flow)

    def sweep(self) -> None:
        """Close connections that were idle too long or are too many. Cheap if called often."""
        limits = self._limits
        if self.kept.grown > self._free and limits.all_held_bytes:
            self._weigh()
        clock = self.clock
        crowded = limits.connections and self.open > limits.connections
        if not clock.sweep_expected and not crowded:
            return
        clock.note_sweep()
        flows = {id(stream.flow): stream.flow for stream in self._streams.values()}
        if limits.idle_seconds:
            oldest = clock.now_ns - limits.idle_seconds * 1_000_000_000
            idle = [flow for flow in flows.values() if flow.last_ns < oldest]
            for flow in sorted(idle, key=attrgetter("started")):
                self._evict(flow, f"no longer followed: idle for more than {limits.idle_seconds} s")
        if limits.connections and self.open > limits.connections:
            alive = sorted(
                (f for f in flows.values() if f.a.key in self._streams), key=attrgetter("last_ns", "started")
            )
            for flow in alive[: self.open - limits.connections + limits.connections // 10]:
                self.crowded += 1
                self._evict(flow, f"no longer followed: more than {limits.connections} connections were open")

    def _weigh(self) -> None:
        """Weigh all connections. If together they hold too much, relieve those that hold most."""
        limit = self._limits.all_held_bytes
        total, chosen = heaviest(self.flows(), limit)
        for flow in chosen:
            before = weight(flow)
            self.relieved += 1
            relieve(flow)
            total += weight(flow) - before
            if total > limit // 2 and weight(flow) > before // 2 and flow.a.key in self._streams:
                total -= weight(flow)
                self._evict(flow, f"no longer followed: all connections together held more than {limit} bytes")
        self.kept.grown = 0
        self._free = max(limit // 8, limit - total, GROWTH_PER_FLOW * self.open)

    def problems(self) -> list[str]:
        """Return what limits did to connections that no other note reports, since the last call, as plain sentences."""
        forgotten, self._handshakes.forgotten = self._handshakes.forgotten, 0
        relieved, self.relieved = self.relieved, 0
        limits, sentences = self._limits, []
        if forgotten:
            waited = f"more than {limits.handshakes} handshakes waited for their connection's first bytes"
            sentences.append(f"{waited}: {forgotten} were forgotten")
        if relieved:
            held = f"all connections together held more than {limits.all_held_bytes} bytes"
            sentences.append(f"{held}: missing bytes were declared lost in {relieved} of them")
        return sentences

    # -- the slow path ---------------------------------------------------------------------------------------------

    def _segment(
        self,
        stream: Stream | None,
        key: bytes,
        seq: int,
        ack: int,
        flags: int,
        payload: bytes,
        missing: int,
        frame: int,
        time_ns: int,
    ) -> None:
        self.clock.segment_at(time_ns)
        self.unclear = self.unclear or (key in self._unanswered_syns and not flags & SYN)
        if flags & SYN:
            stream = self._syn(stream, key, seq, ack, flags, frame, time_ns)
            seq = (seq + 1) & M32
            if stream is None and key in self._streams:
                return  # the open connection continues for now
        elif stream is not None and seq != stream.next and self._handshakes.follows(key, seq):
            self._replace(stream, key, time_ns)
            stream = None
        if stream is None:
            if not (payload or missing) and (flags & SYN or not self._handshakes.carried_data(key, seq, ack)):
                return
            if key in self._closed:
                return
            stream = self._open(key, seq, frame, time_ns)
        flow = stream.flow
        flow.frames += 1
        flow.last_ns = time_ns
        peer = stream.peer
        if stream.next < 0:
            if not payload and not flags & (SYN | FIN) and not flow.handshake:
                return  # in mid-stream a bare ACK may be a keep-alive: it does not show the position of the stream
            stream.begin(seq)
        stream.seen = True
        start = stream.at(seq)
        if (flags & RST or flow.reset is not None) and is_doubtful(stream, start, flags, ack, frame, time_ns):
            return
        needs = record_ack(peer, ack, frame, self._limits) if flags & ACK else -1
        end = record_end(stream, start, start + len(payload) + missing, frame)
        if flags & RST:
            self._end(flow, "", time_ns, stream, frame)
            return
        if flags & FIN and end < stream.offset + SANE_AHEAD:
            take_fin(stream, end, needs, frame, time_ns)
        if payload or missing:
            put(stream, start, payload, needs, frame, time_ns)
            if missing and not peer.seen and stream.offset < stream.top and not stream.held:
                # With one direction captured no ACK can show that these bytes arrived, so they are declared lost now.
                lose(stream, stream.top - stream.offset, frame, time_ns)
        reach_fin(stream)
        self._settle(flow, frame, time_ns)

    def _syn(
        self, stream: Stream | None, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int
    ) -> Stream | None:
        """Remember the SYN. If it is answered, end the open connection with the same ports."""
        if stream is not None:
            if not stream.flow.handshake:
                self._unanswered_syns |= {key, stream.peer.key}
                stream.flow.busy = True  # the next segments must take the slow path
            if flags & ACK and self._handshakes.answers(key, ack):
                self._replace(stream, key, time_ns)
            elif stream.isn == seq:
                return stream
            elif (
                stream.isn is None
                and stream.next in (-1, (seq + 1) & M32)
                and abs(time_ns - stream.flow.started_ns) <= _LATE_NS
            ):
                self.unclear = True
                stream.isn = seq
                stream.start_known = stream.flow.handshake = True
                return stream
        if key in self._closed:
            if self._closed[key] == seq:
                return None  # a late copy
            self._forget(key)
        else:
            self._handshakes.make_room()
        self._handshakes.note(key, seq, ack, flags, frame, time_ns)
        return None

    def _replace(self, stream: Stream, key: bytes, time_ns: int) -> None:
        """End a connection, because another one uses the ports now."""
        self._end(stream.flow, "a new connection started with the same addresses and ports", time_ns)
        self._forget(key)

    def _open(self, key: bytes, seq: int, frame: int, time_ns: int) -> Stream:
        """Open a connection at its first payload: make two streams from the data of the handshake."""
        mine, theirs = self._handshakes.take(key, seq)
        stream, peer = Stream(key), Stream(reversed_key(key))
        responder_first = (mine is not None and mine.answers) or (theirs is not None and not theirs.answers)
        one, other = (peer, stream) if responder_first else (stream, peer)
        flow = Flow(one, other, frame, time_ns, self.kept)
        self.kept.grown += FLOW_COST
        for one, known in ((stream, mine), (peer, theirs)):
            if known is not None:
                one.isn = known.isn
                one.next = (known.isn + 1) & M32
                one.seen = one.start_known = True
                one.peer.base = known.acked
                one.peer.start_known = one.peer.start_known or known.answers
        syns = [known for known in (mine, theirs) if known is not None]
        if syns:  # do not compare frame numbers, which restart in each file; times alone may go back
            syn = min(syns, key=attrgetter("answers", "time_ns"))
            flow.handshake, flow.first_frame, flow.started_ns = True, syn.frame, syn.time_ns
        self._streams[key] = stream
        self._streams[peer.key] = peer
        self._accept(flow)
        return stream

    # -- losses and ends -------------------------------------------------------------------------------------------

    def _settle(self, flow: Flow, frame: int, time_ns: int) -> None:
        """After each segment on the slow path: deliver, declare proven losses, end the connection if it is over."""
        a, b = flow.a, flow.b
        if not flow.busy and a.top <= a.offset and b.top <= b.offset and not (a.queue or b.queue or a.held or b.held):
            flow.busy = a.fin >= 0 or b.fin >= 0 or flow.reset is not None
            if a.finished and b.finished:
                self._end(flow, "", time_ns)
            return
        pump(flow, force=False)
        for stream in (a, b):
            declare_gaps(stream, self._limits, frame, time_ns)
        if a.queue and b.queue and a.top <= a.offset and b.top <= b.offset:
            pump(flow, force=True)
        for stream in (a, b):
            if stream.queue and len(stream.queue) > self._limits.held_segments > 0:
                pump(flow, force=True)
        flow.busy = bool(
            a.queue or b.queue or a.held or b.held or a.top > a.offset or b.top > b.offset or a.fin >= 0 or b.fin >= 0
        )
        flow.busy = flow.busy or flow.reset is not None
        if a.finished and b.finished and not a.queue and not b.queue:
            self._end(flow, "", time_ns)

    def _end(self, flow: Flow, why: str, time_ns: int, reset: Stream | None = None, frame: int = 0) -> None:
        """Deliver everything that is left, with gaps for missing bytes, and forget the connection."""
        if reset is None and flow.reset is not None:
            reset, frame, time_ns = self._accept_reset(flow.reset)
        rounds = 0 if flow.a.settled and flow.b.settled else 2  # a gap in one stream may release the other
        for _ in range(rounds):
            for stream in (flow.a, flow.b):
                while stream.held:
                    last = stream.held[0].frame
                    lose(stream, stream.held[0].start - stream.offset, last, time_ns)
                    drain(stream)
                    reach_fin(stream)
                    pump(flow, force=False)  # the answer of the peer comes before the next gap
                if stream.doubts:
                    withdraw(stream)
                if stream.top > stream.offset and stream.next >= 0 and not guess_fin(stream):
                    lose(stream, stream.top - stream.offset, stream.top_frame, time_ns)
                reach_fin(stream)
                reach_guessed_fin(stream, time_ns)
            pump(flow, force=True)
        if reset is not None:
            flow.listener.closed(reset, "rst", frame, time_ns, reset.peer.acked)
        self._drop(flow)
        flow.listener.finish(why)
        _detach(flow)  # breaks a reference cycle, which would stay until the garbage collector runs

    def _accept_reset(self, reset: Reset) -> tuple[Stream, int, int]:
        """Accept a RST as the end, because nothing of its sender came after it, and use its numbers."""
        stream, start, ack, frame, time_ns = reset
        if ack >= 0:
            record_ack(stream.peer, ack, frame, self._limits)
        record_end(stream, start, start, frame)
        return stream, frame, time_ns

    def _drop(self, flow: Flow) -> None:
        for stream in (flow.a, flow.b):
            self._streams.pop(stream.key, None)
            self._unanswered_syns.discard(stream.key)
            self._close(stream.key, stream.isn)

    def _close(self, key: bytes, isn: int | None) -> None:
        self._closed.pop(key, None)  # to move it to the end
        self._closed[key] = isn
        if len(self._closed) > 2 * self._limits.closed_connections > 0:
            drop_oldest(self._closed, self.ignored)

    def _evict(self, flow: Flow, why: str) -> None:
        self.evicted += 1
        self.giving_up = flow
        self._end(flow, why, flow.last_ns)
        self.giving_up = None

    def _forget(self, key: bytes) -> None:
        for one in (key, reversed_key(key)):
            self._closed.pop(one, None)
            self.ignored.discard(one)


def _detach(flow: Flow) -> None:
    """Detach the listeners from ``flow``."""
    flow.listener = _IGNORING
    flow.a.deliver = flow.b.deliver = _IGNORING.data
    flow.a.recent, flow.b.recent = [], []

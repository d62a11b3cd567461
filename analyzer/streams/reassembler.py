"""TCP segments of any order in, both byte streams of each connection out, in the order in which they happened."""

# Theory
# ------
# What an ACK proves to be lost becomes a gap (losses.py).
#
# A RST that has not the number that is expected counts only if its sender says nothing more (resets.py). A SYN to an
# open connection ends that only when it is answered, or followed by what comes next (RFC 5961 §4.2).
#
# Where a stream begins, its SYN tells; where that was lost, what the peer's handshake record_ack.
#
# In lockstep nothing waits, and a segment costs one comparison of four numbers: the fast road at the top of feed().

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

    from ..segments.decoder import WholeSegment
    from .stream import How, Reset

__all__ = ["Reassembler"]

FIN = 0x01

_LATE_NS = 1_000_000_000  # that a SYN may be captured in_flight what follows it; later it begins something new


class _IgnoringListener:
    """Listens to a connection that is followed no further."""

    def data(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None: ...
    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None: ...
    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None: ...
    def weight(self) -> int:
        return 0

    def finish(self, why: str) -> None: ...
    def discard(self) -> bool:
        return False


_IGNORING = _IgnoringListener()


class Reassembler:
    """Feed it segments; for each connection with data it asks ``accept`` for listeners and reports to them.

    ``accept(flow)`` is called at the first payload byte and must set ``listener`` and both streams' ``deliver``.
    """

    def __init__(self, accept: Callable[[Flow], None], limits: Limits = DEFAULT_LIMITS) -> None:
        self._accept = accept
        self._limits = limits
        self._streams: dict[bytes, Stream] = {}
        self._handshakes = Handshakes(limits.handshakes)
        self._closed: dict[bytes, int | None] = {}  # key: isn
        self.ignored: set[bytes] = set()  # of these, what carries something else: sources may leave it out
        self.clock = IdleClock()
        self.kept = KeptCount()
        self._free = limits.all_held_bytes  # bytes that may be kept before all are weighed
        self.relieved = 0  # connections whose holes were waited for no longer, for what all held together
        self.evicted = 0
        self._unanswered_syns: set[bytes] = (
            set()
        )  # streams seen in mid-stream, to which a SYN came that nothing has answered
        self.unclear = False  # something else came there: whose it is depends on what was before
        self.giving_up: Flow | None = None
        self.crowded = 0  # connections that were given up because too many were open

    @property
    def open(self) -> int:
        """Connections followed now."""
        return len(self._streams) // 2

    def flows(self) -> list[Flow]:
        """The connections followed now, the oldest first."""
        return [stream.flow for stream in self._streams.values() if stream is stream.flow.a]

    def follows(self, key: bytes) -> bool:
        """Whether the connection that ``key`` is a stream of is followed, or a SYN of it waits."""
        return key in self._streams or key in self._handshakes or reversed_key(key) in self._handshakes

    def known(self) -> tuple[set[bytes], list[bytes]]:
        """Keys of both streams of all connections of which ``follows`` is true; and of those that are over."""
        waiting = [*self._handshakes]
        return {*self._streams, *waiting, *map(reversed_key, waiting)}, [*self._closed]

    def waiting(self) -> Iterator[tuple[bytes, int, int]]:
        """SYNs of connections that carried nothing yet: the key, and twice the time."""
        for key, syn in self._handshakes.items():
            yield key, syn.time_ns, syn.time_ns

    @property
    def idle(self) -> bool:
        """Whether nothing is followed, and no SYN waits."""
        return not self._streams and not self._handshakes

    @property
    def remembered(self) -> int:
        """Streams of connections that are over, of which late copies are still known."""
        return len(self._closed)

    @property
    def pressed(self) -> bool:
        """Whether ``problems`` has something to say."""
        return self.relieved > 0 or self._handshakes.forgotten > 0

    def clock_set(self, by_ns: int) -> None:
        """The clock that stamps segments was set by so much: what is idle is so by the new time."""
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
        ``missing``: payload bytes that were on the wire in_flight ``payload`` but not captured (snap length).
        """
        stream = self._streams.get(key)
        if stream is not None and seq == stream.next and not flags & 7 and not missing:
            flow = stream.flow
            peer = stream.peer
            in_flight = (peer.next - ack) & M32  # bytes of the peer in flight towards the sender
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
        """The source ended: report what is still open."""
        for flow in self.flows():
            self.finish(flow.a.key)
        self._handshakes.clear()

    def finish(self, key: bytes) -> None:
        """Nothing more comes of the connection, if any, that ``key`` is a stream of."""
        stream = self._streams.get(key)
        if stream is not None:
            self._end(stream.flow, "", stream.flow.last_ns)

    def answered(self, key: bytes, ack: int) -> WholeSegment | None:
        """The SYN that a segment with SYN and ACK of ``key`` answers, if nothing else is known between the two. It is
        forgotten here: somebody else follows the connection."""
        if key in self._streams or key in self._closed:
            return None
        return self._handshakes.take_answered(key, ack)

    def discard(self, client: bytes) -> int | None:
        """Forget the connection, which will be fed again from the beginning if it goes on; returns its number. None:
        it is not followed here, or not as plain as that takes."""
        stream = self._streams.get(client)
        if stream is None or stream.flow.a is not stream:
            return None
        flow, peer = stream.flow, stream.peer
        plain = stream.settled and peer.settled and stream.fin < 0 and peer.fin < 0
        # Where a stray segment came first, its SYN counts as somebody else's, and it began later than told anew.
        plain = plain and stream.isn is not None
        if flow.busy or not plain or stream.overlap or peer.overlap or not flow.listener.discard():
            return None
        del self._streams[client], self._streams[peer.key]
        _detach(flow)
        del stream.peer, peer.peer
        return flow.number

    def ended(self, client: bytes, server: bytes, isn: tuple[int, int]) -> None:
        """A connection that somebody else followed is over: what comes late of it is nothing new."""
        self._close(client, isn[0])
        self._close(server, isn[1])

    def ignore(self, flow: Flow) -> None:
        """Follow ``flow`` no further and report nothing of it: it carries something else."""
        self._drop(flow)
        self.ignored |= {flow.a.key, flow.b.key}
        _detach(flow)

    def sweep(self) -> None:
        """Close what was idle too long and what exceeds the number of connections. Cheap when called often."""
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
                self._evict(flow, f"followed no further: idle for more than {limits.idle_seconds} s")
        if limits.connections and self.open > limits.connections:
            alive = sorted(
                (f for f in flows.values() if f.a.key in self._streams), key=attrgetter("last_ns", "started")
            )
            for flow in alive[: self.open - limits.connections + limits.connections // 10]:
                self.crowded += 1
                self._evict(flow, f"followed no further: more than {limits.connections} connections were open")

    def _weigh(self) -> None:
        """All connections together may hold too much back: relieve those that hold most."""
        limit = self._limits.all_held_bytes
        total, chosen = heaviest(self.flows(), limit)
        for flow in chosen:
            before = weight(flow)
            self.relieved += 1
            relieve(flow)
            total += weight(flow) - before
            if total > limit // 2 and weight(flow) > before // 2 and flow.a.key in self._streams:
                total -= weight(flow)
                self._evict(flow, f"followed no further: all connections together held back more than {limit} bytes")
        self.kept.grown = 0
        self._free = max(limit // 8, limit - total, GROWTH_PER_FLOW * self.open)

    def problems(self) -> list[str]:
        """What limits did to connections of which nothing else tells, since this was last asked; in plain sentences."""
        forgotten, self._handshakes.forgotten = self._handshakes.forgotten, 0
        relieved, self.relieved = self.relieved, 0
        limits, sentences = self._limits, []
        if forgotten:
            waited = f"more than {limits.handshakes} handshakes waited for their connection's first bytes"
            sentences.append(f"{waited}: {forgotten} were forgotten")
        if relieved:
            held = f"all connections together held back more than {limits.all_held_bytes} bytes"
            sentences.append(f"{held}: what {relieved} waited for was taken for lost")
        return sentences

    # -- the slow road ---------------------------------------------------------------------------------------------

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
                return  # whose connection goes on, for now
        elif stream is not None and seq != stream.next and self._handshakes.follows(key, seq):
            self._replace(stream, key, time_ns)
            stream = None
        if stream is None:
            if not (payload or missing) and (flags & SYN or not self._handshakes.carried(key, seq, ack)):
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
                return  # in mid-stream a bare ACK may be a keep-alive: it does not tell where the stream stands
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
                # With one direction captured no ACK will tell that these bytes came through, so they are lost now.
                lose(stream, stream.top - stream.offset, frame, time_ns)
        reach_fin(stream)
        self._settle(flow, frame, time_ns)

    def _syn(
        self, stream: Stream | None, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int
    ) -> Stream | None:
        """Remember the handshake; one that is answered ends the connection that held the ports."""
        if stream is not None:
            if not stream.flow.handshake:
                self._unanswered_syns |= {key, stream.peer.key}
                stream.flow.busy = True  # what comes next takes the slow road
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
        """Another connection holds the ports now."""
        self._end(stream.flow, "the same addresses and ports began a new connection", time_ns)
        self._forget(key)

    def _open(self, key: bytes, seq: int, frame: int, time_ns: int) -> Stream:
        """First payload of a connection: make its two streams from what the handshake told."""
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
        if syns:  # not by the numbers of their frames, which begin anew in every file, nor by times, which may go back
            syn = min(syns, key=attrgetter("answers", "time_ns"))
            flow.handshake, flow.first_frame, flow.started_ns = True, syn.frame, syn.time_ns
        self._streams[key] = stream
        self._streams[peer.key] = peer
        self._accept(flow)
        return stream

    # -- losses and ends -------------------------------------------------------------------------------------------

    def _settle(self, flow: Flow, frame: int, time_ns: int) -> None:
        """After each segment of the slow road: deliver, declare what is proven lost, see whether it is over."""
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
        """Deliver all that is left, holes as gaps, and forget the connection."""
        if reset is None and flow.reset is not None:
            reset, frame, time_ns = self._accept_reset(flow.reset)
        rounds = 0 if flow.a.settled and flow.b.settled else 2  # a gap in one stream may set free the other
        for _ in range(rounds):
            for stream in (flow.a, flow.b):
                while stream.held:
                    last = stream.held[0].frame
                    lose(stream, stream.held[0].start - stream.offset, last, time_ns)
                    drain(stream)
                    reach_fin(stream)
                    pump(flow, force=False)  # what the peer answered comes before the next hole
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
        _detach(flow)  # what judged it is in a circle with it, and circles stay until the collector comes by

    def _accept_reset(self, reset: Reset) -> tuple[Stream, int, int]:
        """Nothing of its sender came in_flight a RST: it was the end, and what it says holds."""
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
        self._closed.pop(key, None)  # to its new place at the end
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
    """Nobody listens to ``flow`` any more."""
    flow.listener = _IGNORING
    flow.a.deliver = flow.b.deliver = _IGNORING.data
    flow.a.recent, flow.b.recent = [], []

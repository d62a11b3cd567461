"""TCP segments of any order in, both byte streams of each connection out, in the order in which they happened."""

# Theory
# ------
# One reassembler serves every source. It works on offsets, not on sequence numbers: `next` is the 32-bit number that a
# stream expects, `offset` the count of bytes up to there; a number n stands at offset + signed(n - next), which is
# exact for anything within 2 GiB and needs no thought about wrap-around (RFC 9293 §3.4).
#
# Two questions are answered for each segment, one after the other:
#
# 1. Is it the next of its own stream? Older bytes are dropped (and compared: a retransmission with other bytes is a
#    conflict, the first copy wins), later ones are held until the hole in front of them is filled.
# 2. Had its sender seen more of the peer's stream than we have? The ACK number says so. Then the peer's bytes came
#    first in truth, whatever the capture's order, and ours wait for them. This puts the two directions in causal order
#    even when two taps are merged with a skew.
#
# Both kinds of waiting end in the same way: the missing bytes come, or they are proven lost. Proof is an ACK from the
# peer, or a later sequence number of the stream itself, beyond what was captured, that stays unexplained for
# `loss_proof_frames` further frames of the connection. A loss becomes a gap of exact length: no byte is ever invented.
# A hole without such proof (the sender may still retransmit) is a gap only when the hold limits are reached or the
# connection ends. One byte at the very end that only an ACK speaks of is a FIN that was not captured.
#
# In lockstep nothing waits, and a segment costs one comparison of four numbers: the fast road at the top of feed().

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from .limits import DEFAULT_LIMITS, Limits

__all__ = ["Deliver", "Flow", "Listener", "Reassembler", "Stream"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_M32 = 0xFFFFFFFF
_HALF = 0x80000000
_SANE_AHEAD = 1 << 30  # RFC 7323 §2.3: the largest window; a number farther ahead is forged or of another connection
_RST_WINDOW = 1 << 20  # RFC 5961 §3.2: a RST outside the window is ignored; windows are unknown, so a usual maximum
_RECENT_BYTES = 4096  # kept of each stream to compare retransmissions with
_RECENT_CHUNKS = 8

Deliver = Callable[[bytes, int, int, int, int], None]
"""Takes (payload, offset, frame, time_ns, seen); ``seen``: bytes of the peer that the sender had acknowledged; -1:
unknown."""


class Listener(Protocol):
    """What a flow reports to, beside the bytes themselves, which go to each stream's ``deliver``."""

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """``length`` bytes of ``stream`` at ``offset`` are not in the capture."""

    def closed(self, stream: Stream, how: Literal["fin", "rst"], frame: int, time_ns: int) -> None:
        """The sender of ``stream`` ended it."""

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """Bytes at ``offset`` were sent again with other content; the first copy was used."""

    def finish(self, why: str) -> None:
        """Nothing more comes. ``why``: "" or a sentence for the reader (evicted, port reused)."""


class _Nobody:
    """Listens to a connection that is followed no further."""

    def data(self, payload: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None: ...
    def closed(self, stream: Stream, how: Literal["fin", "rst"], frame: int, time_ns: int) -> None: ...
    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None: ...
    def finish(self, why: str) -> None: ...


_NOBODY = _Nobody()


class _Held(NamedTuple):
    """A segment behind a hole."""

    start: int
    end: int
    payload: bytes
    needs: int
    frame: int
    time_ns: int


class _Queued(NamedTuple):
    """Something in order of its own stream that waits for the peer. ``kind``: "data", "gap" or "fin"."""

    kind: str
    needs: int
    payload: bytes
    offset: int
    length: int
    frame: int
    time_ns: int


class Stream:
    """One direction of a connection."""

    __slots__ = (
        "acked",
        "base",
        "deliver",
        "fin",
        "finished",
        "flow",
        "held",
        "held_bytes",
        "isn",
        "key",
        "next",
        "offset",
        "peer",
        "proof",
        "proof_since",
        "queue",
        "recent",
        "seen",
        "top",
    )

    deliver: Deliver
    flow: Flow
    peer: Stream

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.isn: int | None = None
        self.base = -1  # the first ACK number for this stream, where nothing of it is captured
        self.next = -1  # -1: nothing known of this direction yet
        self.offset = 0  # bytes received without a hole in front of them
        self.top = 0  # offset up to which bytes were sent for certain
        self.acked = 0  # offset up to which the peer has them: behind a hole, the proof that the capture lost them
        self.proof = 0  # `acked` when the present hole was proven
        self.proof_since = 0  # frame count of the flow at that time
        self.fin = -1  # offset of the FIN
        self.finished = False
        self.seen = False  # a segment of this direction is in the capture
        self.recent: list[bytes] = []
        self.held: list[_Held] = []
        self.held_bytes = 0
        self.queue: deque[_Queued] | None = None

    def at(self, number: int) -> int:
        """Offset at which sequence number ``number`` stands."""
        ahead = (number - self.next) & _M32
        return self.offset + (ahead if ahead < _HALF else ahead - _M32 - 1)

    @property
    def sent(self) -> int:
        """Offset up to which everything was delivered."""
        return self.queue[0].offset if self.queue else self.offset


class Flow:
    """A connection: two streams and who listens."""

    __slots__ = ("a", "b", "busy", "first_frame", "frames", "handshake", "last_ns", "listener", "started_ns")

    listener: Listener

    def __init__(self, a: Stream, b: Stream, frame: int, time_ns: int) -> None:
        self.a = a  # who sent the SYN, else who was seen first
        self.b = b
        a.peer, b.peer = b, a
        a.flow = b.flow = self
        self.busy = False  # something waits: the slow road is needed
        self.frames = 0
        self.handshake = False
        self.first_frame = frame
        self.started_ns = self.last_ns = time_ns


class Reassembler:
    """Feed it segments; for each connection with data it asks ``accept`` for listeners and reports to them.

    ``accept(flow)`` is called at the first payload byte and must set ``listener`` and both streams' ``deliver``.
    """

    def __init__(self, accept: Callable[[Flow], None], limits: Limits = DEFAULT_LIMITS) -> None:
        self._accept = accept
        self._limits = limits
        self._streams: dict[bytes, Stream] = {}
        self._handshakes: dict[bytes, tuple[int, int, int, bool]] = {}  # key: (isn, frame, time, has ACK)
        self._closed: dict[bytes, int | None] = {}  # key: isn
        self._next_sweep = 0
        self.evicted = 0
        self.now_ns = 0  # latest time of a segment that the slow road saw: near enough for idle times

    @property
    def open(self) -> int:
        """Connections followed now."""
        return len(self._streams) // 2

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
        ``missing``: payload bytes that were on the wire behind ``payload`` but not captured (snap length).
        """
        stream = self._streams.get(key)
        if stream is not None and seq == stream.next and not flags & 7 and not missing:
            flow = stream.flow
            peer = stream.peer
            behind = (peer.next - ack) & _M32  # bytes of the peer in flight towards the sender
            if behind < _HALF and not flow.busy and peer.next >= 0:
                flow.last_ns = time_ns
                if payload:
                    length = len(payload)
                    offset = stream.offset
                    stream.next = (seq + length) & _M32
                    stream.offset = stream.top = offset + length
                    recent = stream.recent
                    recent.append(payload)
                    if length > _RECENT_BYTES or len(recent) > _RECENT_CHUNKS:
                        _trim(recent)
                    stream.deliver(payload, offset, frame, time_ns, peer.offset - behind)
                return
        self._segment(stream, key, seq, ack, flags, payload, missing, frame, time_ns)

    def close(self) -> None:
        """The source ended: report what is still open, oldest first."""
        for stream in list(self._streams.values()):
            if self._streams.get(stream.key) is stream:
                self._end(stream.flow, "", stream.flow.last_ns)
        self._handshakes.clear()

    def ignore(self, flow: Flow) -> None:
        """Follow ``flow`` no further and report nothing of it: it carries something else."""
        self._drop(flow)
        flow.listener = _NOBODY
        flow.a.deliver = flow.b.deliver = _NOBODY.data

    def sweep(self) -> None:
        """Close what was idle too long and what exceeds the number of connections. Cheap when called often."""
        limits = self._limits
        now_ns = self.now_ns
        crowded = limits.connections and self.open > limits.connections
        if now_ns < self._next_sweep and not crowded:
            return
        self._next_sweep = now_ns + 60_000_000_000
        flows = {id(stream.flow): stream.flow for stream in self._streams.values()}
        if limits.idle_seconds:
            oldest = now_ns - limits.idle_seconds * 1_000_000_000
            for flow in flows.values():
                if flow.last_ns < oldest:
                    self._evict(flow, f"followed no further: idle for more than {limits.idle_seconds} s")
        if limits.connections and self.open > limits.connections:
            alive = sorted((f for f in flows.values() if f.a.key in self._streams), key=lambda f: f.last_ns)
            for flow in alive[: self.open - limits.connections + limits.connections // 10]:
                self._evict(flow, f"followed no further: more than {limits.connections} connections were open")

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
        self.now_ns = max(self.now_ns, time_ns)
        if flags & SYN:
            stream = self._syn(stream, key, seq, flags, frame, time_ns)
            seq = (seq + 1) & _M32
        if stream is None:
            if key in self._closed or not (payload or missing or self._carried(key, seq, ack)):
                return
            stream = self._open(key, frame, time_ns)
        flow = stream.flow
        flow.frames += 1
        flow.last_ns = time_ns
        peer = stream.peer
        if stream.next < 0:
            if not payload and not flags & SYN and not flow.handshake:
                return  # in mid-stream a bare ACK may be a keep-alive: it does not tell where the stream stands
            stream.next = seq
        stream.seen = True
        start = stream.at(seq)
        if flags & RST and not stream.offset - 1 <= start <= stream.offset + _RST_WINDOW:
            return
        needs = self._acknowledge(peer, ack) if flags & ACK else -1
        end = start + len(payload) + missing
        if end > stream.fin >= 0:
            end = stream.fin
        if stream.top < end < stream.offset + _SANE_AHEAD:
            stream.top = end
        if flags & RST:
            self._end(flow, "", time_ns, stream, frame)
            return
        if payload or missing:
            self._payload(stream, start, payload, needs, frame, time_ns)
            if missing and not peer.seen and stream.offset < stream.top and not stream.held:
                # With one direction captured no ACK will tell that these bytes came through, so they are lost now.
                self._lost(stream, stream.top - stream.offset, frame, time_ns)
        if flags & FIN and stream.fin < 0 and end < stream.offset + _SANE_AHEAD:
            stream.fin = end
            stream.top = min(stream.top, end)
            stream.acked = min(stream.acked, end)
        self._reach_fin(stream, needs, frame, time_ns)
        self._settle(flow, frame, time_ns)

    @staticmethod
    def _acknowledge(peer: Stream, ack: int) -> int:
        """How many bytes of ``peer`` the sender of a segment had seen, by its ACK number."""
        if peer.next < 0:
            # Nothing of the peer is captured; that the number grows still tells that it spoke.
            if peer.base < 0:
                peer.base = ack
            return (ack - peer.base) & _M32
        needs = peer.at(ack)
        if needs > peer.fin >= 0:
            needs = peer.fin  # the FIN takes a number of its own
        if peer.acked < needs < peer.offset + _SANE_AHEAD:
            peer.acked = needs
            peer.top = max(peer.top, needs)
        return needs

    def _syn(self, stream: Stream | None, key: bytes, seq: int, flags: int, frame: int, time_ns: int) -> Stream | None:
        """Remember the handshake; a SYN with another number ends the connection that held the ports."""
        if stream is not None:
            if stream.isn == seq:
                return stream
            if stream.isn is None and stream.next in (-1, (seq + 1) & _M32):
                stream.isn = seq
                stream.flow.handshake = True
                return stream
            self._end(stream.flow, "the same addresses and ports began a new connection", time_ns)
        if key in self._closed:
            if self._closed[key] == seq:
                return None  # a late copy
            self._forget(key)
        elif len(self._handshakes) >= self._limits.handshakes > 0:
            del self._handshakes[next(iter(self._handshakes))]
        known = self._handshakes.get(key)
        if known is None or known[0] != seq:
            self._handshakes[key] = (seq, frame, time_ns, bool(flags & ACK))
        return None

    def _carried(self, key: bytes, seq: int, ack: int) -> bool:
        """Whether a segment without data shows that its connection carried some, of which nothing was captured."""
        mine, theirs = self._handshakes.get(key), self._handshakes.get(_reversed(key))
        if mine is None or theirs is None:
            return False
        # SYN and FIN take a number each
        return any(2 < (now - isn) & _M32 < _SANE_AHEAD for now, isn in ((seq, mine[0]), (ack, theirs[0])))

    def _open(self, key: bytes, frame: int, time_ns: int) -> Stream:
        """First payload of a connection: make its two streams from what the handshake told."""
        back = _reversed(key)
        mine, theirs = self._handshakes.pop(key, None), self._handshakes.pop(back, None)
        stream, peer = Stream(key), Stream(back)
        for one, known in ((stream, mine), (peer, theirs)):
            if known is not None:
                one.isn = known[0]
                one.next = (known[0] + 1) & _M32
                one.seen = True
                if known[1] < frame:
                    frame, time_ns = known[1], min(time_ns, known[2])
        responder_first = (mine is not None and mine[3]) or (theirs is not None and not theirs[3])
        flow = Flow(peer, stream, frame, time_ns) if responder_first else Flow(stream, peer, frame, time_ns)
        flow.handshake = mine is not None or theirs is not None
        self._streams[key] = stream
        self._streams[back] = peer
        self._accept(flow)
        return stream

    def _payload(self, stream: Stream, start: int, payload: bytes, needs: int, frame: int, time_ns: int) -> None:
        """Put bytes in order: old ones are compared and dropped, later ones held."""
        offset = stream.offset
        if start < offset:
            known = min(offset - start, len(payload))
            if not _is_probe(payload, start, offset):
                self._compare(stream, start, payload[:known], frame, time_ns)
            payload = payload[known:]
            if not payload:
                return
            start = offset
        if (stream.fin >= 0 and start >= stream.fin) or start >= offset + _SANE_AHEAD:
            return
        if start > offset or (stream.held and start + len(payload) > stream.held[0].start):
            self._hold(stream, _Held(start, start + len(payload), payload, needs, frame, time_ns))
        else:
            self._take(stream, payload, needs, frame, time_ns)
        self._drain(stream)

    def _take(self, stream: Stream, payload: bytes, needs: int, frame: int, time_ns: int) -> None:
        """The next bytes of a stream."""
        offset = stream.offset
        stream.next = (stream.next + len(payload)) & _M32
        stream.offset = offset + len(payload)
        stream.recent.append(payload)
        _trim(stream.recent)
        self._emit(stream, _Queued("data", needs, payload, offset, len(payload), frame, time_ns))

    def _lost(self, stream: Stream, length: int, frame: int, time_ns: int) -> None:
        """``length`` bytes at the present offset are not in the capture."""
        offset = stream.offset
        stream.next = (stream.next + length) & _M32
        stream.offset = offset + length
        stream.top = max(stream.top, stream.offset)
        stream.recent.clear()
        self._emit(stream, _Queued("gap", -1, b"", offset, length, frame, time_ns))

    def _hold(self, stream: Stream, new: _Held) -> None:
        """Keep a later segment; where it overlaps what is held already, the first bytes win."""
        held = stream.held
        index = bisect_left(held, new.start, key=lambda h: h.start)
        if index and held[index - 1].end > new.start:
            index -= 1
        start, payload = new.start, new.payload
        pieces: list[_Held] = []
        while index < len(held) and payload and held[index].start < start + len(payload):
            one = held[index]
            if start < one.start:
                cut = one.start - start
                pieces.append(new._replace(start=start, end=one.start, payload=payload[:cut]))
                payload, start = payload[cut:], one.start
            common = max(0, min(one.end - start, len(payload)))
            probe = _is_probe(new.payload, start, one.end)
            if common and not probe and one.payload[start - one.start : start - one.start + common] != payload[:common]:
                self._conflict(stream, start, new.frame, new.time_ns)
            payload, start = payload[common:], start + common
            index += 1
        if payload:
            pieces.append(new._replace(start=start, end=start + len(payload), payload=payload))
        for piece in pieces:
            held.insert(bisect_left(held, piece.start, key=lambda h: h.start), piece)
            stream.held_bytes += len(piece.payload)

    def _drain(self, stream: Stream) -> None:
        """Take what is held and now next."""
        held = stream.held
        while held and held[0].start <= stream.offset:
            one = held.pop(0)
            stream.held_bytes -= len(one.payload)
            skip = stream.offset - one.start
            if skip < len(one.payload):
                self._take(stream, one.payload[skip:], one.needs, one.frame, one.time_ns)
        if stream.fin >= 0 and stream.offset >= stream.fin and held:
            held.clear()
            stream.held_bytes = 0

    def _reach_fin(self, stream: Stream, needs: int, frame: int, time_ns: int) -> None:
        if stream.fin >= 0 and stream.offset >= stream.fin and not stream.finished:
            stream.finished = True
            self._emit(stream, _Queued("fin", needs, b"", stream.offset, 0, frame, time_ns))

    # -- causal order ----------------------------------------------------------------------------------------------

    def _emit(self, stream: Stream, item: _Queued) -> None:
        if not stream.queue and self._ready(stream.peer, item.needs):
            self._deliver(stream, item)
            return
        if stream.queue is None:
            stream.queue = deque()
        stream.queue.append(item)
        stream.flow.busy = True

    @staticmethod
    def _ready(peer: Stream, needs: int) -> bool:
        """Whether everything of ``peer`` that an ACK speaks of was delivered."""
        sent = peer.sent
        return needs <= sent or sent == peer.fin or peer.next < 0

    def _deliver(self, stream: Stream, item: _Queued) -> None:
        if item.kind == "data":
            stream.deliver(item.payload, item.offset, item.frame, item.time_ns, item.needs)
        elif item.kind == "gap":
            stream.flow.listener.gap(stream, item.offset, item.length, item.frame, item.time_ns)
        else:
            stream.flow.listener.closed(stream, "fin", item.frame, item.time_ns)

    def _pump(self, flow: Flow, *, force: bool) -> None:
        """Deliver what waits no longer. ``force``: break a tie that honest ACK numbers cannot make."""
        while True:
            ready = [s for s in (flow.a, flow.b) if s.queue and self._ready(s.peer, s.queue[0].needs)]
            if not ready and force:
                ready = [s for s in (flow.a, flow.b) if s.queue]
            if not ready:
                return
            stream = min(ready, key=lambda s: s.queue[0].frame if s.queue else 0)
            assert stream.queue
            self._deliver(stream, stream.queue.popleft())

    def _settle(self, flow: Flow, frame: int, time_ns: int) -> None:
        """After each segment of the slow road: deliver, declare what is proven lost, see whether it is over."""
        a, b = flow.a, flow.b
        if not flow.busy and a.top <= a.offset and b.top <= b.offset and not (a.queue or b.queue or a.held or b.held):
            flow.busy = a.fin >= 0 or b.fin >= 0
            if a.finished and b.finished:
                self._end(flow, "", time_ns)
            return
        self._pump(flow, force=False)
        for stream in (a, b):
            self._judge_hole(stream, frame, time_ns)
        if a.queue and b.queue and a.top <= a.offset and b.top <= b.offset:
            self._pump(flow, force=True)
        for stream in (a, b):
            if stream.queue and len(stream.queue) > self._limits.held_segments > 0:
                self._pump(flow, force=True)
        flow.busy = bool(
            a.queue or b.queue or a.held or b.held or a.top > a.offset or b.top > b.offset or a.fin >= 0 or b.fin >= 0
        )
        if a.finished and b.finished and not a.queue and not b.queue:
            self._end(flow, "", time_ns)

    def _judge_hole(self, stream: Stream, frame: int, time_ns: int) -> None:
        """Declare a gap where the capture has lost bytes for certain, or where too much is held behind a hole."""
        limits = self._limits
        flow = stream.flow
        while stream.top > stream.offset:
            full = (stream.held_bytes > limits.held_bytes > 0) or (len(stream.held) > limits.held_segments > 0)
            if not full:
                if stream.acked <= stream.offset:
                    return  # the sender may still retransmit
                if stream.proof <= stream.offset:
                    stream.proof, stream.proof_since = stream.acked, flow.frames
                if flow.frames - stream.proof_since < limits.loss_proof_frames:
                    return
                if stream.proof == stream.top == stream.offset + 1 and stream.fin < 0:
                    stream.fin = stream.top = stream.offset  # a FIN that was not captured, most likely
                    self._pump(flow, force=False)
                    return
            until = stream.held[0].start if stream.held else stream.proof
            if not full:
                until = min(until, stream.proof)
            self._lost(stream, until - stream.offset, frame, time_ns)
            self._drain(stream)
            self._reach_fin(stream, -1, frame, time_ns)
            self._pump(flow, force=False)

    def _end(self, flow: Flow, why: str, time_ns: int, reset: Stream | None = None, frame: int = 0) -> None:
        """Deliver all that is left, holes as gaps, and forget the connection."""
        for _ in range(2):  # a gap in one stream may set free the other
            for stream in (flow.a, flow.b):
                while stream.held:
                    last = stream.held[0].frame
                    self._lost(stream, stream.held[0].start - stream.offset, last, time_ns)
                    self._drain(stream)
                unseen_fin = stream.top == stream.offset + 1 and stream.fin < 0
                if stream.top > stream.offset and stream.next >= 0 and not unseen_fin:
                    self._lost(stream, stream.top - stream.offset, frame, time_ns)
                self._reach_fin(stream, -1, frame, time_ns)
            self._pump(flow, force=True)
        if reset is not None:
            flow.listener.closed(reset, "rst", frame, time_ns)
        self._drop(flow)
        flow.listener.finish(why)

    def _drop(self, flow: Flow) -> None:
        for stream in (flow.a, flow.b):
            self._streams.pop(stream.key, None)
            self._closed.pop(stream.key, None)  # to its new place at the end
            self._closed[stream.key] = stream.isn
        limit = self._limits.closed_connections
        while limit and len(self._closed) > 2 * limit:
            del self._closed[next(iter(self._closed))]

    def _evict(self, flow: Flow, why: str) -> None:
        self.evicted += 1
        self._end(flow, why, flow.last_ns)

    def _forget(self, key: bytes) -> None:
        self._closed.pop(key, None)
        self._closed.pop(_reversed(key), None)

    # -- conflicts -------------------------------------------------------------------------------------------------

    def _compare(self, stream: Stream, start: int, again: bytes, frame: int, time_ns: int) -> None:
        """Hold a retransmission against the bytes that were delivered, as far back as they are kept."""
        known = b"".join(stream.recent)
        back = stream.offset - start
        if back > len(known):
            again = again[back - len(known) :]
            back = len(known)
        first = known[len(known) - back : len(known) - back + len(again)]
        if first != again:
            at = next(i for i, (x, y) in enumerate(zip(first, again, strict=True)) if x != y)
            self._conflict(stream, stream.offset - back + at, frame, time_ns)

    @staticmethod
    def _conflict(stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        stream.flow.listener.conflict(stream, offset, frame, time_ns)


def _is_probe(payload: bytes, start: int, end: int) -> bool:
    """Whether it is a keep-alive: one byte at the last offset sent, or a zero that came late. Its value is garbage."""
    return len(payload) == 1 and (start == end - 1 or payload == b"\0")


def _trim(recent: list[bytes]) -> None:
    """Keep the last few KB of a stream."""
    if len(recent[-1]) >= _RECENT_BYTES:
        recent[:] = [recent[-1][-_RECENT_BYTES:]]
    elif len(recent) > _RECENT_CHUNKS:
        del recent[: _RECENT_CHUNKS // 2]


def _reversed(key: bytes) -> bytes:
    """The key of the other direction."""
    half = (len(key) - 4) // 2
    return key[half : 2 * half] + key[:half] + key[-2:] + key[-4:-2]

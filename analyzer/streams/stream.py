"""One direction of a connection that is not in order, and what waits in it."""

# Theory
# ------
# A sequence number n has the offset `offset` + signed(n - next). This is exact within 2 GiB and needs no special case
# for wrap-around (RFC 9293 §3.4).
#
# Two questions are answered for each segment, one after the other:
#
# 1. Is it the next one of its own stream? (`ordering`)
# 2. Had its sender seen more of the peer's stream than was captured so far? (`causal_order`)
#
# Both kinds of waiting end in the same way: the missing bytes come, or they are declared lost (`gaps`, `reassembler`).

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..limits import BYTES_ASIDE, SEGMENTS_ASIDE
from ..segments.recent_packets import RecentPackets

if TYPE_CHECKING:
    from collections import deque

    from ..limits import Limits
    from .receiver import ReceiverOwner, Side

__all__ = [
    "ACK",
    "FIN",
    "HALF",
    "M32",
    "PIECE",
    "RST",
    "SANE_AHEAD",
    "SYN",
    "URG",
    "WINDOW",
    "Deliver",
    "Disorder",
    "HeldRun",
    "HeldSegment",
    "QueuedEvent",
    "Reset",
    "Rewind",
    "Segment",
    "SetAside",
    "Shared",
    "Stream",
]

FIN, SYN, RST, ACK, URG = 0x01, 0x02, 0x04, 0x10, 0x20  # flags of a segment (RFC 9293 §3.1)
M32 = 0xFFFFFFFF
HALF = 0x80000000
WINDOW = 1 << 20  # bytes: a usual maximum, because the real windows are unknown
SANE_AHEAD = 1 << 30  # RFC 7323 §2.3: the largest window; a higher number is forged or of another connection

PIECE = 200  # bytes that keeping a piece costs in addition to its own bytes


Deliver = Callable[[bytes, int, int, int, int], None]
"""Called with (payload, offset, frame, time_ns, seen). ``seen``: bytes of the peer that the sender had acknowledged, -1
if unknown."""


class Shared:
    """What all connections share: the count of bytes that were ever kept of any of them (see `memory_pressure`), and
    the packets that were read last."""

    __slots__ = ("grown", "recent")

    def __init__(self) -> None:
        self.grown = 0  # bytes since the connections were last weighed
        self.recent = RecentPackets()


Numbers = tuple[int, int, bytes]
"""The next sequence number of a direction, its bytes so far, and the last of them."""


class HeldSegment(NamedTuple):
    """A segment that arrived out of order: bytes before it are missing."""

    start: int
    end: int
    payload: bytes
    needs: int
    frame: int
    time_ns: int


class HeldRun(NamedTuple):
    """Contiguous bytes that arrived out of order."""

    start: int
    payload: bytearray


class QueuedEvent(NamedTuple):
    """An event that is next in its own stream but waits for the peer. ``kind``: "data", "gap", "fin" or "unseen"."""

    kind: str
    needs: int
    payload: bytes
    offset: int
    length: int
    frame: int
    time_ns: int


class Reset(NamedTuple):
    """A RST that does not count yet. ``start``: the offset of its sequence number; ``ack``: its acknowledgment number,
    -1 if none. ``exact``: it has the number that its receiver expects; otherwise it counts only if its sender sends
    nothing after it."""

    stream: Stream
    start: int
    ack: int
    frame: int
    time_ns: int
    exact: bool = False


Segment = tuple[bytes, int, int, int, bytes, int, int, int]
"""The arguments of ``Reassembler.feed``."""


class SetAside:
    """Segments that are kept until it is clear what they belong to. ``stream``: whose end they follow, if any."""

    __slots__ = ("segments", "size", "stream")

    def __init__(self, stream: Stream | None = None) -> None:
        self.segments: list[Segment] = []
        self.size = 0
        self.stream = stream

    def add(self, one: Segment) -> bool:
        """Keep one more. Return whether there is room for more after it."""
        self.segments.append(one)
        self.size += len(one[4])
        return self.size <= BYTES_ASIDE and len(self.segments) <= SEGMENTS_ASIDE


class Rewind:
    """A later copy of bytes of ``stream`` from offset ``place`` on. ``end``: where it ends so far. ``fin``: the bytes
    of the peer that the sender of a FIN there had acknowledged, its frame and its time. ``reported``: the difference is
    reported; if it is too far back, it is not known yet whether there is one."""

    __slots__ = ("end", "fin", "pieces", "place", "reported", "stream")

    def __init__(self, stream: Stream, place: int, end: int) -> None:
        self.stream = stream
        self.place = place
        self.end = end
        self.pieces: list[HeldSegment] = []
        self.fin: tuple[int, int, int] | None = None
        self.reported = False


class Stream:
    """One direction of a connection."""

    __slots__ = (
        "acked",
        "ahead",
        "base",
        "disorder",
        "doubts",
        "fin",
        "fin_guessed",
        "fin_said",
        "finished",
        "flow",
        "heard",
        "held",
        "held_bytes",
        "next",
        "offset",
        "peer",
        "proof",
        "proof_since",
        "queue",
        "recent",
        "runs",
        "side",
        "top",
        "top_frame",
    )

    peer: Stream

    def __init__(self, disorder: Disorder, side: Side, number: int, offset: int, recent: bytes) -> None:
        self.disorder = disorder
        self.flow = disorder.flow
        self.side = side  # that sends this stream
        self.next = number  # the next sequence number; -1: nothing known of this direction yet
        self.offset = offset  # bytes received without a gap before them
        self.recent = recent  # the last of them
        self.base = -1  # the first ACK number for this stream: if its SYN was lost, the stream starts there or before
        self.top = offset  # offset up to which bytes were certainly sent
        self.top_frame = 0  # the frame that showed it, if it is more than `offset`
        self.acked = 0  # offset up to which the peer has the bytes; after a gap, the proof that the capture lost it
        self.heard = False  # the peer has sent something since the last bytes that were delivered
        self.proof = 0  # `acked` when the current gap was proven
        self.proof_since = 0  # frame count of the disorder at that time
        self.doubts = 0  # frames of the peer since then that acknowledged only captured bytes
        self.fin = -1  # offset of the FIN
        self.fin_said = -1, 0, 0  # the bytes that its sender had acknowledged, its frame and its time
        self.fin_guessed = False  # it was not captured, and may turn out to be a lost byte
        self.finished = False
        self.held: list[HeldSegment] = []
        self.runs: list[HeldRun] | None = None  # the same bytes, joined
        self.held_bytes = 0
        # The first few segments after the current gap, in order of arrival.
        self.ahead: list[tuple[int, bytes]] | None = None
        self.queue: deque[QueuedEvent] | None = None

    def begin(self, seq: int) -> None:
        """Set the start of the stream: ``seq`` of its first segment, or what the peer had acknowledged before."""
        known = self.base >= 0 and (seq - self.base) & M32 < WINDOW
        self.next = self.base if known else seq

    def at(self, number: int) -> int:
        """Return the offset of sequence number ``number``."""
        ahead = (number - self.next) & M32
        return self.offset + (ahead if ahead < HALF else ahead - M32 - 1)

    @property
    def settled(self) -> bool:
        """Whether all bytes that were certainly sent were delivered."""
        if self.held or self.queue or self.doubts or self.top > self.offset:
            return False
        return self.fin < 0 or self.finished


class Disorder:
    """Both directions of a connection that is not in order."""

    __slots__ = ("client", "flow", "frames", "later", "limits", "reset", "rewind", "server", "shared", "twin")

    def __init__(self, flow: ReceiverOwner, client: Numbers, server: Numbers, limits: Limits, shared: Shared) -> None:
        self.flow = flow
        self.limits = limits
        self.shared = shared
        self.client = Stream(self, "client", *client)
        self.server = Stream(self, "server", *server)
        self.client.peer, self.server.peer = self.server, self.client
        self.frames = 0  # segments of the connection since the disorder began
        self.reset: Reset | None = None  # a RST that may be forged
        self.later: SetAside | None = None  # what came after an end that may be forged
        self.twin: SetAside | None = None  # what another capture has, until it is certain that it is this connection
        self.rewind: Rewind | None = None  # a later copy of bytes that the peer may never have got

    @property
    def waiting(self) -> bool:
        """Whether bytes are missing, or held, or wait for the peer."""
        client, server = self.client, self.server
        if client.top > client.offset or server.top > server.offset:
            return True
        return bool(client.held or client.queue or server.held or server.queue)

    @property
    def over(self) -> bool:
        """Whether both directions are known and in order, and no end has begun."""
        client, server = self.client, self.server
        if client.fin >= 0 or server.fin >= 0 or self.reset is not None or self.waiting:
            return False
        if self.rewind is not None or self.twin is not None or self.later is not None:
            return False
        return client.next >= 0 and server.next >= 0

"""A TCP connection as two byte streams: the state of each stream, and the listener."""

# Theory
# ------
# One reassembler serves every source. It works with offsets, not with sequence numbers: `next` is the 32-bit number
# that a stream expects, `offset` the count of bytes up to there. A number n has the offset `offset` + signed(n -
# next). This is exact within 2 GiB and needs no special case for wrap-around (RFC 9293 §3.4).
#
# Two questions are answered for each segment, one after the other:
#
# 1. Is it the next one of its own stream? (`ordering`)
# 2. Had its sender seen more of the peer's stream than was captured so far? (`causal_order`)
#
# Both kinds of waiting end in the same way: the missing bytes come, or they are declared lost (`gaps`, `reassembler`).

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections import deque

__all__ = [
    "HALF",
    "M32",
    "PIECE",
    "SANE_AHEAD",
    "WINDOW",
    "Deliver",
    "Flow",
    "HeldRun",
    "HeldSegment",
    "How",
    "KeptCount",
    "Listener",
    "QueuedEvent",
    "Reset",
    "Stream",
    "reversed_key",
]

M32 = 0xFFFFFFFF
HALF = 0x80000000
WINDOW = 1 << 20  # bytes: a usual maximum, because the real windows are unknown
SANE_AHEAD = 1 << 30  # RFC 7323 §2.3: the largest window; a higher number is forged or of another connection

How = Literal["fin", "rst", "unseen"]

PIECE = 200  # bytes that keeping a piece costs in addition to its own bytes

Deliver = Callable[[bytes, int, int, int, int], None]
"""Called with (payload, offset, frame, time_ns, seen). ``seen``: bytes of the peer that the sender had acknowledged, -1
if unknown."""


class Listener(Protocol):
    """Receives the events of a flow, except the bytes, which go to each stream's ``deliver``."""

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """``length`` bytes of ``stream`` at ``offset`` are not in the capture."""

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """The sender ended ``stream``. "unseen": with a FIN that was not captured but that the peer acknowledged."""

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """Bytes at ``offset`` were sent again with other content; the first copy was used."""

    def weight(self) -> int:
        """Return about how many bytes the listener keeps."""

    def finish(self, why: str) -> None:
        """The connection is over. ``why``: "" or a sentence for the report (evicted, ports reused)."""


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
    """A RST that counts if its sender sends nothing after it. ``start``: the offset of its sequence number; ``ack``:
    its acknowledgment number, -1 if none."""

    stream: Stream
    start: int
    ack: int
    frame: int
    time_ns: int


class Stream:
    """One direction of a connection."""

    __slots__ = (
        "acked",
        "ahead",
        "base",
        "deliver",
        "doubts",
        "fin",
        "fin_guessed",
        "fin_said",
        "finished",
        "flow",
        "held",
        "held_bytes",
        "isn",
        "key",
        "next",
        "offset",
        "overlap",
        "peer",
        "proof",
        "proof_since",
        "queue",
        "recent",
        "runs",
        "seen",
        "start_known",
        "top",
        "top_frame",
    )

    deliver: Deliver
    flow: Flow
    peer: Stream

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.isn: int | None = None
        self.base = -1  # the first ACK number for this stream: if its SYN was lost, the stream starts there or before
        self.start_known = False  # its start is known from its SYN, or from the ACK on the peer's SYN
        self.next = -1  # the next sequence number; -1: nothing known of this direction yet
        self.offset = 0  # bytes received without a gap before them
        self.top = 0  # offset up to which bytes were certainly sent
        self.top_frame = 0  # the frame that showed it, if it is more than `offset`
        self.acked = 0  # offset up to which the peer has the bytes; after a gap, the proof that the capture lost it
        self.proof = 0  # `acked` when the current gap was proven
        self.proof_since = 0  # frame count of the flow at that time
        self.doubts = 0  # frames of the peer since then that acknowledged only captured bytes
        self.fin = -1  # offset of the FIN
        self.fin_said = -1, 0, 0  # the bytes that its sender had acknowledged, its frame and its time
        self.fin_guessed = False  # it was not captured, and may turn out to be a lost byte
        self.finished = False
        self.seen = False  # a segment of this direction is in the capture
        self.recent: list[bytes] = []
        self.held: list[HeldSegment] = []
        self.runs: list[HeldRun] | None = None  # the same bytes, joined
        self.held_bytes = 0
        # The first few segments after the current gap, in order of arrival.
        self.ahead: list[tuple[int, bytes]] | None = None
        # The first offset where they differed, and those segments.
        self.overlap: tuple[int, list[tuple[int, bytes]]] | None = None
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

    @property
    def sent(self) -> int:
        """The offset up to which everything was delivered."""
        return self.queue[0].offset if self.queue else self.offset


class KeptCount:
    """Counts the bytes that were ever kept of any connection; see `memory_pressure`."""

    __slots__ = ("grown",)

    def __init__(self) -> None:
        self.grown = 0  # bytes since the connections were last weighed


class Flow:
    """A connection: two streams and a listener."""

    __slots__ = (
        "a",
        "b",
        "busy",
        "first_frame",
        "frames",
        "handshake",
        "kept",
        "last_ns",
        "listener",
        "reset",
        "started_ns",
    )

    listener: Listener

    def __init__(self, a: Stream, b: Stream, frame: int, time_ns: int, kept: KeptCount) -> None:
        self.a = a  # the sender of the SYN, or else of the first segment
        self.b = b
        a.peer, b.peer = b, a
        a.flow = b.flow = self
        self.kept = kept
        self.busy = False  # something waits: segments must take the slow path
        self.reset: Reset | None = None  # a RST that may be forged
        self.frames = 0
        self.handshake = False
        self.first_frame = frame
        self.started_ns = self.last_ns = time_ns

    @property
    def started(self) -> tuple[int, int]:
        """Time and frame of the first segment."""
        return self.started_ns, self.first_frame


def reversed_key(key: bytes) -> bytes:
    """Return the key of the other direction."""
    if len(key) == 12:
        return key[4:8] + key[:4] + key[10:] + key[8:10]
    return key[16:32] + key[:16] + key[34:] + key[32:34]

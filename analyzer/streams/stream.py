"""A TCP connection as two streams of bytes: what is known of each, and who listens."""

# Theory
# ------
# One reassembler serves every source. It works on offsets, not on sequence numbers: `next` is the 32-bit number that a
# stream expects, `offset` the count of bytes up to there; a number n stands at offset + signed(n - next), which is
# exact for anything within 2 GiB and needs no thought about wrap-around (RFC 9293 §3.4).
#
# Two questions are answered for each segment, one after the other:
#
# 1. Is it the next of its own stream? (ordering.py)
# 2. Had its sender seen more of the peer's stream than we have? (causal.py)
#
# Both kinds of waiting end in the same way: the missing bytes come, or they are lost (reassembler.py).

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
WINDOW = 1 << 20  # windows are unknown, so a usual maximum
SANE_AHEAD = 1 << 30  # RFC 7323 §2.3: the largest window; a number farther ahead is forged or of another connection

How = Literal["fin", "rst", "unseen"]

PIECE = 200  # bytes that a piece that is kept costs beside its own

Deliver = Callable[[bytes, int, int, int, int], None]
"""Takes (payload, offset, frame, time_ns, seen); ``seen``: bytes of the peer that the sender had acknowledged; -1:
unknown."""


class Listener(Protocol):
    """What a flow reports to, beside the bytes themselves, which go to each stream's ``deliver``."""

    def gap(self, stream: Stream, offset: int, length: int, frame: int, time_ns: int) -> None:
        """``length`` bytes of ``stream`` at ``offset`` are not in the capture."""

    def closed(self, stream: Stream, how: How, frame: int, time_ns: int, acked: int) -> None:
        """The sender of ``stream`` ended it. "unseen": by a FIN that was not captured, as the peer's last ACK tells."""

    def conflict(self, stream: Stream, offset: int, frame: int, time_ns: int) -> None:
        """Bytes at ``offset`` were sent again with other content; the first copy was used."""

    def weight(self) -> int:
        """Bytes that it keeps of what came, about."""

    def finish(self, why: str) -> None:
        """Nothing more comes. ``why``: "" or a sentence for the reader (evicted, port reused)."""

    def discard(self) -> bool:
        """Forget it all, and report nothing: it will be told anew. False: told anew it might not be the same."""


class HeldSegment(NamedTuple):
    """A segment behind a hole."""

    start: int
    end: int
    payload: bytes
    needs: int
    frame: int
    time_ns: int


class HeldRun(NamedTuple):
    """Bytes behind a hole without a hole among them."""

    start: int
    payload: bytearray


class QueuedEvent(NamedTuple):
    """Something in order of its own stream that waits for the peer. ``kind``: "data", "gap", "fin" or "unseen"."""

    kind: str
    needs: int
    payload: bytes
    offset: int
    length: int
    frame: int
    time_ns: int


class Reset(NamedTuple):
    """A RST that counts if nothing of its sender follows. ``start``: offset at which its number stands; ``ack``: the
    number that it acknowledges, -1: none."""

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
        self.base = -1  # the first ACK number for this stream: where its own SYN was lost, it begins there or before
        self.start_known = False  # whether its SYN, or the ACK that the peer's carries, tells where it begins
        self.next = -1  # -1: nothing known of this direction yet
        self.offset = 0  # bytes received without a hole in front of them
        self.top = 0  # offset up to which bytes were sent for certain
        self.top_frame = 0  # the frame that showed it, where more than `offset`
        self.acked = 0  # offset up to which the peer has them: behind a hole, the proof that the capture lost them
        self.proof = 0  # `acked` when the present hole was proven
        self.proof_since = 0  # frame count of the flow at that time
        self.doubts = 0  # frames of the peer since then that acknowledged no more than was captured
        self.fin = -1  # offset of the FIN
        self.fin_said = -1, 0, 0  # what its sender had acknowledged with it, its frame and its time
        self.fin_guessed = False  # it was not captured, and may yet turn out to be a lost byte
        self.finished = False
        self.seen = False  # a segment of this direction is in the capture
        self.recent: list[bytes] = []
        self.held: list[HeldSegment] = []
        self.runs: list[HeldRun] | None = None  # the same bytes, joined
        self.held_bytes = 0
        self.ahead: list[tuple[int, bytes]] | None = (
            None  # the segments behind the present hole, as they came: the first few
        )
        self.overlap: tuple[int, list[tuple[int, bytes]]] | None = (
            None  # first offset in which they differed; those segments
        )
        self.queue: deque[QueuedEvent] | None = None

    def begin(self, seq: int) -> None:
        """Its first segment has come: with it, or with what the peer had acknowledged before, it begins."""
        known = self.base >= 0 and (seq - self.base) & M32 < WINDOW
        self.next = self.base if known else seq

    def at(self, number: int) -> int:
        """Offset at which sequence number ``number`` stands."""
        ahead = (number - self.next) & M32
        return self.offset + (ahead if ahead < HALF else ahead - M32 - 1)

    @property
    def settled(self) -> bool:
        """Whether everything that is known to have been sent was delivered."""
        if self.held or self.queue or self.doubts or self.top > self.offset:
            return False
        return self.fin < 0 or self.finished

    @property
    def sent(self) -> int:
        """Offset up to which everything was delivered."""
        return self.queue[0].offset if self.queue else self.offset


class KeptCount:
    """Counts what was ever kept of any connection; see pressure.py."""

    __slots__ = ("grown",)

    def __init__(self) -> None:
        self.grown = 0  # bytes since all were weighed


class Flow:
    """A connection: two streams and who listens."""

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
        "number",
        "reset",
        "started_ns",
    )

    listener: Listener

    def __init__(self, a: Stream, b: Stream, frame: int, time_ns: int, kept: KeptCount) -> None:
        self.a = a  # who sent the SYN, else who was seen first
        self.b = b
        a.peer, b.peer = b, a
        a.flow = b.flow = self
        self.kept = kept
        self.busy = False  # something waits: the slow road is needed
        self.reset: Reset | None = None  # one that may be forged
        self.frames = 0
        self.number = 0  # what it is called in the report, where that was settled before
        self.handshake = False
        self.first_frame = frame
        self.started_ns = self.last_ns = time_ns

    @property
    def started(self) -> tuple[int, int]:
        """Time and frame of its first segment."""
        return self.started_ns, self.first_frame


def reversed_key(key: bytes) -> bytes:
    """The key of the other direction."""
    if len(key) == 12:
        return key[4:8] + key[:4] + key[10:] + key[8:10]
    return key[16:32] + key[:16] + key[34:] + key[32:34]

"""In front of the reassembler: segments of a connection are gathered until it ends, then looked at all at once."""

# Theory
# ------
# Most connections of mail are short, whole and like one another. To take each of their segments through a reassembler
# and a conversation costs ten times as much as to put it on a list; and at the end one loop over the list can tell
# whether there was anything but the next segment of either side on a way that is beaten (`walker`). What it cannot tell
# is given to the reassembler, segment by segment, in the order in which it came: the report is the same, only later.
#
# What may not wait does not:
# * the first steps, up to the reply to the hello, are walked as they come: there servers offer TLS, and what they offer
#   is compared between connections. Who is not on a known way by then goes to the reassembler at once;
# * memory: a connection is looked at again after some blocks of the capture. What has become large is given up, and so
#   is everything beyond `gathered_bytes` in all; what said nothing since is packed into one string of bytes;
# * findings that are wanted early: then the walk goes on at every block, and a way has no findings as far as it leads.
#
# A SYN alone is the reassembler's to remember, so a flood of them fills nothing here.

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, cast

from .repeat import Guide
from .segments import PLAIN, PLAIN_BITS, Held
from .walker import Walker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import MethodType

    from .beaten import Ways
    from .reassembler import Reassembler
    from .repeat import Repeat
    from .segments import SegmentSink

__all__ = ["Gatherer", "Leader"]

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16

PATIENCE = 4  # blocks of the capture after which a connection is looked at again
MAX_SEGMENTS = 1024  # of one connection that are kept beyond that
MAX_BYTES = 1 << 18  # and their bytes


class Leader(Guide, Protocol):
    """The tracker, as the gatherer knows it."""

    ways: Ways
    early: bool

    def kind(self, server: bytes) -> object:
        """Of which ways a connection may be that ``server`` is the server's stream of; None: of none."""

    def take(self, repeat: Repeat) -> None:
        """A connection ended on a beaten way."""


class Gatherer:
    """Feed ``segment`` what a ``Reassembler`` takes; see ``segments.Gathered`` for ``gathered``.

    ``number``: of the connection that is handed on now, if it has one.
    """

    def __init__(self, leader: Leader, streams: Reassembler) -> None:
        self._leader = leader
        self._streams = streams
        self._held: dict[bytes, Callable[[Held], None]] = {}  # by both keys: what takes the segments of a walker
        self._young: deque[Walker] = deque()  # in the order in which they are looked at again
        self._dated: deque[int] = deque()  # the blocks in which that will be
        self._block = 0
        self._weight = 0  # bytes in walkers that were kept beyond that
        self._next_sweep = 0
        self._patience = 1 if leader.early else PATIENCE
        self.number = 0
        self.gathered = self._held.get
        self.segment = self._door()

    def _door(self) -> SegmentSink:
        """The way in: no attribute is looked up on it, for a million segments take it."""
        held, feed, odd, begin = self._held.get, self._streams.feed, self._odd, self._begin

        def segment(
            key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
        ) -> None:
            add = held(key)
            if add is not None:
                if flags & PLAIN_BITS == PLAIN and not missing:
                    add((key, seq, ack, flags, payload, frame, time_ns))
                else:
                    odd(_walker(add), key, seq, ack, flags, payload, missing, frame, time_ns)
            elif flags & PLAIN_BITS == _SYN | _ACK:
                begin(key, seq, ack, flags, payload, missing, frame, time_ns)
            else:
                feed(key, seq, ack, flags, payload, missing, frame, time_ns)

        return segment

    @property
    def open(self) -> int:
        """Connections that are gathered now."""
        return len(self._held) // 2

    def _begin(
        self, key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
    ) -> None:
        """A SYN is answered."""
        kind = self._leader.kind(key)
        syn = None if kind is None or payload or missing else self._streams.answered(key, ack)
        if syn is None:
            self._streams.feed(key, seq, ack, flags, payload, missing, frame, time_ns)
            return
        walker = Walker(self._leader, self, kind, (syn, (key, seq, ack, flags, payload, frame, time_ns)))
        walker.restart(self._leader.ways.root(kind))
        self._held[walker.client] = self._held[key] = walker.opened
        self._watch(walker)

    def went_on(self, walker: Walker) -> None:
        """See ``walker.Keeper``."""
        if not walker.walk():
            self._give_up(walker)
        elif not walker.opening:
            self._held[walker.client] = self._held[walker.server] = walker.append

    def woken(self, walker: Walker, held: Held) -> None:
        """See ``walker.Keeper``."""
        self._unpack(walker)
        add = self._held.get(held[0])
        if add is not None:
            add(held)
        else:
            self._streams.feed(*held[:5], 0, *held[5:])

    def _odd(
        self,
        walker: Walker,
        key: bytes,
        seq: int,
        ack: int,
        flags: int,
        payload: bytes,
        missing: int,
        frame: int,
        time_ns: int,
    ) -> None:
        """A segment that ends a stream, or does not belong into a plain connection."""
        how = flags & PLAIN_BITS
        plain = not missing and walker.half != key and how in {_FIN | _ACK, _RST | _ACK, _RST}
        if not plain:
            self._give_up(walker)
            self._streams.feed(key, seq, ack, flags, payload, missing, frame, time_ns)
            return
        if walker.packed:
            walker.unpack(self._leader.ways.root(walker.kind))
        walker.append((key, seq, ack, flags, payload, frame, time_ns))
        if how == _FIN | _ACK and walker.half is None:
            walker.half = key
        else:
            self._end(walker)

    def _end(self, walker: Walker) -> None:
        """Nothing more comes of it."""
        repeat = walker.finish()
        if repeat is None:
            self._give_up(walker)
            return
        self._forget(walker)
        (_, isn, *_), (_, isn_there, *_) = walker.handshake
        self._streams.ended(walker.client, walker.server, (isn, isn_there))
        walker.clear()
        self._leader.take(repeat)

    def _forget(self, walker: Walker) -> None:
        del self._held[walker.client], self._held[walker.server]
        self._weight -= walker.weight
        walker.over = True

    def _give_up(self, walker: Walker) -> None:
        """It is not plain, or not known: let the reassembler have all of it."""
        if walker.packed:
            walker.unpack(self._leader.ways.root(walker.kind))
        self._forget(walker)
        feed = self._streams.feed
        self.number = walker.number
        for key, seq, ack, flags, payload, frame, time_ns in (*walker.handshake, *walker):
            feed(key, seq, ack, flags, payload, 0, frame, time_ns)
        self.number = 0
        walker.clear()

    # -- what may not wait -----------------------------------------------------------------------------------------

    def sweep(self, now_ns: int) -> None:
        """A block of the capture is over; ``now_ns`` is its time, if it is known. Comes before that of the streams."""
        self._block += 1
        young, dated, limits = self._young, self._dated, self._leader.limits
        while dated and dated[0] <= self._block:
            dated.popleft()
            walker = young.popleft()
            if not walker.over:
                self._look_again(walker)
        if now_ns >= self._next_sweep:
            self._next_sweep = now_ns + 60_000_000_000
            oldest = now_ns - limits.idle_seconds * 1_000_000_000
            for walker in self.walkers():
                if walker.last_ns < oldest and limits.idle_seconds:
                    self._give_up(walker)
        if self.open + self._streams.open > limits.connections > 0:
            self.release()

    def _watch(self, walker: Walker) -> None:
        self._young.append(walker)
        self._dated.append(self._block + self._patience)

    def _look_again(self, walker: Walker) -> None:
        if len(walker) == walker.seen:
            walker.rests += 1
            if walker.rests * self._patience >= PATIENCE:
                self._held[walker.client] = self._held[walker.server] = walker.woken
                walker.pack()
            else:
                self._watch(walker)
            return
        weight = sum(len(held[4]) for held in walker)
        self._weight += weight - walker.weight
        walker.weight, walker.seen, walker.rests = weight, len(walker), 0
        large = (
            len(walker) > MAX_SEGMENTS or weight > MAX_BYTES or self._weight > self._leader.limits.gathered_bytes > 0
        )
        if large or (self._leader.early and not walker.walk()):
            self._give_up(walker)
        else:
            self._watch(walker)

    def _unpack(self, walker: Walker) -> None:
        """A connection that was packed goes on: what is known of it is found again."""
        walker.unpack(self._leader.ways.root(walker.kind))
        self._held[walker.client] = self._held[walker.server] = walker.opened
        self._watch(walker)
        if len(walker):
            self.went_on(walker)

    def walkers(self) -> list[Walker]:
        """The connections that are gathered, the first to be answered first."""
        return [walker for key, add in self._held.items() if (walker := _walker(add)).client == key]

    def release(self) -> None:
        """Let the reassembler have everything."""
        for walker in self.walkers():
            self._give_up(walker)

    def close(self, walker: Walker) -> None:
        """The capture is over, and ``walker`` was still open."""
        if walker.packed:
            walker.unpack(self._leader.ways.root(walker.kind))
        self._end(walker)


def _walker(add: Callable[[Held], None]) -> Walker:
    """Whose method ``add`` is."""
    return cast("Walker", cast("MethodType", add).__self__)

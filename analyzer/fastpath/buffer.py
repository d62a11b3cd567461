"""In front of the reassembler: segments of a connection are gathered until it ends, then looked at all at once."""

# Theory
# ------
# Most connections of mail are short, whole and like one another. To take each of their segments through a reassembler
# and a conversation costs ten times as much as to put it on a list; and at the end one loop over the list can tell
# whether there was anything but the next segment of either side on a way that is beaten (`matcher`). What it cannot
# tell is given to the reassembler, segment by segment, in the order in which it came: the report is the same, only
# later.
#
# What may not wait does not:
# * the first steps, up to the reply to the hello, are walked as they come: there servers offer TLS, and what they offer
#   is compared between connections. Who is not on a known way by then goes to the reassembler at once;
# * memory: connections are looked at again after each block of the capture. What has become large is given up, and so
#   is everything beyond `gathered_bytes` in all; what said nothing since is packed into one string of bytes;
# * a dialogue that is not known: it is judged as it goes on. But its segments are kept as well, so that it can be set
#   aside while nothing is said: a conversation takes ten times the memory of its segments;
# * findings that are wanted early: then the walk goes on at every block, and where the way has one it is given up.
#
# A SYN alone is the reassembler's to remember, so a flood of them fills nothing here.

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol, cast

from ..segments.decoder import PLAIN, PLAIN_BITS, WholeSegment
from .compact import Packed
from .hit import Guide
from .matcher import Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import MethodType

    from ..connections.partition import Places
    from ..segments.decoder import SegmentSink
    from ..streams.reassembler import Reassembler
    from .hit import Repeat
    from .trie import Ways

__all__ = ["Gatherer", "Leader"]

_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16

RESTS = 2  # blocks of the capture after which a connection that said nothing is set aside; one, where many are open
MANY = 1000
MAX_SEGMENTS = 1024  # of one connection that are kept beyond that
MAX_BYTES = 1 << 18  # and their bytes
MAX_PACKED = 1 << 13  # bytes of one that is set aside; a conversation that waits takes no more than that


class Leader(Guide, Protocol):
    """The tracker, as the gatherer knows it."""

    ways: Ways
    early: bool
    places: Places | None

    def kind(self, server: bytes) -> object:
        """Of which ways a connection may be that ``server`` is the server's stream of; None: of none."""

    def take(self, one: Repeat) -> None:
        """A connection ended on a beaten way."""


class Gatherer:
    """Feed ``segment`` what a ``Reassembler`` takes; see ``segments.decoder.Gathered`` for ``gathered``.

    ``number``: of the connection that is handed on now, if it has one.
    """

    def __init__(self, leader: Leader, streams: Reassembler) -> None:
        self._leader = leader
        self._streams = streams
        self._held: dict[
            bytes, Callable[[WholeSegment], None]
        ] = {}  # by both keys: what takes the segments of a walker
        self._young: list[Walker] = []  # what is looked at again after each block
        self._weight = 0  # bytes in walkers that are looked at after each block
        self._followed = 0  # walkers that are followed
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
                    odd(_whose(add), key, seq, ack, flags, payload, missing, frame, time_ns)
            elif flags & PLAIN_BITS == _SYN | _ACK:
                begin(key, seq, ack, flags, payload, missing, frame, time_ns)
            else:
                feed(key, seq, ack, flags, payload, missing, frame, time_ns)

        return segment

    @property
    def open(self) -> int:
        """Connections that are gathered now."""
        return len(self._held) // 2 - self._followed

    def keys(self) -> Iterable[bytes]:
        """Of both flows of each connection that is gathered."""
        return self._held

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
        self._hold(walker)

    def went_on(self, walker: Walker) -> None:
        """See ``walker.Keeper``."""
        self._is_at(walker[-1])
        if not walker.greets():
            self._go_on(walker)

    def _is_at(self, held: WholeSegment) -> None:
        if self._leader.places is not None:
            self._leader.places.here = (held[5], 0)

    def _go_on(self, walker: Walker) -> None:
        if not walker.walk() or not walker.number:  # a client that speaks first has no number yet, and may get one now
            self._give_up(walker, follow=not self._leader.early)
        elif not walker.opening:
            self._held[walker.client] = self._held[walker.server] = walker.append

    def _hold(self, walker: Walker) -> None:
        walker.restart(self._leader.ways.root(walker.kind))
        self._held[walker.client] = self._held[walker.server] = walker.opened
        self._young.append(walker)

    def woken(self, packed: Packed, held: WholeSegment) -> None:
        """See ``compact.Waker``."""
        self._is_at(held)
        self._unpack(packed)
        add = self._held.get(held[0])
        if add is not None:
            add(held)
        else:
            self._feed(held)

    def follow(self, held: WholeSegment) -> None:
        """See ``walker.Keeper``."""
        self._is_at(held)
        self._feed(held)

    def _feed(self, held: WholeSegment) -> None:
        key, seq, ack, flags, payload, frame, time_ns = held
        self._streams.feed(key, seq, ack, flags, payload, 0, frame, time_ns)

    def _odd(
        self,
        held: Walker | Packed,
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
        walker = held if isinstance(held, Walker) else self._unpack(held)
        how = flags & PLAIN_BITS
        if not walker.over:
            if walker.followed:
                self._forget(walker)
            elif missing or walker.half == key or how not in {_FIN | _ACK, _RST | _ACK, _RST}:
                self._give_up(walker)
        if walker.over:
            self._streams.feed(key, seq, ack, flags, payload, missing, frame, time_ns)
            return
        walker.append((key, seq, ack, flags, payload, frame, time_ns))
        if how == _FIN | _ACK and walker.half is None:
            walker.half = key
            if payload and not walker.number:
                self.went_on(walker)  # the first words may be the last
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
        self._leader.take(repeat)

    def _forget(self, walker: Walker) -> None:
        del self._held[walker.client], self._held[walker.server]
        self._weight -= walker.weight
        self._followed -= walker.followed
        walker.over = True
        walker.clear()

    def _give_up(self, walker: Walker, *, follow: bool = False) -> None:
        """It is not plain, or not known: let the reassembler have all of it. ``follow``: and all that comes, but keep
        it too."""
        self.number = walker.number
        for held in (*walker.handshake, *walker):
            self._feed(held)
        self.number = 0
        if follow:
            walker.followed = True
            self._followed += 1
            self._held[walker.client] = self._held[walker.server] = walker.follow
        else:
            self._forget(walker)

    # -- what may not wait -----------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """A block of the capture is over. Comes before the sweep of the streams, which get what is too much."""
        streams, limits = self._streams, self._leader.limits
        young, self._young = self._young, []
        for young_one in young:
            if not young_one.over:
                self._look_again(young_one)
        if streams.clock.sweep_expected:
            oldest = streams.clock.now_ns - limits.idle_seconds * 1_000_000_000
            for one in self.all():
                if one.last_ns < oldest and limits.idle_seconds:
                    self._give_up(self._unpacked(one))
        if self.open + streams.open > limits.connections > 0:
            self.release()

    def _look_again(self, walker: Walker) -> None:
        if len(walker) == walker.seen:
            walker.rests += 1
            if walker.rests >= RESTS or len(self._young) > MANY:
                self._set_aside(walker)
            else:
                self._young.append(walker)
            return
        grown = sum(len(held[4]) for held in islice(walker, walker.seen, None))
        self._weight += grown
        walker.weight += grown
        walker.seen, walker.rests = len(walker), 0
        large = len(walker) > MAX_SEGMENTS or walker.weight > MAX_BYTES
        large = large or self._weight > self._leader.limits.gathered_bytes > 0
        if large and walker.followed:
            self._forget(walker)
        elif large or (self._leader.early and (not walker.walk() or walker.faulty)):
            self._give_up(walker)
        else:
            self._young.append(walker)

    def _set_aside(self, walker: Walker) -> None:
        """Nothing was said for a while: keep what was in as few bytes as it has, if those are few."""
        if walker.weight > MAX_PACKED:
            if walker.followed:
                self._forget(walker)
            else:
                self._give_up(walker)
            return
        if walker.followed:
            number = self._streams.discard(walker.client)
            if number is None:
                self._forget(walker)
                return
            walker.number = walker.number or number
            walker.followed = False
            self._followed -= 1
        packed = Packed(walker, self)
        self._weight -= walker.weight
        walker.over = True
        walker.clear()
        self._held[packed.client] = self._held[packed.server] = packed.woken

    def _unpack(self, packed: Packed) -> Walker:
        """A connection that was packed goes on: what is known of it is found again, if all of it still is."""
        walker = self._unpacked(packed)
        self._hold(walker)
        if any(held[4] for held in walker) and not walker.greets():
            self._go_on(walker)
        return walker

    def _unpacked(self, one: Walker | Packed) -> Walker:
        if isinstance(one, Walker):
            return one
        syn, answer, *segments = one.segments()
        walker = Walker(self._leader, self, one.kind, (syn, answer))
        walker.number = one.number
        walker.half = next((held[0] for held in segments if held[3] & _FIN), None)
        walker.restart(self._leader.ways.root(walker.kind))
        walker.extend(segments)
        return walker

    def all(self) -> list[Walker | Packed]:
        """The connections that are gathered and not followed."""
        return [
            one
            for key, add in self._held.items()
            if (one := _whose(add)).client == key and not (isinstance(one, Walker) and one.followed)
        ]

    def release(self) -> None:
        """Let the reassembler have everything."""
        for one in self.all():
            self._give_up(self._unpacked(one))

    def settle(self) -> None:
        """The capture is over: nothing is set aside any more."""
        self._young.clear()

    def close(self, one: Walker | Packed) -> None:
        """The capture is over, and this was still open."""
        self._end(self._unpacked(one))


def _whose(add: Callable[[WholeSegment], None]) -> Walker | Packed:
    """Whose method ``add`` is."""
    return cast("Walker | Packed", cast("MethodType", add).__self__)

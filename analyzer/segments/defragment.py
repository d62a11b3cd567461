"""Join IP fragments into whole datagrams (RFC 791 §3.2, RFC 8200 §4.5), with limits, timeouts and missing bytes."""

# Theory
# ------
# A datagram is a list of pieces that do not overlap, sorted by offset. If fragments of IPv4 overlap, the bytes that
# came first are kept, and a later copy only fills what is still missing; other bytes in it are reported, because
# receivers differ. With IPv6 every receiver drops the datagram, unless the fragment is a copy (RFC 8200 §4.5). A
# datagram is whole when the pieces cover it from 0 to the end that its last fragment gave.
#
# A fragment whose end was cut by the snap length still covers its full length, so the datagram becomes whole. Its
# content then ends at the first cut, and the rest counts as missing.
#
# A whole datagram is remembered for a short time. On a mirror port that shows each frame twice, the second copies must
# not start a datagram that is never complete and that would accept fragments of a later one with the same
# identification.
from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from .layers import Fragment

__all__ = ["LARGEST", "REPEAT_SECONDS", "Defragmenter"]

REPEAT_SECONDS = 1
"""How long a whole datagram is remembered, to recognise copies of its fragments. Mirror ports copy within milliseconds;
a host reuses an identification after 65536 datagrams."""

LARGEST = 65_535 - 20
"""Largest payload of a datagram (RFC 791 §3.1); a fragment that reaches beyond it is an attack."""

_PIECE_COST = 200  # bytes of the Python objects for one piece, so that tiny fragments count with their real cost
_SECOND = 1_000_000_000


_Key = tuple[bytes, int, int]


class _Datagram:
    """The pieces of one datagram so far."""

    __slots__ = (
        "abandoned", "bodies", "cost", "counted", "covered", "differs", "ends", "protocol", "since", "starts", "total",
    )  # fmt: skip

    def __init__(self, since: int, protocol: int) -> None:
        self.since = since
        self.protocol = protocol
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.bodies: list[bytes] = []
        self.covered = 0
        self.total: int | None = None
        self.cost = 0
        self.counted = False
        self.differs = False  # fragments have other bytes for the same place
        self.abandoned = False

    def overlaps(self, start: int, end: int, body: bytes) -> bool:
        """Return whether a fragment overlaps those before it and is no copy of one. ``differs`` says whether any of its
        bytes are others."""
        overlap = False
        for first in range(max(bisect_right(self.starts, start) - 1, 0), len(self.starts)):
            low, high = max(start, self.starts[first]), min(end, self.ends[first])
            if self.starts[first] >= end:
                break
            if low >= high:
                continue
            overlap = overlap or (start, end) != (self.starts[first], self.ends[first])
            known = self.bodies[first][low - self.starts[first] : high - self.starts[first]]
            again = body[low - start : high - start]
            both = min(len(known), len(again))  # the capture may have cut each
            self.differs = self.differs or known[:both] != again[:both]
        return overlap or self.differs

    def abandon(self) -> None:
        """Keep nothing but that more fragments of it count for nothing."""
        self.abandoned = True
        self.starts, self.ends, self.bodies, self.cost = [], [], [], _PIECE_COST

    def add(self, start: int, end: int, body: bytes) -> None:
        """Keep the bytes of ``body`` that are still missing between ``start`` and ``end``."""
        i = bisect_right(self.starts, start)
        at = max(start, self.ends[i - 1]) if i else start
        while at < end:
            stop = min(end, self.starts[i]) if i < len(self.starts) else end
            if at < stop:
                piece = body[at - start : stop - start]
                self.starts.insert(i, at)
                self.ends.insert(i, stop)
                self.bodies.insert(i, piece)
                self.covered += stop - at
                self.cost += len(piece) + _PIECE_COST
                i += 1
            if i == len(self.ends):
                break
            at = max(at, self.ends[i])
            i += 1

    @property
    def whole(self) -> bool:
        return not self.abandoned and self.covered == self.total == self.ends[-1]

    def content(self) -> bytes:
        """Return the bytes up to the first that was not captured."""
        bodies = []
        for start, end, body in zip(self.starts, self.ends, self.bodies, strict=True):
            bodies.append(body)
            if len(body) < end - start:
                break
        return b"".join(bodies)


class Defragmenter:
    """Takes fragments in capture order with ``add``, which returns whole datagrams. ``dropped``: datagrams given up.
    ``overlapping``: datagrams of IPv4 whose fragments overlap with other bytes; ``abandoned``: of IPv6 whose fragments
    overlap.

    The memory cost of each piece, not only its bytes, counts for the limit ``fragment_bytes``.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._max_bytes = limits.fragment_bytes
        self._max_wait_ns = limits.fragment_seconds * _SECOND
        self._waiting: OrderedDict[_Key, _Datagram] = OrderedDict()
        self._done: OrderedDict[_Key, tuple[int, bytes]] = OrderedDict()
        self._held = 0
        self.dropped = self.overlapping = self.abandoned = 0

    def add(self, fragment: Fragment, time_ns: int) -> tuple[bytes, int, int] | None:
        """Take one fragment that ends at ``LARGEST`` or before. Returns (content, bytes missing at its end, protocol)
        if the datagram is now whole."""
        self._age(time_ns)
        end = fragment.offset + fragment.length
        # IPv6 keys have no protocol: only the next header field of the first fragment counts (RFC 8200 §4.5).
        key = (fragment.addresses, fragment.identification, fragment.protocol if len(fragment.addresses) == 8 else -1)
        if key in self._done:
            content = self._done[key][1]
            if content[fragment.offset : fragment.offset + len(fragment.data)] == fragment.data:
                return None
            self._forget_done(key)
        datagram = self._waiting.get(key)
        if datagram is None:
            datagram = self._waiting[key] = _Datagram(time_ns, fragment.protocol)
        if datagram.abandoned:
            return None
        self._held -= datagram.cost
        differed = datagram.differs
        if datagram.overlaps(fragment.offset, end, fragment.data):
            if len(fragment.addresses) == 32:
                datagram.abandon()
                self.abandoned += 1
                self._held += datagram.cost
                return None
            self.overlapping += datagram.differs and not differed
        datagram.add(fragment.offset, end, fragment.data)
        self._held += datagram.cost
        if not fragment.offset:
            datagram.protocol = fragment.protocol
        if not fragment.more and datagram.total is None:
            datagram.total = end
        found = None
        if datagram.whole:
            content = datagram.content()
            found = content, datagram.ends[-1] - len(content), datagram.protocol
            del self._waiting[key]
            self._done[key] = time_ns, content
            self._held += len(content) + _PIECE_COST - datagram.cost
        while self._held > self._max_bytes > 0:
            if self._done:
                self._forget_done(next(iter(self._done)))
            else:
                self._give_up(next(iter(self._waiting)))
        return found

    def unfinished(self) -> int:
        """Return the number of incomplete datagrams that no earlier call has counted."""
        waiting = [one for one in self._waiting.values() if not one.counted and not one.abandoned]
        for datagram in waiting:
            datagram.counted = True
        return len(waiting)

    def _age(self, now: int) -> None:
        """Drop what is too old. The oldest entries are first in each table, so most calls stop at once."""
        while self._done:
            key, (since, _) = next(iter(self._done.items()))
            if now - since <= REPEAT_SECONDS * _SECOND:
                break
            self._forget_done(key)
        while self._waiting:
            key, datagram = next(iter(self._waiting.items()))
            if not now - datagram.since > self._max_wait_ns > 0:
                break
            self._give_up(key)

    def _forget_done(self, key: _Key) -> None:
        self._held -= len(self._done.pop(key)[1]) + _PIECE_COST

    def _give_up(self, key: _Key) -> None:
        datagram = self._waiting.pop(key)
        self._held -= datagram.cost
        self.dropped += not datagram.counted and not datagram.abandoned

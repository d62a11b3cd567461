"""Find segments whose numbers fit no connection that is known between their addresses and ports."""

# Theory
# ------
# The same addresses and ports may belong to two connections at a time: two networks with the same private addresses,
# recorded in two VLANs. They may also belong to one after the other, and the handshake of the second was not captured.
# Tags and tunnel numbers do not show which segment belongs to which, because the two directions of one connection may
# have different ones. The numbers do: both the sequence number and the acknowledgment number are far from what is
# expected.
#
# One segment proves nothing, because anyone can forge it. So it is set aside until a segment of the other direction
# fits it: each acknowledges about what the other one sends. Then both begin a connection of their own, beside the one
# that is open, or in the place of one that has ended.

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ..limits import STRANGER_SEGMENTS, STRANGERS
from .flow import reversed_key
from .stream import ACK, HALF, M32, RST, SYN, WINDOW

if TYPE_CHECKING:
    from .flow import Flow
    from .flow_table import FlowTable
    from .stream import Segment

__all__ = ["FAR", "Strangers"]

FAR = 4 * WINDOW
"""Bytes between two numbers that cannot belong to one connection: more than a sender may have in flight, and more than
a capture misses without missing everything."""

_FAR_FROM_START = 1 << 26  # the same for a connection that ended, of which only the first number is known


class Strangers:
    """The segments that are set aside."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._aside: dict[bytes, list[Segment]] = {}

    def fits(self, flow: Flow | None, one: Segment) -> bool:
        """Return whether a segment may belong to ``flow``, the connection of its ports. None: there is none, or it has
        ended."""
        key, seq, ack, flags = one[:4]
        if flags & (SYN | RST | ACK) != ACK:
            return True
        if flow is not None:
            mine, theirs = flow.numbers(key)
            return mine < 0 or theirs < 0 or _is_near(seq - mine, FAR) or _is_near(ack - theirs, FAR)
        closed = self._table.closed
        if key not in closed:
            return True
        first, other, _ = closed[key]
        if first is None or other is None:
            return True
        return _is_near(seq - first, _FAR_FROM_START) or _is_near(ack - other, _FAR_FROM_START)

    def take(self, one: Segment) -> list[Segment] | None:
        """Set a segment aside. If it and another one show a connection, return the segments of that, in order."""
        key, seq, ack, _, payload = one[:5]
        name = min(key, reversed_key(key))
        segments = self._aside.setdefault(name, [])
        segments.append(one)
        for other in segments:
            if other[0] != key and (payload or other[4]):
                sent, acked = (seq - other[2]) & M32, (ack - other[1] - len(other[4])) & M32
                if _is_near(sent, WINDOW) and _is_near(acked, WINDOW):
                    return [each for each in self._aside.pop(name) if self._belongs(each, one)]
        if len(segments) > STRANGER_SEGMENTS:
            del segments[0]
        if len(self._aside) > STRANGERS:
            for oldest in list(islice(self._aside, STRANGERS // 8)):
                del self._aside[oldest]
        return None

    @staticmethod
    def _belongs(each: Segment, one: Segment) -> bool:
        mine, theirs = (one[1], one[2]) if each[0] == one[0] else (one[2], one[1])
        return _is_near(each[1] - mine, FAR) and _is_near(each[2] - theirs, FAR)


def _is_near(distance: int, most: int) -> bool:
    distance &= M32
    return (distance if distance < HALF else M32 + 1 - distance) < most

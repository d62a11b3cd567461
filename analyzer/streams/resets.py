"""Decide which RST or FIN ends a connection, and what it shows about bytes that were not captured."""

# Theory
# ------
# Anyone can forge a RST, so it must have exactly the sequence number that its receiver expects (RFC 5961 §3.2). If the
# number is only near, the receiver sends a challenge ACK, so other segments of the same sender prove that the RST was
# not the end. If there are none, it was the end, and its number shows how much its sender had sent. What of that was
# not captured is lost, and its content is unknown.
#
# A RST with the exact number can be forged, too, and its receiver may have dropped it, for example because its checksum
# is wrong. The receiver shows that: it acknowledges what the other side sent after the RST. So such a RST waits for
# LINGER_NS, and the segments after it are set aside. If the receiver goes on, they are taken as if there had been no
# RST. Otherwise they count for nothing, as replies that were under way. If the receiver had ended its own stream, there
# is nothing to wait for: most connections end so.
#
# The same is true of a FIN if its sender goes on with the number of the FIN. The end was reported by then, so it is
# taken back, if nothing was made of it.

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from ..limits import WAITING_RESETS
from .stream import ACK, PIECE, RST, SYN, WINDOW, Reset, SetAside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .flow import Flow
    from .receiver import Side
    from .stream import Disorder, Segment, Stream

__all__ = ["LINGER_NS", "Ends", "Moment", "OrderlyRst", "is_doubtful"]

LINGER_NS = 3_000_000_000
"""How long a RST waits for a sign that its receiver did not accept it: longer than a round trip with a
retransmission."""

Moment = tuple[int, int, int, int, int]
"""Time and frame of a RST, and `Flow.started`."""

OrderlyRst = tuple["Side", int, int] | None
"""A RST that ends a connection in order: its side, how many bytes of the peer it had acknowledged, its frame."""


class Ends:
    """The ends that may be forged."""

    def __init__(self, feed: Callable[..., None], finish: Callable[[Flow], None]) -> None:
        """``feed``: takes a segment. ``finish``: ends a connection, with its RST if it has one."""
        self._feed = feed
        self._finish = finish
        self._lingering: dict[Flow, None] = {}

    def reset(self, flow: Flow, disorder: Disorder, stream: Stream, start: int, one: Segment) -> None:
        """Take a RST of ``stream`` with the exact number; it is at offset ``start``."""
        _, _, ack, flags, _, _, frame, time_ns = one
        disorder.reset = Reset(stream, start, ack if flags & ACK else -1, frame, time_ns, exact=True)
        disorder.later = SetAside(stream)
        self._lingering[flow] = None
        if stream.peer.finished:
            self._finish_lingering(flow)
        elif len(self._lingering) > WAITING_RESETS:
            for oldest in list(islice(self._lingering, WAITING_RESETS // 8)):
                self._finish_lingering(oldest)

    def follows_fin(self, disorder: Disorder, stream: Stream, start: int, one: Segment) -> bool:
        """Return whether a segment of ``stream`` has data where its FIN was. Then what it sends is set aside."""
        if not one[4] or not stream.finished or stream.fin_guessed or start != stream.fin:
            return False
        disorder.later = SetAside(stream)
        return self._add(disorder, disorder.later, one) or True

    def take(self, flow: Flow, disorder: Disorder, one: Segment) -> bool:
        """Take a segment after such an end. Return whether that is all that must be done with it."""
        key, _, ack, flags = one[:4]
        stream = disorder.client if key == flow.key else disorder.server
        later, reset = disorder.later, disorder.reset
        assert later is not None
        ended = later.stream
        assert ended is not None
        begins = flags & SYN != 0
        if reset is None:  # a FIN
            if stream is ended:
                return not flags & (RST | SYN) and (self._add(disorder, later, one) or True)
            if flags & (RST | SYN) or not flags & ACK or ended.at(ack) <= ended.fin + 1:
                return False
            disorder.later = None
            if not flow.reopen(ended):
                return False
        elif begins or (flags & RST and stream is not ended):
            self._finish_lingering(flow)
            return not begins
        elif stream is ended or not flags & ACK or ended.at(ack) <= reset.start:
            if not self._add(disorder, later, one):
                self._finish_lingering(flow)
            return True
        else:
            disorder.reset = disorder.later = None
            self._lingering.pop(flow, None)
        flow.noted.ends_refused += 1
        for each in later.segments:
            self._feed(*each)
        self._feed(*one)
        return True

    def sweep(self, now_ns: int) -> Iterator[Moment]:
        """End the connections whose RST has waited long enough, and yield the moment of each before that, in order."""
        if not self._lingering:
            return
        due = [(moment, flow) for flow in self._lingering if now_ns - (moment := _moment(flow))[0] > LINGER_NS]
        for moment, flow in sorted(due, key=itemgetter(0)):
            yield moment
            self._finish_lingering(flow)

    def forget(self, flow: Flow) -> None:
        """``flow`` has ended."""
        self._lingering.pop(flow, None)

    def _finish_lingering(self, flow: Flow) -> None:
        self._lingering.pop(flow, None)
        self._finish(flow)

    def _add(self, disorder: Disorder, later: SetAside, one: Segment) -> bool:
        disorder.shared.grown += len(one[4]) + PIECE
        return later.add(one)


def _moment(flow: Flow) -> Moment:
    reset = None if flow.disorder is None else flow.disorder.reset
    return (0, 0, *flow.started) if reset is None else (reset.time_ns, reset.frame, *flow.started)


def _ends_here(stream: Stream, start: int) -> bool:
    """Return whether a RST at offset ``start`` has exactly the number that its receiver expects (RFC 5961 §3.2): the
    one after the last byte or the FIN, or, if bytes are missing from the capture, the one that the peer
    acknowledged."""
    return start in {stream.offset, stream.top, stream.acked} or start == stream.fin + 1 > 0


def is_doubtful(disorder: Disorder, stream: Stream, start: int, flags: int, ack: int, frame: int, time_ns: int) -> bool:
    """Return whether a segment at offset ``start`` is a RST with another number than the expected one. If the number is
    near, the RST may still be the end, so it is noted; other segments of the same sender prove that it was not."""
    if not flags & RST or _ends_here(stream, start):
        if disorder.reset is not None and disorder.reset.stream is stream:
            disorder.reset = None
        return False
    if stream.offset - 1 <= start <= stream.offset + WINDOW:
        disorder.reset = Reset(stream, start, ack if flags & ACK else -1, frame, time_ns)
    return True

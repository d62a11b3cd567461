"""Deliver everything that is left of a connection that ends, with gaps for the missing bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .causal_order import pump
from .gaps import record_ack, record_end, withdraw
from .ordering import drain, guess_fin, lose, reach_fin, reach_guessed_fin

if TYPE_CHECKING:
    from .receiver import Side
    from .stream import Disorder, Reset

__all__ = ["accept_reset", "deliver_rest"]


def deliver_rest(disorder: Disorder, time_ns: int) -> None:
    """Deliver what is left of both directions."""
    if disorder.client.settled and disorder.server.settled:
        return
    streams = disorder.client, disorder.server
    for _ in range(2):  # a gap in one stream may release the other
        for stream in streams:
            while stream.held:
                last = stream.held[0].frame
                lose(stream, stream.held[0].start - stream.offset, last, time_ns)
                drain(stream)
                reach_fin(stream)
                pump(disorder, force=False)  # the answer of the peer comes before the next gap
            if stream.doubts:
                withdraw(stream)
            if stream.top > stream.offset and stream.next >= 0 and not guess_fin(stream):
                lose(stream, stream.top - stream.offset, stream.top_frame, time_ns)
            reach_fin(stream)
            reach_guessed_fin(stream, time_ns)
        pump(disorder, force=True)


def accept_reset(reset: Reset) -> tuple[Side, int, int]:
    """Accept a RST as the end, because nothing of its sender came after it, and use its numbers. Return its side, frame
    and time."""
    stream, start, ack, frame, time_ns, _ = reset
    if ack >= 0:
        record_ack(stream.peer, ack, frame)
    record_end(stream, start, start, frame)
    return stream.side, frame, time_ns

"""Decide which RST ends a connection, and what it shows about bytes that were not captured."""

# Theory
# ------
# Anyone can forge a RST, so it must have exactly the sequence number that its receiver expects (RFC 5961 §3.2). If the
# number is only near, the receiver sends a challenge ACK, so other segments of the same sender prove that the RST was
# not the end. If there are none, it was the end, and its number shows how much its sender had sent. What of that was
# not captured is lost, and its content is unknown.

from __future__ import annotations

from typing import TYPE_CHECKING

from .stream import ACK, RST, WINDOW, Reset

if TYPE_CHECKING:
    from .stream import Disorder, Stream

__all__ = ["is_doubtful"]


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

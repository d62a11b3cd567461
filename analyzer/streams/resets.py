"""Which RST ends a connection, and what it says of bytes that were not captured."""

# Theory
# ------
# Anybody can forge a RST, so its number has to be the one that its receiver expects (RFC 5961 §3.2). Where it is only
# near, its receiver asks again, so other segments of the same sender prove that it was not the end. If there are none,
# it was, and its number tells how much its sender had sent: what of that was not captured is lost, and what happened
# there nobody knows.

from __future__ import annotations

from typing import TYPE_CHECKING

from .stream import WINDOW, Reset

if TYPE_CHECKING:
    from .stream import Stream

__all__ = ["RST", "is_doubtful"]

RST, ACK = 0x04, 0x10


def _ends_here(stream: Stream, start: int) -> bool:
    """Whether a RST at offset ``start`` has exactly the number that its receiver expects (RFC 5961 §3.2): what follows
    the last byte or the FIN, or, where the capture lacks bytes, what the peer has acknowledged."""
    return start in {stream.offset, stream.top, stream.acked} or start == stream.fin + 1 > 0


def is_doubtful(stream: Stream, start: int, flags: int, ack: int, frame: int, time_ns: int) -> bool:
    """Whether a segment at offset ``start`` is a RST that has not the number expected. Near it, it may be the end all
    the same, so it is noted; other segments of the same sender prove that it was not."""
    flow = stream.flow
    if not flags & RST or _ends_here(stream, start):
        if flow.reset is not None and flow.reset.stream is stream:
            flow.reset = None
        return False
    if stream.offset - 1 <= start <= stream.offset + WINDOW:
        flow.reset = Reset(stream, start, ack if flags & ACK else -1, frame, time_ns)
        flow.busy = True
    return True

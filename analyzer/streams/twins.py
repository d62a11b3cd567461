"""Tell a connection that two captures recorded from two connections that only look like one."""

# Theory
# ------
# Two captures may hold the same connection, and each may lack what the other has, so the segments of the second one are
# taken as copies. But generated captures also repeat addresses, ports, sequence numbers and times for different
# dialogues. Other bytes show that. So the segments of the second capture are kept, up to a limit, as long as they only
# repeat what is known. At the first difference the known connection is over, and they begin another one.

from __future__ import annotations

from typing import TYPE_CHECKING

from .ordering import is_probe

if TYPE_CHECKING:
    from .stream import Disorder, Segment, Stream

__all__ = ["differs"]


def differs(disorder: Disorder, stream: Stream, start: int, one: Segment) -> bool:
    """Add a segment of ``stream`` at offset ``start`` to the twin. Return whether its bytes are others than those that
    are known."""
    twin, payload = disorder.twin, one[4]
    if twin is None:
        return False
    room = twin.add(one)
    behind = stream.offset - start
    if payload and behind > 0 and not is_probe(payload, start, stream.offset):
        at = len(stream.recent) - behind
        if at >= 0 and not stream.recent.startswith(payload[:behind], at):
            return True
    if not room:
        disorder.twin = None
    return False

"""Decide which of two directions came first: a segment waits for the bytes of the peer that its sender had seen."""

# Theory
# ------
# An ACK number says how much of the peer's stream the sender of a segment had received. If that is more than was
# captured so far, the peer's bytes really came first, whatever the order of the capture, and the segment waits for
# them. This puts the two directions in causal order even if two taps were merged with a time skew.
#
# A segment never waits for bytes beyond `top`, which are not believed to have been sent: a forged ACK delays nothing.
#
# Bytes that were lost in a row may have been sent at different times. The events of the peer in between show when, so a
# gap is delivered in pieces, each at its time.

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .stream import PIECE

if TYPE_CHECKING:
    from .receiver import How
    from .stream import Disorder, QueuedEvent, Stream

__all__ = ["emit", "pump"]


def emit(stream: Stream, item: QueuedEvent) -> None:
    """Deliver the next event of ``stream``, or queue it until the peer has come far enough."""
    if not stream.queue and _ready(stream.peer, item.needs):
        rest = _deliver(stream, item)
        if rest is None:
            return
        item = rest
    if stream.queue is None:
        stream.queue = deque()
    stream.queue.append(item)
    stream.disorder.shared.grown += len(item.payload) + PIECE


def _ready(peer: Stream, needs: int) -> bool:
    """Return whether all bytes of ``peer`` that an ACK covers were delivered."""
    if needs == peer.fin + 1 > 0:  # recognised later as an ACK of the FIN
        return (peer.finished or peer.fin_guessed) and not peer.queue
    # up to where everything was delivered
    sent = peer.queue[0].offset if peer.queue else peer.offset
    return needs <= sent or needs > peer.top or sent == peer.fin or peer.next < 0


def _deliver(stream: Stream, item: QueuedEvent) -> QueuedEvent | None:
    """Deliver ``item``. Returns the rest of a gap that must wait for an event of the peer, else None."""
    receiver = stream.flow.receiver
    if item.kind == "data":
        take = receiver.client if stream.side == "client" else receiver.server
        take(item.payload, item.offset, item.frame, item.time_ns, item.needs)
    elif item.kind == "gap":
        peer = stream.peer
        until, needs = (peer.queue[0].needs, -1) if peer.queue else (-1, -1)
        if not peer.queue and peer.held:
            until, needs = peer.held[0].needs, peer.held[0].end
        length = until - item.offset
        if not 0 < length < item.length:
            length = item.length
        receiver.gap(stream.side, item.offset, length, item.frame, item.time_ns)
        if length < item.length:
            return item._replace(offset=item.offset + length, length=item.length - length, needs=needs)
    else:
        how: How = "fin" if item.kind == "fin" else "unseen"
        receiver.closed(stream.side, how, item.frame, item.time_ns, stream.peer.acked)
    return None


def pump(disorder: Disorder, *, force: bool) -> None:
    """Deliver the events that no longer wait. ``force``: break a deadlock, which honest ACK numbers cannot cause."""
    streams = disorder.client, disorder.server
    while streams[0].queue or streams[1].queue:
        ready = [s for s in streams if s.queue and _ready(s.peer, s.queue[0].needs)]
        if not ready and force:
            ready = [s for s in streams if s.queue]
        if not ready:
            return
        stream = min(ready, key=lambda s: s.queue[0].frame if s.queue else 0)
        assert stream.queue
        rest = _deliver(stream, stream.queue.popleft())
        if rest is not None:
            stream.queue.appendleft(rest)

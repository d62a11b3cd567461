"""What all connections together hold back, and which of them to relieve where that is too much."""

# Theory
# ------
# Limits hold for each connection, and an attacker has many of those. To count what is held now, at every place that
# adds to it or takes from it, would cost the honest. So the places that keep something only add to what was ever kept,
# `Kept.grown`. As long as that has not grown by what is still free, the bound holds for certain; then everything is
# weighed once. What is weighed seldom may be weighed thoroughly.
#
# The heaviest are relieved first, which frees most at the least loss: holes are waited for no longer. Who is heavy
# after that (half a line, half a reply, a message that waits for an answer) is followed no further.

from __future__ import annotations

from typing import TYPE_CHECKING

from .causal_order import pump
from .ordering import drain, lose, reach_fin
from .stream import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .stream import Flow, Stream

__all__ = ["FLOW_COST", "GROWTH_PER_FLOW", "heaviest", "relieve", "weight"]

FLOW_COST = (
    8192  # counted for a new connection: its first bytes, and the last ones, which are kept to compare copies with
)
GROWTH_PER_FLOW = (
    4096  # bytes to grow, for each connection, before all are weighed again: else many would be weighed for few
)


def weight(flow: Flow) -> int:
    """Bytes that ``flow`` holds back: behind holes, for the peer, and in whoever listens."""
    return _held(flow.a) + _held(flow.b) + flow.listener.weight()


def _held(stream: Stream) -> int:
    total = sum(map(len, stream.recent))
    if stream.held:
        total += 2 * stream.held_bytes + PIECE * len(stream.held)
    if stream.queue:
        total += sum(len(item.payload) + PIECE for item in stream.queue)
    return total


def heaviest(flows: Iterable[Flow], limit: int) -> tuple[int, list[Flow]]:
    """The bytes that all of them hold; and where that is more than ``limit``, those that hold half of the limit too
    much, the heaviest first."""
    weighed = [(weight(flow), flow) for flow in flows]
    total = sum(each for each, _ in weighed)
    if total <= limit:
        return total, []
    weighed.sort(key=lambda one: -one[0])
    chosen, left = [], total
    for each, flow in weighed:
        if left <= limit // 2:
            break
        chosen.append(flow)
        left -= each
    return total, chosen


def relieve(flow: Flow) -> None:
    """Wait no longer for what is missing of ``flow``."""
    for stream in (flow.a, flow.b):
        while stream.held:
            one = stream.held[0]
            lose(stream, one.start - stream.offset, one.frame, flow.last_ns)
            drain(stream)
            reach_fin(stream)
        pump(flow, force=True)
        stream.recent.clear()

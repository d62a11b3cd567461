"""The bytes that all connections together hold, and which connections to relieve if there are too many."""

# Theory
# ------
# Each limit holds for one connection, and an attacker can open many. An exact count of the held bytes would need an
# update at every place that adds or removes some, which costs time on honest traffic. So these places only add to the
# bytes that were ever kept, `Shared.grown`. While that has grown by less than the free amount, the limit certainly
# holds; otherwise all connections are weighed once. This is rare, so it may be thorough.
#
# The heaviest connections are relieved first, which frees most memory for the least loss: missing bytes are no longer
# waited for. A connection that is still heavy after that (half a line, half a reply, a message without an answer) is no
# longer followed.

from __future__ import annotations

from typing import TYPE_CHECKING

from .causal_order import pump
from .ordering import drain, lose, reach_fin
from .stream import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .flow import Flow
    from .stream import Stream

__all__ = ["FLOW_COST", "GROWTH_PER_FLOW", "heaviest", "relieve", "weight"]

FLOW_COST = 16_384  # bytes counted for a new connection: the last bytes of both sides, kept to compare with copies
GROWTH_PER_FLOW = 4096  # bytes to grow per open connection before the next weighing, so that it is rare enough


def weight(flow: Flow) -> int:
    """Return the bytes that ``flow`` holds: out of order, waiting for the peer, and in its receiver."""
    disorder = flow.disorder
    if disorder is None:
        return len(flow.client_recent) + len(flow.server_recent) + flow.receiver.weight
    return _held(disorder.client) + _held(disorder.server) + flow.receiver.weight


def _held(stream: Stream) -> int:
    total = len(stream.recent)
    if stream.held:
        total += 2 * stream.held_bytes + PIECE * len(stream.held)
    if stream.queue:
        total += sum(len(item.payload) + PIECE for item in stream.queue)
    return total


def heaviest(flows: Iterable[Flow], limit: int) -> tuple[int, list[Flow]]:
    """Return the bytes that all flows hold, and if that is more than ``limit``, the flows to relieve, heaviest first:
    enough of them to come down to half of the limit."""
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
    """Stop waiting for missing bytes of ``flow``."""
    disorder = flow.disorder
    if disorder is None:
        flow.client_recent = flow.server_recent = b""
        return
    for stream in (disorder.client, disorder.server):
        while stream.held:
            one = stream.held[0]
            lose(stream, one.start - stream.offset, one.frame, flow.last_ns)
            drain(stream)
            reach_fin(stream)
        pump(disorder, force=True)
        stream.recent = b""

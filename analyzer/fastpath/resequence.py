"""Segments of mail data that were captured in another order than they were sent, or twice."""

# Theory
# ------
# On a busy host the processors hand over a few segments of a large message out of order, and the sender repeats what it
# takes for lost. A reassembler holds what is ahead until the hole is filled and drops what it has; that the result is
# the same may be told from the list of segments, as long as nothing else happens meanwhile: the server says nothing and
# acknowledges nothing behind the hole, pieces neither overlap nor end the stream, and copies are exact.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..streams.stream import HALF, M32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..limits import Limits
    from ..segments.decoder import WholeSegment

__all__ = ["straightened"]

_ACK, _ENDS = 16, 5  # flags: ACK; FIN, RST
_FAR = 256  # segments that are looked at from the first one that is out of order, and back for a copy
_SHARE = 16  # part of the limits that may be held: nearer to them, they are the reassembler's to mind


def straightened(
    segments: Sequence[WholeSegment], at: int, client: bytes, said: int, heard: int, limits: Limits
) -> tuple[list[WholeSegment], int] | None:
    """Segments of the client as they follow each other, up to where nothing is held any more, and the index behind.
    The one at index ``at`` is not the next.

    ``said``, ``heard``: next numbers of client and server. The index is ``at`` where the hole is not filled yet; None:
    this is more than a changed order.
    """
    held: dict[int, WholeSegment] = {}
    ordered: list[WholeSegment] = []
    known: set[tuple[int, bytes]] | None = None  # what copies may be of
    for index in range(at, min(len(segments), at + _FAR)):
        one = segments[index]
        key, seq, ack, flags, payload, _, _ = one
        if key != client:
            if payload or seq != heard or flags & _ENDS or (said - ack & M32 >= HALF and flags & _ACK):
                return None
            continue
        if not payload or ack != heard or flags & _ENDS:
            return None
        if seq == said:
            if not _fits(held, seq, len(payload)):
                return None
            said = _take(one, held, ordered)
        elif (seq - said & M32) < HALF:
            if not _fits(held, seq, len(payload)):
                return None
            held[seq] = one
            if _is_much(held, limits):
                return None
        else:
            if known is None:
                known = {(other[1], other[4]) for other in segments[max(0, at - _FAR) : index] if other[0] == client}
            if (seq, payload) not in known:
                return None
        if known is not None:
            known.add((seq, payload))
        if not held:
            return ordered, index + 1
    return None if len(segments) > at + _FAR else ([], at)


def _take(one: WholeSegment, held: dict[int, WholeSegment], ordered: list[WholeSegment]) -> int:
    """Put ``one`` and what is held and follows it to those in order; the number that is next."""
    ordered.append(one)
    said = one[1] + len(one[4]) & M32
    while said in held:
        ordered.append(held.pop(said))
        said = said + len(ordered[-1][4]) & M32
    return said


def _is_much(held: dict[int, WholeSegment], limits: Limits) -> bool:
    room = min((some for some in (limits.held_bytes, limits.all_held_bytes) if some), default=1 << 20) // _SHARE
    places = (limits.held_segments or _FAR) // _SHARE
    return len(held) > places or sum(len(one[4]) for one in held.values()) > room


def _fits(held: dict[int, WholeSegment], seq: int, length: int) -> bool:
    """Whether a piece shares no byte with those that are held."""
    return all((other - seq & M32) >= length and (seq - other & M32) >= len(one[4]) for other, one in held.items())

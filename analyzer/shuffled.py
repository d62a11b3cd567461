"""Segments of mail data that were captured in another order than they were sent, or twice."""

# Theory
# ------
# On a busy host the processors hand over a few segments of a large message out of order, and the sender repeats what it
# takes for lost. A reassembler holds what is ahead until the hole is filled and drops what it has; that the result is
# the same may be told from the list of segments, as long as nothing else happens meanwhile: the server says nothing and
# acknowledges nothing behind the hole, pieces neither overlap nor end the stream, and copies are exact.

from __future__ import annotations

from typing import TYPE_CHECKING

from .streams import HALF, M32

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .limits import Limits
    from .segments import WholeSegment

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
    room = min((some for some in (limits.held_bytes, limits.all_held_bytes) if some), default=1 << 20) // _SHARE
    places = (limits.held_segments or _FAR) // _SHARE
    for index in range(at, min(len(segments), at + _FAR)):
        one = segments[index]
        key, seq, ack, flags, payload, _, _ = one
        if flags & _ENDS:
            return None
        if key != client:
            if payload or seq != heard or (said - ack & M32 >= HALF and flags & _ACK):
                return None
            continue
        if not payload or ack != heard:
            return None
        if seq == said:
            if not _fits(held, seq, len(payload)):
                return None
            ordered.append(one)
            said = seq + len(payload) & M32
            while said in held:
                filled = held.pop(said)
                ordered.append(filled)
                said = said + len(filled[4]) & M32
        elif (seq - said & M32) < HALF:
            if not _fits(held, seq, len(payload)):
                return None
            held[seq] = one
            if len(held) > places or sum(len(other[4]) for other in held.values()) > room:
                return None
        elif not _copy(segments, index, one):
            return None
        if not held:
            return ordered, index + 1
    return None if len(segments) > at + _FAR else ([], at)


def _fits(held: dict[int, WholeSegment], seq: int, length: int) -> bool:
    """Whether a piece shares no byte with those that are held."""
    return all((other - seq & M32) >= length and (seq - other & M32) >= len(one[4]) for other, one in held.items())


def _copy(segments: Sequence[WholeSegment], index: int, one: WholeSegment) -> bool:
    """Whether the same bytes with the same number stand in front of ``index``."""
    key, seq, _, _, payload, _, _ = one
    return any(
        key == other[0] and seq == other[1] and payload == other[4] for other in segments[max(0, index - _FAR) : index]
    )

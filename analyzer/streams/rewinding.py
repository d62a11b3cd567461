"""Replace bytes that the peer never acknowledged, if their sender sends others in their place."""

# Theory
# ------
# The first copy of a byte is delivered at once, and normally it is the one that counts. But bytes that never arrived,
# such as those that somebody else put on the path with a bad checksum, are no part of the stream, and what the sender
# sends later with the same sequence numbers is.
#
# Acknowledgment numbers never go back. So if the peer acknowledges the end of a later copy, and not that of the first
# one, it never had the first one. If the later copy is not shorter, no later ACK can show that: then the peer must have
# sent something after the first one that does not acknowledge it. Until the next segment of the peer, the later copy
# waits (`Rewind`). Then the receiver is asked to forget the bytes; it can do so only as long as nothing was made of
# them. If the first copy has a wrong checksum and the later one a right one, no ACK is needed (`recent_packets`).
# A FIN before the end of the bytes that were delivered is treated in the same way, as a later copy without bytes.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .ordering import compare, put, reach_fin, take_fin
from .stream import ACK, FIN, M32, RST, Rewind

if TYPE_CHECKING:
    from .stream import Disorder, HeldSegment, Stream

__all__ = ["give_up_rewind", "takes_part"]

MOST = 1 << 16  # octets of a later copy that wait


def takes_part(disorder: Disorder, stream: Stream, one: HeldSegment, flags: int, ack: int) -> bool:
    """Take a segment of ``stream`` while a later copy waits, or one that may begin it. Return whether it belongs to the
    copy and to nothing else."""
    rewind = disorder.rewind
    if flags & RST or stream.next < 0:
        return False
    if rewind is None:
        return _begin(disorder, stream, one, fin=flags & FIN != 0)
    if stream is not rewind.stream:
        if flags & ACK:
            _hear(disorder, rewind, rewind.stream.at(ack))
        return False
    if not one.payload and not flags & FIN:
        return False
    goes_on = one.start == stream.offset != rewind.end or (one.end > stream.offset and stream.acked > rewind.place)
    if goes_on or rewind.end + len(one.payload) - rewind.place > MOST:
        give_up_rewind(disorder)  # the sender goes on after the first copy
        return False
    if not rewind.place <= one.start <= rewind.end:
        return False
    _add(rewind, one, fin=flags & FIN != 0)
    return True


def _begin(disorder: Disorder, stream: Stream, one: HeldSegment, *, fin: bool) -> bool:
    """Begin to wait if ``one`` lies before the next byte and does not repeat what was delivered."""
    if one.start >= stream.offset or stream.queue or stream.finished:
        return False
    shorter = one.end < stream.offset
    if one.payload:
        at = len(stream.recent) - (stream.offset - one.start)
        known = stream.recent[at : at + len(one.payload)] if at >= 0 else b""
        if len(one.payload) == 1 or ((known or not shorter) and one.payload.startswith(known)):
            return False
        same = next((n for n, (x, y) in enumerate(zip(known, one.payload, strict=False)) if x != y), len(known))
        rewind = Rewind(stream, max(one.start + same, 0), one.start)
        intact = _intact_copy(stream, one, known)
        if intact:
            last = stream.recent, stream.offset
            again = one.payload[: stream.offset - one.start]
            compare(stream.flow, stream.side, *last, one.start, again, one.frame, one.time_ns)
            if intact == "later":
                disorder.rewind, rewind.reported = rewind, True
                _add(rewind, one, fin=fin)
                _replace(disorder, rewind)
            return True
        if stream.acked > rewind.place or (not shorter and (stream.held or not stream.heard)):
            return False  # the first copy had arrived, or may have; or bytes after it are missing
    elif fin and 0 <= one.end < stream.offset and not stream.held:
        rewind = Rewind(stream, one.end, one.end)
    else:
        return False
    disorder.rewind = rewind
    _add(rewind, one, fin=fin)
    if one.payload:
        last = stream.recent, stream.offset
        again = one.payload[: stream.offset - one.start]
        compare(stream.flow, stream.side, *last, one.start, again, one.frame, one.time_ns)
        rewind.reported = at >= 0
    return True


def _intact_copy(stream: Stream, one: HeldSegment, known: bytes) -> Literal["first", "later"] | None:
    """Return which copy its receiver takes if it drops the other one: the first, with the bytes ``known``, or the later
    one. None: it takes both, or that is not known."""
    recent, key = stream.disorder.shared.recent, stream.flow.direction(stream.side)
    seq = (stream.next - (stream.offset - one.start)) & M32
    first = recent.is_intact(key, seq, known) if known else None
    if first is None:
        return None
    later = recent.is_intact(key, seq, one.payload)
    return None if later is None or first == later else "first" if first else "later"


def _add(rewind: Rewind, one: HeldSegment, *, fin: bool) -> None:
    if one.end > rewind.end:
        rewind.pieces.append(one)
        rewind.end = one.end
    if fin:
        rewind.fin = one.needs, one.frame, one.time_ns


def _hear(disorder: Disorder, rewind: Rewind, acked: int) -> None:
    """Take an acknowledgment of the peer."""
    if rewind.stream.offset > rewind.end and acked > rewind.end + (rewind.fin is not None):
        give_up_rewind(disorder)  # the first copy had arrived
    elif acked > rewind.place:
        _replace(disorder, rewind)


def give_up_rewind(disorder: Disorder) -> None:
    """Keep the first copy."""
    rewind, disorder.rewind = disorder.rewind, None
    if rewind is None:
        return
    stream = rewind.stream
    for one in rewind.pieces:
        if one.end > stream.offset:
            stream.top = max(stream.top, one.end)
            rest = one.payload[max(stream.offset - one.start, 0) :]
            put(stream, stream.offset, rest, one.needs, one.frame, one.time_ns)
    if rewind.fin is not None:
        take_fin(stream, rewind.end, *rewind.fin)
        reach_fin(stream)


def _replace(disorder: Disorder, rewind: Rewind) -> None:
    """Put the later copy in the place of the first one."""
    stream = rewind.stream
    back = stream.offset - rewind.place
    if stream.queue or not stream.flow.receiver.revoke(stream.side, rewind.place):
        give_up_rewind(disorder)
        return
    disorder.rewind = None
    if rewind.pieces and not rewind.reported:
        first = rewind.pieces[0]
        stream.flow.receiver.conflict(stream.side, rewind.place, first.frame, first.time_ns)
    stream.next = (stream.next - back) & M32
    stream.offset = stream.top = rewind.place
    stream.acked = min(stream.acked, rewind.place)
    stream.recent = stream.recent[:-back]
    stream.held, stream.runs, stream.held_bytes, stream.proof = [], None, 0, 0
    for one in rewind.pieces:
        stream.top = max(stream.top, one.end)
        put(stream, one.start, one.payload, one.needs, one.frame, one.time_ns)
    if rewind.fin is not None:
        take_fin(stream, rewind.end, *rewind.fin)
        reach_fin(stream)

"""Put the bytes of one stream in order, each byte once."""

# Theory
# ------
# Bytes before the next one are dropped. They are compared with the delivered bytes, as far back as those are kept: a
# retransmission with other bytes is a conflict, and the first copy wins, as with most receivers. Later bytes are held
# until the gap before them is filled or declared lost. They are held twice: as pieces, each with its frame, and as
# contiguous runs, so that a segment that covers a thousand pieces is compared with one run.

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from .causal_order import emit
from .stream import M32, PIECE, SANE_AHEAD, HeldRun, HeldSegment, QueuedEvent, Stream

if TYPE_CHECKING:
    from .receiver import ReceiverOwner, Side

__all__ = [
    "compare",
    "drain",
    "guess_fin",
    "is_probe",
    "lose",
    "put",
    "reach_fin",
    "reach_guessed_fin",
    "remembered",
    "revoke_fin",
    "take_fin",
]

AHEAD_SEGMENTS = 32  # kept after a gap as they came, to show how other receivers resolve their overlaps


def put(stream: Stream, start: int, payload: bytes, needs: int, frame: int, time_ns: int) -> None:
    """Take bytes at offset ``start``: compare and drop old ones, hold later ones, deliver the next ones."""
    if not payload:
        return  # a snap length may cut all of it
    offset = stream.offset
    if start < offset:
        known = min(offset - start, len(payload))
        if not is_probe(payload, start, offset):
            _compare(stream, start, payload[:known], frame, time_ns)
        payload = payload[known:]
        if not payload:
            return
        start = offset
    if (stream.fin >= 0 and start >= stream.fin) or start + len(payload) >= offset + SANE_AHEAD:
        return
    if start > offset or (stream.held and start + len(payload) > stream.held[0].start):
        _hold(stream, HeldSegment(start, start + len(payload), payload, needs, frame, time_ns))
    else:
        _take(stream, payload, needs, frame, time_ns)
    if stream.held:
        drain(stream)


def _take(stream: Stream, payload: bytes, needs: int, frame: int, time_ns: int) -> None:
    """Take the next bytes of a stream."""
    offset = stream.offset
    stream.next = (stream.next + len(payload)) & M32
    stream.offset = offset + len(payload)
    stream.heard = False
    stream.recent = remembered(stream.recent, payload, stream.disorder.limits.compared_bytes)
    emit(stream, QueuedEvent("data", needs, payload, offset, len(payload), frame, time_ns))


def lose(stream: Stream, length: int, frame: int, time_ns: int) -> None:
    """Declare ``length`` bytes at the current offset lost: they are not in the capture."""
    offset = stream.offset
    stream.next = (stream.next + length) & M32
    stream.offset = offset + length
    stream.top = max(stream.top, stream.offset)
    stream.recent = b""
    emit(stream, QueuedEvent("gap", -1, b"", offset, length, frame, time_ns))


def _hold(stream: Stream, new: HeldSegment) -> None:
    """Hold a later segment. If it overlaps held bytes, the first bytes win."""
    if not stream.held or stream.ahead is None:
        stream.ahead = []
    if len(stream.ahead) < AHEAD_SEGMENTS:
        stream.ahead.append((new.start, new.payload))
    if stream.runs is None:
        stream.runs = []
    runs, start, payload = stream.runs, new.start, new.payload
    first = bisect_left(runs, start, key=lambda run: run.start)
    if first and _end(runs[first - 1]) >= start:
        first -= 1
    after = first
    fresh = HeldRun(start, bytearray())
    reported = False
    while after < len(runs) and runs[after].start <= new.end:
        run = runs[after]
        if run.start <= start:
            fresh = run  # grows in place
        else:
            _fill(stream, fresh, new, run.start)
            fresh.payload.extend(run.payload)
        low, high = max(run.start, start), min(_end(run), new.end)
        known = bytes(run.payload[low - run.start : high - run.start])
        if not reported and not payload.startswith(known, low - start) and not is_probe(payload, start, _end(run)):
            reported = True  # once for each segment
            place = _conflict(stream, low, known, payload[low - start : high - start], new.frame, new.time_ns)
            stream.flow.noted.overlaps.setdefault(stream.side, (place, list(stream.ahead)))
        after += 1
    _fill(stream, fresh, new, new.end)
    runs[first:after] = [fresh]


def _fill(stream: Stream, run: HeldRun, new: HeldSegment, until: int) -> None:
    """Add bytes of ``new`` from the end of ``run`` up to offset ``until``."""
    start = _end(run)
    if start >= until:
        return
    piece = new._replace(start=start, end=until, payload=new.payload[start - new.start : until - new.start])
    stream.held.insert(bisect_left(stream.held, start, key=lambda held: held.start), piece)
    stream.held_bytes += len(piece.payload)
    stream.disorder.shared.grown += 2 * len(piece.payload) + PIECE
    run.payload.extend(piece.payload)


def _end(run: HeldRun) -> int:
    return run.start + len(run.payload)


def drain(stream: Stream) -> None:
    """Take the held bytes that are now next."""
    held = stream.held
    while held and held[0].start <= stream.offset and not 0 <= stream.fin <= stream.offset:
        one = held.pop(0)
        stream.held_bytes -= len(one.payload)
        skip = stream.offset - one.start
        payload = one.payload[skip : stream.fin - one.start if stream.fin >= 0 else None]
        if payload:
            _take(stream, payload, one.needs, one.frame, one.time_ns)
    while stream.runs and stream.runs[0].start < stream.offset:
        stream.runs.pop(0)  # all of it, because it is contiguous


def take_fin(stream: Stream, end: int, needs: int, frame: int, time_ns: int) -> None:
    """Note a FIN at offset ``end``."""
    if stream.fin >= 0 and not stream.fin_guessed:
        return
    stream.fin = end
    stream.fin_said = needs, frame, time_ns
    stream.fin_guessed = False
    stream.top = min(stream.top, end)
    stream.acked = min(stream.acked, end)
    if stream.peer.fin_guessed:
        reach_guessed_fin(stream.peer, time_ns)


def reach_fin(stream: Stream) -> None:
    """Report the end of the stream once, when all bytes before it have come."""
    if stream.fin >= 0 and stream.offset >= stream.fin and not stream.finished and not stream.fin_guessed:
        stream.finished = True
        if stream.held:  # nothing follows the FIN
            stream.held, stream.runs, stream.held_bytes = [], None, 0
        needs, frame, time_ns = stream.fin_said
        emit(stream, QueuedEvent("fin", needs, b"", stream.offset, 0, frame, time_ns))


def guess_fin(stream: Stream) -> bool:
    """Assume a FIN that was not captured, if the peer acknowledged exactly one byte more than was captured."""
    if stream.top != stream.offset + 1 or stream.fin >= 0:
        return False
    stream.fin = stream.top = stream.offset
    stream.fin_guessed = True
    return True


def reach_guessed_fin(stream: Stream, time_ns: int) -> None:
    """Report an end that was not captured: the peer ends too, so nothing more comes."""
    if stream.fin_guessed and not stream.finished:
        stream.finished = True
        emit(stream, QueuedEvent("unseen", -1, b"", stream.offset, 0, stream.top_frame, time_ns))


def revoke_fin(stream: Stream, end: int) -> None:
    """Withdraw a guessed FIN: the sender continues up to offset ``end``, so it was a byte."""
    if end > stream.fin:
        stream.fin = -1
        stream.fin_guessed = stream.finished = False
        stream.top = max(end, stream.acked)


def _compare(stream: Stream, start: int, again: bytes, frame: int, time_ns: int) -> None:
    """Compare a retransmission with the delivered bytes, as far back as they are remembered."""
    compare(stream.flow, stream.side, stream.recent, stream.offset, start, again, frame, time_ns)


def compare(
    flow: ReceiverOwner, side: Side, recent: bytes, offset: int, start: int, again: bytes, frame: int, time_ns: int
) -> None:
    """Compare a retransmission of ``side`` with the delivered bytes, and report a difference. ``recent``: the last of
    these, up to ``offset``; ``again``: the bytes that came again at offset ``start``."""
    at = len(recent) - (offset - start)
    if at < 0:
        if start < 0:  # before the first byte that was captured
            again, at, start = again[-start:], at - start, 0
        if again and at < 0:
            if time_ns >= flow.last_ns:  # otherwise another capture recorded the same segment
                flow.noted.add_uncompared(side, start, min(-at, len(again)))
            again, at, start = again[-at:], 0, start - at
    if not recent.startswith(again, at):
        place = start + _first_difference(recent[at : at + len(again)], again)
        flow.receiver.conflict(side, place, frame, time_ns)


def _first_difference(first: bytes, again: bytes) -> int:
    return next(i for i, (x, y) in enumerate(zip(first, again, strict=True)) if x != y)


def _conflict(stream: Stream, offset: int, first: bytes, again: bytes, frame: int, time_ns: int) -> int:
    """Report the first byte where two copies of the bytes at ``offset`` differ. Returns its offset."""
    place = offset + _first_difference(first, again)
    stream.flow.receiver.conflict(stream.side, place, frame, time_ns)
    return place


def is_probe(payload: bytes, start: int, end: int) -> bool:
    """Return whether it is a keep-alive: one byte at the last offset sent, or a late zero. Its value is garbage."""
    return len(payload) == 1 and (start == end - 1 or payload == b"\0")


def remembered(recent: bytes, payload: bytes, most: int) -> bytes:
    """Return the last ``most`` bytes of ``recent`` and ``payload``; 0: all of them."""
    whole = recent + payload if len(payload) < most or not most else payload
    return whole[-most:] if len(whole) > most > 0 else whole

"""The bytes of one stream in order, each once."""

# Theory
# ------
# Older bytes than the next are dropped. They are compared with what was delivered, as far back as that is kept: a
# retransmission with other bytes is a conflict, and the first copy wins, as it did with most receivers. Later bytes are
# held until the hole in front of them is filled, or declared lost: as pieces, each with the frame that brought it, and
# once more as runs without a hole, so that a segment over a thousand pieces is compared with one run.

from __future__ import annotations

from bisect import bisect_left

from .causal_order import emit
from .stream import M32, PIECE, SANE_AHEAD, HeldRun, HeldSegment, QueuedEvent, Stream

__all__ = [
    "RECENT_BYTES",
    "RECENT_CHUNKS",
    "drain",
    "guess_fin",
    "lose",
    "put",
    "reach_fin",
    "reach_guessed_fin",
    "revoke_fin",
    "take_fin",
    "trim",
]

RECENT_BYTES = 4096  # kept of each stream to compare retransmissions with
RECENT_CHUNKS = 8
AHEAD_SEGMENTS = 32  # kept after a hole as they came, to tell what other receivers make of their overlaps


def put(stream: Stream, start: int, payload: bytes, needs: int, frame: int, time_ns: int) -> None:
    """Bytes that begin at offset ``start``: old ones are compared and dropped, later ones held."""
    if not payload:
        return  # a snap length may cut all of it
    offset = stream.offset
    if start < offset:
        known = min(offset - start, len(payload))
        if not _is_probe(payload, start, offset):
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
    drain(stream)


def _take(stream: Stream, payload: bytes, needs: int, frame: int, time_ns: int) -> None:
    """The next bytes of a stream."""
    offset = stream.offset
    stream.next = (stream.next + len(payload)) & M32
    stream.offset = offset + len(payload)
    stream.recent.append(payload)
    trim(stream.recent)
    emit(stream, QueuedEvent("data", needs, payload, offset, len(payload), frame, time_ns))


def lose(stream: Stream, length: int, frame: int, time_ns: int) -> None:
    """``length`` bytes at the present offset are not in the capture."""
    offset = stream.offset
    stream.next = (stream.next + length) & M32
    stream.offset = offset + length
    stream.top = max(stream.top, stream.offset)
    stream.recent.clear()
    emit(stream, QueuedEvent("gap", -1, b"", offset, length, frame, time_ns))


def _hold(stream: Stream, new: HeldSegment) -> None:
    """Keep a later segment; where it overlaps what is held already, the first bytes win."""
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
            fresh = run  # grows in its place
        else:
            _fill(stream, fresh, new, run.start)
            fresh.payload.extend(run.payload)
        low, high = max(run.start, start), min(_end(run), new.end)
        known = bytes(run.payload[low - run.start : high - run.start])
        if not reported and not payload.startswith(known, low - start) and not _is_probe(payload, start, _end(run)):
            reported = True  # once for a segment says it
            place = _conflict(stream, low, known, payload[low - start : high - start], new.frame, new.time_ns)
            if stream.overlap is None:
                stream.overlap = place, list(stream.ahead)
        after += 1
    _fill(stream, fresh, new, new.end)
    runs[first:after] = [fresh]


def _fill(stream: Stream, run: HeldRun, new: HeldSegment, until: int) -> None:
    """Bytes of ``new`` from the end of ``run`` up to offset ``until``."""
    start = _end(run)
    if start >= until:
        return
    piece = new._replace(start=start, end=until, payload=new.payload[start - new.start : until - new.start])
    stream.held.insert(bisect_left(stream.held, start, key=lambda held: held.start), piece)
    stream.held_bytes += len(piece.payload)
    stream.flow.kept.grown += 2 * len(piece.payload) + PIECE
    run.payload.extend(piece.payload)


def _end(run: HeldRun) -> int:
    return run.start + len(run.payload)


def drain(stream: Stream) -> None:
    """Take what is held and now next."""
    held = stream.held
    while held and held[0].start <= stream.offset and not 0 <= stream.fin <= stream.offset:
        one = held.pop(0)
        stream.held_bytes -= len(one.payload)
        skip = stream.offset - one.start
        payload = one.payload[skip : stream.fin - one.start if stream.fin >= 0 else None]
        if payload:
            _take(stream, payload, one.needs, one.frame, one.time_ns)
    while stream.runs and stream.runs[0].start < stream.offset:
        stream.runs.pop(0)  # all of it, for it has no hole


def take_fin(stream: Stream, end: int, needs: int, frame: int, time_ns: int) -> None:
    """The sender ends at offset ``end``."""
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
    """Report the end of the stream once, when all in front of it has come."""
    if stream.fin >= 0 and stream.offset >= stream.fin and not stream.finished and not stream.fin_guessed:
        stream.finished = True
        if stream.held:  # nothing comes after it
            stream.held, stream.runs, stream.held_bytes = [], None, 0
        needs, frame, time_ns = stream.fin_said
        emit(stream, QueuedEvent("fin", needs, b"", stream.offset, 0, frame, time_ns))


def guess_fin(stream: Stream) -> bool:
    """Where the peer acknowledged one byte more than there is, that is a FIN which was not captured, most likely."""
    if stream.top != stream.offset + 1 or stream.fin >= 0:
        return False
    stream.fin = stream.top = stream.offset
    stream.fin_guessed = True
    return True


def reach_guessed_fin(stream: Stream, time_ns: int) -> None:
    """Report the end that was not captured: the peer ends too, so nothing more comes."""
    if stream.fin_guessed and not stream.finished:
        stream.finished = True
        emit(stream, QueuedEvent("unseen", -1, b"", stream.offset, 0, stream.top_frame, time_ns))


def revoke_fin(stream: Stream, end: int) -> None:
    """The sender goes on up to offset ``end``: what was taken for a FIN was a byte."""
    if end > stream.fin:
        stream.fin = -1
        stream.fin_guessed = stream.finished = False
        stream.top = max(end, stream.acked)


def _compare(stream: Stream, start: int, again: bytes, frame: int, time_ns: int) -> None:
    """Hold a retransmission against the bytes that were delivered, as far back as they are kept."""
    known = b"".join(stream.recent)
    back = stream.offset - start
    if back > len(known):
        again = again[back - len(known) :]
        back = len(known)
    first = known[len(known) - back : len(known) - back + len(again)]
    if first != again:
        _conflict(stream, stream.offset - back, first, again, frame, time_ns)


def _conflict(stream: Stream, offset: int, first: bytes, again: bytes, frame: int, time_ns: int) -> int:
    """Report the first byte in which two copies of the bytes at ``offset`` differ; returns its offset."""
    at = next(i for i, (x, y) in enumerate(zip(first, again, strict=True)) if x != y)
    stream.flow.listener.conflict(stream, offset + at, frame, time_ns)
    return offset + at


def _is_probe(payload: bytes, start: int, end: int) -> bool:
    """Whether it is a keep-alive: one byte at the last offset sent, or a zero that came late. Its value is garbage."""
    return len(payload) == 1 and (start == end - 1 or payload == b"\0")


def trim(recent: list[bytes]) -> None:
    """Keep the last few KB of a stream."""
    if len(recent[-1]) >= RECENT_BYTES:
        recent[:] = [recent[-1][-RECENT_BYTES:]]
    elif len(recent) > RECENT_CHUNKS:
        del recent[: RECENT_CHUNKS // 2]

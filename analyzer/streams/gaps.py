"""Track how far each side of a connection has come, by sequence and ACK numbers, and which bytes the capture lost."""

# Theory
# ------
# Bytes are lost by the capture if this is proven: by an ACK of the peer beyond the captured bytes that stays
# unexplained for `loss_proof_frames` further frames of the connection. A loss is reported as a gap of exact length: no
# byte is ever invented. Missing bytes without such a proof (the sender may still retransmit) are declared a gap only
# when a limit for held bytes is reached or the connection ends. One byte at the very end that only an ACK covers is a
# FIN that was not captured.
#
# Anyone can forge an ACK. So the proof starts again whenever a sequence number shows that the sender has not come as
# far. The proof is withdrawn when the peer acknowledges less, in as many frames as a proof takes.

from __future__ import annotations

from typing import TYPE_CHECKING

from .causal_order import pump
from .ordering import drain, guess_fin, lose, reach_fin, reach_guessed_fin, revoke_fin
from .stream import M32, SANE_AHEAD

if TYPE_CHECKING:
    from .stream import Stream

__all__ = ["declare_gaps", "record_ack", "record_end", "withdraw"]


def record_end(stream: Stream, start: int, end: int, frame: int) -> int:
    """Note how far the sender has come with a segment. Returns the offset of the segment's end, without a FIN."""
    if start == stream.offset < stream.acked:
        stream.proof_since = stream.disorder.frames  # not as far as the ACK said
    if stream.fin_guessed and end > start:
        revoke_fin(stream, end)
    if end > stream.fin >= 0:
        end = stream.fin
    if stream.top < end < stream.offset + SANE_AHEAD:
        stream.top, stream.top_frame = end, frame
    return end


def record_ack(peer: Stream, ack: int, frame: int) -> int:
    """Note an ACK number. Returns how many bytes of ``peer`` the sender of the segment had seen."""
    if peer.next < 0:
        # Nothing of the peer is captured; a growing ACK number still shows that it sent data.
        if peer.base < 0:
            peer.base = ack
        return (ack - peer.base) & M32
    peer.heard = True
    needs = peer.offset if ack == peer.next else peer.at(ack)
    if needs > peer.fin >= 0:
        needs = peer.fin  # the FIN takes one sequence number
    if peer.acked <= needs < peer.offset + SANE_AHEAD:
        peer.acked = needs
        peer.doubts = 0
        if peer.top < needs:
            peer.top, peer.top_frame = needs, frame
    elif needs <= peer.offset < peer.acked:
        _doubt(peer)
    return needs


def declare_gaps(stream: Stream, frame: int, time_ns: int) -> None:
    """Declare gaps that are certain, and gaps with too many bytes held after them."""
    disorder = stream.disorder
    limits = disorder.limits
    while stream.top > stream.offset:
        full = (stream.held_bytes > limits.held_bytes > 0) or (len(stream.held) > limits.held_segments > 0)
        if not full:
            if stream.acked <= stream.offset:
                return  # the sender may still retransmit
            if stream.proof <= stream.offset:
                stream.proof, stream.proof_since = stream.acked, disorder.frames
            if disorder.frames - stream.proof_since < limits.loss_proof_frames:
                return
            if stream.proof == stream.top and guess_fin(stream):
                if stream.peer.fin >= 0:
                    reach_guessed_fin(stream, time_ns)
                pump(disorder, force=False)
                return
        until = stream.held[0].start if stream.held else stream.proof
        if not full:
            until = min(until, stream.proof)
        lose(stream, until - stream.offset, frame, time_ns)
        drain(stream)
        reach_fin(stream)
        pump(disorder, force=False)


def _doubt(stream: Stream) -> None:
    """Count an ACK that is lower than an earlier one."""
    stream.proof_since = stream.disorder.frames
    stream.doubts += 1
    if stream.doubts >= stream.disorder.limits.loss_proof_frames:
        withdraw(stream)


def withdraw(stream: Stream) -> None:
    """Forget what the ACKs claimed: only the captured bytes count as sent."""
    stream.doubts = stream.proof = 0
    stream.acked = stream.offset
    stream.top = max(stream.offset, stream.held[-1].end if stream.held else 0)

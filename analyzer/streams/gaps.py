"""How far each side of a connection has come, by numbers and ACKs, and which bytes the capture has lost."""

# Theory
# ------
# Bytes are lost by the capture if that is proven: by an ACK of the peer beyond what was captured, which stays
# unexplained for `loss_proof_frames` further frames of the connection. A loss becomes a gap of exact length: no byte is
# ever invented. A hole without such proof (the sender may still retransmit) is a gap only when the hold limits are
# record_end or the connection ends. One byte at the very end that only an ACK speaks of is a FIN that was not captured.
#
# Anybody can forge an ACK. So the proof is weighed anew whenever the sender shows by its sequence number that it has
# come no farther, and it is withdrawn when the peer, in as many frames as would have proven it, acknowledges less.

from __future__ import annotations

from typing import TYPE_CHECKING

from .causal_order import pump
from .ordering import drain, guess_fin, lose, reach_fin, reach_guessed_fin, revoke_fin
from .stream import M32, SANE_AHEAD

if TYPE_CHECKING:
    from ..limits import Limits
    from .stream import Stream

__all__ = ["declare_gaps", "record_ack", "record_end", "withdraw"]


def record_end(stream: Stream, start: int, end: int, frame: int) -> int:
    """Note how far the sender has come with a segment; returns where it ends, a FIN not counted."""
    if start == stream.offset < stream.acked:
        stream.proof_since = stream.flow.frames  # not as far as was record_ack
    if stream.fin_guessed and end > start:
        revoke_fin(stream, end)
    if end > stream.fin >= 0:
        end = stream.fin
    if stream.top < end < stream.offset + SANE_AHEAD:
        stream.top, stream.top_frame = end, frame
    return end


def record_ack(peer: Stream, ack: int, frame: int, limits: Limits) -> int:
    """How many bytes of ``peer`` the sender of a segment had seen, by its ACK number."""
    if peer.next < 0:
        # Nothing of the peer is captured; that the number grows still tells that it spoke.
        if peer.base < 0:
            peer.base = ack
        return (ack - peer.base) & M32
    needs = peer.at(ack)
    if needs > peer.fin >= 0:
        needs = peer.fin  # the FIN takes a number of its own
    if peer.acked <= needs < peer.offset + SANE_AHEAD:
        peer.acked = needs
        peer.doubts = 0
        if peer.top < needs:
            peer.top, peer.top_frame = needs, frame
    elif needs <= peer.offset < peer.acked:
        _doubt(peer, limits)
    return needs


def declare_gaps(stream: Stream, limits: Limits, frame: int, time_ns: int) -> None:
    """Declare a gap where the capture has lost bytes for certain, or where too much is held behind a hole."""
    flow = stream.flow
    while stream.top > stream.offset:
        full = (stream.held_bytes > limits.held_bytes > 0) or (len(stream.held) > limits.held_segments > 0)
        if not full:
            if stream.acked <= stream.offset:
                return  # the sender may still retransmit
            if stream.proof <= stream.offset:
                stream.proof, stream.proof_since = stream.acked, flow.frames
            if flow.frames - stream.proof_since < limits.loss_proof_frames:
                return
            if stream.proof == stream.top and guess_fin(stream):
                if stream.peer.fin >= 0:
                    reach_guessed_fin(stream, time_ns)
                pump(flow, force=False)
                return
        until = stream.held[0].start if stream.held else stream.proof
        if not full:
            until = min(until, stream.proof)
        lose(stream, until - stream.offset, frame, time_ns)
        drain(stream)
        reach_fin(stream)
        pump(flow, force=False)


def _doubt(stream: Stream, limits: Limits) -> None:
    """The peer acknowledges less than it had before."""
    stream.proof_since = stream.flow.frames
    stream.doubts += 1
    if stream.doubts >= limits.loss_proof_frames:
        withdraw(stream)


def withdraw(stream: Stream) -> None:
    """Forget what an ACK claimed: only what was captured was sent."""
    stream.doubts = stream.proof = 0
    stream.acked = stream.offset
    stream.top = max(stream.offset, stream.held[-1].end if stream.held else 0)

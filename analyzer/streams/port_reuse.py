"""Decide whether a SYN with the sequence number of a known connection is a copy, or begins another connection."""

# Theory
# ------
# A retransmission of a SYN comes within seconds. Test suites, traffic generators and replay tools repeat the sequence
# numbers of earlier connections between the same addresses and ports. So the time decides: in the same capture, the
# pause since the last segment; in another capture, whether it was recorded at the same time. A connection that two
# captures recorded at nearly the same times is one connection, and the segments of the later capture are copies.

from __future__ import annotations

from msgspec import Struct

__all__ = ["Lifetime", "begins_another"]

_CLOSED_NS = 1_000_000_000
_OPEN_NS = 240_000_000_000  # twice the maximum segment lifetime (RFC 9293 §3.4.2, §3.6.1)
_SAME_NS = 1_000_000_000  # how much the clocks of two captures differ


class Lifetime(Struct, frozen=True, gc=False):
    """When a connection was active. ``closed``: by both FINs or a RST. ``capture``: number of the capture, see
    ``Reassembler.capture``."""

    started_ns: int
    last_ns: int
    closed: bool
    capture: int


def begins_another(known: Lifetime, time_ns: int, capture: int) -> bool:
    """Return whether a SYN at ``time_ns`` in ``capture`` begins another connection than ``known``, whose SYN had the
    same number."""
    if capture != known.capture:
        recorded_twice = abs(time_ns - known.started_ns) <= _SAME_NS
        return not recorded_twice and not known.started_ns <= time_ns <= known.last_ns
    return time_ns - known.last_ns >= (_CLOSED_NS if known.closed else _OPEN_NS)

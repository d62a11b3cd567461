"""A share of the connections: what one of several processes over the same capture follows, and where that happened."""

# Theory
# ------
# Each process reads all frames, and leaves those of other shares out as early as it can: the second segment of a
# connection that is not its own is skipped in the hot loop, like one that carries something else.
#
# So that the results can be put in the order of one process, the tracker notes the place in the capture at which each
# connection was given its number, and at which it ended: the frame, since no two happen in one.

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from .segments import SegmentSink

__all__ = ["Place", "Places", "Share"]

MAX_FOREIGN = 65_536  # flows of others that are remembered; one that is forgotten is told again by its next segment

Place = tuple[int, int]
"""Where something happened: (frame, 0), or for what is still open at the end (time of its first frame, that frame)."""


class Places:
    """Notes where connections began and ended. ``here``: where the audit is."""

    def __init__(self) -> None:
        self.here: Place = (0, 0)
        self.begun: list[Place] = []
        self.ended: list[Place] = []


class Share(NamedTuple):
    """Number ``mine`` (from 0) of so many shares."""

    mine: int
    of: int

    def owns(self, key: bytes) -> bool:
        """Whether a flow is of this share, in whichever direction ``key`` has it."""
        half = (len(key) - 4) // 2
        hosts = int.from_bytes(key[:half], "big") ^ int.from_bytes(key[half:-4], "big")
        ports = int.from_bytes(key[-4:-2], "big") ^ int.from_bytes(key[-2:], "big")
        return ((hosts ^ ports) * 0x9E3779B1 >> 16 & 0xFFFF) % self.of == self.mine

    def door(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """``sink`` for the segments of this share; flows of others come into ``ignored``."""
        owns: Callable[[bytes], bool] = self.owns
        foreign: dict[bytes, None] = {}

        def segment(
            key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
        ) -> None:
            if owns(key):
                places.here = (frame, 0)
                sink(key, seq, ack, flags, payload, missing, frame, time_ns)
                return
            if key not in foreign:
                foreign[key] = None
                ignored.add(key)
                if len(foreign) > MAX_FOREIGN:
                    for oldest in list(islice(foreign, MAX_FOREIGN // 8)):
                        del foreign[oldest]
                        ignored.discard(oldest)

        return segment

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
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..segments.decoder import SegmentSink
    from ..streams.stream import Flow

__all__ = ["ForeignFlows", "NumberedConnection", "Place", "Places", "Portion", "Share"]

MAX_FOREIGN = 65_536  # flows of others that are remembered; one that is forgotten is told again by its next segment

Place = tuple[int, ...]
"""Where something happened: (frame, 0); for what was given up behind a block, (last frame, 1, time of its first frame,
that frame); for what is still open at the end (time of its first frame, that frame)."""


NumberedConnection = tuple[Place, bytes, int, bool]
"""A connection that got its number: where, a key of it, its first frame, and whether a handshake was seen."""


class Places:
    """Notes where connections began and ended. ``here``: where the audit is; ``block``: the last frame of the block
    that has been read."""

    def __init__(self) -> None:
        self.here: Place = (0, 0)
        self.block = 0
        self.numbered: list[NumberedConnection] = []
        self.ended: list[Place] = []

    def note_end(self, given_up: Flow | None) -> None:
        """A connection ended, since it is ``given_up`` or else here."""
        self.ended.append(self.here if given_up is None else (self.block, 1, *given_up.started))


class ForeignFlows:
    """Flows that others follow; they come into ``ignored``."""

    def __init__(self, ignored: set[bytes]) -> None:
        self._ignored = ignored
        self._flows: dict[bytes, None] = {}

    def add(self, key: bytes) -> None:
        """``key`` is one of them."""
        flows = self._flows
        if key in flows:
            return
        flows[key] = None
        self._ignored.add(key)
        if len(flows) > MAX_FOREIGN:
            for oldest in list(islice(flows, MAX_FOREIGN // 8)):
                del flows[oldest]
                self._ignored.discard(oldest)


class Portion(Protocol):
    """What one of several processes follows. ``skip_to``: see ``readers.Reader``."""

    @property
    def skip_to(self) -> int: ...

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """``sink`` for the segments of this portion; flows of others come into ``ignored``."""


class Share(Struct, frozen=True):
    """Number ``mine`` (from 0) of so many shares."""

    mine: int
    of: int

    @property
    def skip_to(self) -> int:
        """Nothing is skipped."""
        return 0

    def owns(self, key: bytes) -> bool:
        """Whether a flow is of this share, in whichever direction ``key`` has it."""
        half = (len(key) - 4) // 2
        hosts = int.from_bytes(key[:half], "big") ^ int.from_bytes(key[half:-4], "big")
        ports = int.from_bytes(key[-4:-2], "big") ^ int.from_bytes(key[-2:], "big")
        return ((hosts ^ ports) * 0x9E3779B1 >> 16 & 0xFFFF) % self.of == self.mine

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """See ``Portion``."""
        owns: Callable[[bytes], bool] = self.owns
        ignore = ForeignFlows(ignored).add

        def segment(
            key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
        ) -> None:
            if owns(key):
                places.here = (frame, 0)
                sink(key, seq, ack, flags, payload, missing, frame, time_ns)
            else:
                ignore(key)

        return segment

"""The connections that one of several processes over the same capture follows, and where their events happened."""

# Theory
# ------
# Each process reads all frames, and skips those of other shares as early as possible: from the second segment on, a
# connection of another share is skipped in the hot loop, like one that is not SMTP.
#
# The results must get the order of a single process. So the tracker notes the place in the capture where each
# connection got its number and where it ended: the frame number, because no two such events happen in one frame.

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..segments.decoder import SegmentSink
    from ..streams.flow import Flow

__all__ = ["ForeignFlows", "NumberedConnection", "Place", "Places", "Portion", "Share"]

MAX_FOREIGN = 65_536  # flows of other shares that are remembered; a forgotten one is added again at its next segment

Place = tuple[int, ...]
"""Where an event happened: (frame, 0). For a connection whose RST had waited until the end of a block: (last frame, 0,
frame of the RST); for one that was dropped after a block: (last frame, 1, time of its first frame, that frame). For one
that is still open at the end: (time of its first frame, that frame)."""


NumberedConnection = tuple[Place, bytes, int, bool]
"""A connection that got its number: the place, a key of it, its first frame, and whether a handshake was seen."""


class Places:
    """Notes where connections got their numbers and where they ended. ``here``: the current place; ``block``: the last
    frame of the block that was read; ``marks``: how many had numbers and had ended after the block, before some were
    given up."""

    def __init__(self) -> None:
        self.here: Place = (0, 0)
        self.block = 0
        self.numbered: list[NumberedConnection] = []
        self.ended: list[Place] = []
        self.marks = 0, 0

    def note_block(self) -> None:
        """Note that a block was read: connections that end now are given up."""
        self.marks = len(self.numbered), len(self.ended)

    def note_end(self, given_up: Flow | None) -> None:
        """Note the end of a connection: after the block if it is ``given_up``, else at the current place."""
        self.ended.append(self.here if given_up is None else (self.block, 1, *given_up.started))


class ForeignFlows:
    """Adds flows of other shares to ``ignored``."""

    def __init__(self, ignored: set[bytes]) -> None:
        self._ignored = ignored
        self._flows: dict[bytes, None] = {}

    def add(self, key: bytes) -> None:
        """Add the flow ``key``."""
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
    """The connections that one of several processes follows. ``skip_to``: see ``reader.Reader``."""

    @property
    def skip_to(self) -> int: ...

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """Return a sink that passes the segments of this portion to ``sink``. Flows of others are put in
        ``ignored``."""


class Share(Struct, frozen=True):
    """Share ``number`` (from 0) of ``count`` shares."""

    number: int
    count: int

    @property
    def skip_to(self) -> int:
        """0: nothing is skipped."""
        return 0

    def owns(self, key: bytes) -> bool:
        """Return whether a flow belongs to this share, for ``key`` in either direction."""
        half = (len(key) - 4) // 2
        hosts = int.from_bytes(key[:half], "big") ^ int.from_bytes(key[half:-4], "big")
        ports = int.from_bytes(key[-4:-2], "big") ^ int.from_bytes(key[-2:], "big")
        return ((hosts ^ ports) * 0x9E3779B1 >> 16 & 0xFFFF) % self.count == self.number

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

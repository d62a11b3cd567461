"""Two halves of one capture: what each of two processes follows that divide it by place."""

# Theory
# ------
# A capture is cut behind the first block that ends at or behind the byte `cut`; both processes read the same blocks, so
# both know where that is. One of them reads the blocks before; in the other they are only counted, so that it knows
# the numbers of the frames behind.
#
# Connections go on across the cut. Who reads the first half goes on with those that it has then, and with the SYNs that
# wait, and leaves everything else out, until nothing is left of them: mostly that is soon. Who reads the second half
# cannot know of them. It takes what it sees of them for connections whose beginning was not captured, and what it says
# of these is thrown away by whoever puts both together (`jobs.halved`).

from __future__ import annotations

from typing import TYPE_CHECKING

from ..streams.stream import reversed_key
from .partition import ForeignFlows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..segments.decoder import SegmentSink
    from .partition import Place, Places

__all__ = ["FirstHalf", "SecondHalf"]

_SYN = 2


class FirstHalf:
    """``released``: keys of connections that were its own when the capture was cut, and where others began that have
    their addresses and ports; whoever reads may empty it."""

    skip_to = 0

    def __init__(self) -> None:
        self.released: list[tuple[Place, bytes]] = []
        self._own: set[bytes] | None = None  # None: everything, so far
        self._follows: Callable[[bytes], bool] = bool

    def narrow(self, own: set[bytes], follows: Callable[[bytes], bool]) -> None:
        """Here the capture is cut: from now on only ``own``, as long as each ``follows`` what is known."""
        self._own, self._follows = own, follows

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """``sink`` for what is followed; flows of the second half come into ``ignored``."""
        ignore = ForeignFlows(ignored).add

        def segment(
            key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
        ) -> None:
            own = self._own
            if own is None or key in own:
                places.here = (frame, 0)
                if own is None or not flags & _SYN or self._follows(key):
                    sink(key, seq, ack, flags, payload, missing, frame, time_ns)
                    return
                self._release(own, key, places.here)
            ignore(key)

        return segment

    def _release(self, own: set[bytes], key: bytes, here: Place) -> None:
        back = reversed_key(key)
        own -= {key, back}
        self.released += [(here, key), (here, back)]


class SecondHalf:
    """``skip_to``: see ``readers.Reader``."""

    def __init__(self, cut: int) -> None:
        self.skip_to = cut

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """``sink``, and ``places`` knows where it is."""

        def segment(
            key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
        ) -> None:
            places.here = (frame, 0)
            sink(key, seq, ack, flags, payload, missing, frame, time_ns)

        return segment

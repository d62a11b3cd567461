"""Two halves of one capture, each followed by its own process."""

# Theory
# ------
# A capture is cut after the first block that ends at or after the byte `cut`. Both processes read the same blocks, so
# both know the place. The first process reads the blocks before the cut; the second one only counts their frames, so
# that it knows the frame numbers after the cut.
#
# Connections continue across the cut. After it, the first process follows the connections that it has then, and the
# SYNs that wait, and nothing else, until all of them have ended, which is mostly soon. The second process cannot know
# them. It takes their segments for connections that started before the capture; `parallel.split_audit` drops its
# results for them when it joins the two.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..streams.flow import reversed_key
from .partition import ForeignFlows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..segments.decoder import SegmentSink
    from .partition import Place, Places

__all__ = ["FirstHalf", "SecondHalf"]

_SYN = 2


class FirstHalf:
    """``released``: keys of connections that were open when the capture was cut, and the place where others started
    with their addresses and ports. The code that reads the list may empty it."""

    skip_to = 0

    def __init__(self) -> None:
        self.released: list[tuple[Place, bytes]] = []
        self._own: set[bytes] | None = None  # None: all connections, so far
        self._follows: Callable[[bytes], bool] = bool

    def narrow(self, own: set[bytes], follows: Callable[[bytes], bool]) -> None:
        """Cut here: from now on follow only ``own``, and of these only connections for which ``follows`` is true."""
        self._own, self._follows = own, follows

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """Return a sink that passes the followed segments to ``sink``. Flows of the second half go to ``ignored``."""
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
    """``skip_to``: see ``reader.Reader``."""

    def __init__(self, cut: int) -> None:
        self.skip_to = cut

    def restrict(self, sink: SegmentSink, ignored: set[bytes], places: Places) -> SegmentSink:
        """Return a sink that sets the place in ``places`` and calls ``sink``."""

        def segment(
            key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
        ) -> None:
            places.here = (frame, 0)
            sink(key, seq, ack, flags, payload, missing, frame, time_ns)

        return segment

"""The two processes that read one half of a capture each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import json

from ..connections.split import FirstHalf, SecondHalf
from ..segments.decode_tally import DecodeTally
from .processes import NeedsOneProcess
from .worker import NothingLeft, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import DecoderCounts, Options
    from ..connections.partition import Place
    from ..model import Capture
    from .processes import Channel

__all__ = ["PRESSED", "REUSED", "BlockState", "FirstWorker", "SecondWorker"]

PRESSED = "a limit for all connections was reached"
REUSED = "addresses and ports of a connection that was over were used again"
_PORTS = "addresses and ports had a new connection while the one before went on"


class BlockState(NamedTuple):
    """The content of a message "block": how far it was ``read`` and of how much, how many connections are open, how
    many streams of ended connections are remembered, how many connections had numbered before some were given up, and
    keys that are ``released`` (see ``FirstHalf``)."""

    read: int
    total: int | None
    open: int
    remembered: int
    numbered: int
    released: list[tuple[Place, bytes]]


class _HalfWorker(Worker):
    def check(self) -> None:
        """Raise ``NeedsOneProcess`` for a decision that depends on all open connections."""
        housekeeping = self.audit.tracker.streams.housekeeping
        if housekeeping.pressed or housekeeping.crowded:
            raise NeedsOneProcess(PRESSED)
        self.evicted = housekeeping.evicted

    def send_state(self, released: list[tuple[Place, bytes]]) -> None:
        """Send a "block" message."""
        tracker = self.audit.tracker
        # A plain tuple, since marshal takes no other.
        self.send(
            "block",
            tuple(
                BlockState(*self.read, tracker.open, len(tracker.streams.table.closed), self.places.marks[0], released)
            ),
        )


class FirstWorker(_HalfWorker):
    """Reads up to the cut, and after it until its own connections are over. A message "cut" says which these are, and
    which were over before; "block", which of its own are released (see ``FirstHalf``)."""

    def __init__(self, options: Options, paths: Sequence[str], cut: int, wire: Channel) -> None:
        self._half = FirstHalf()
        super().__init__(options, paths, self._half, wire)
        self._cut = cut
        self._tally: dict[str, Any] | None = None  # of the first half
        self._frames = 0  # in it

    def block_read(self) -> None:
        """See ``Worker``."""
        self.check()
        if self._tally is None and self.read[0] >= self._cut:
            self._send_cut()
        else:
            released, self._half.released = self._half.released, []
            self.send_state(released)
        if self._tally is not None and self.audit.tracker.streams.table.idle:
            raise NothingLeft

    def _send_cut(self) -> None:
        audit, tracker = self.audit, self.audit.tracker
        decoder, capture = audit.decoder, audit.reading
        assert decoder is not None
        assert capture is not None
        if not decoder.fragments.settled(tracker.streams.clock.now_ns):
            raise NeedsOneProcess("a datagram was in fragments where the capture was cut")
        decoder.settle()
        self._tally, self._frames = vars(decoder.tally).copy(), capture.frames
        own, over = tracker.known()
        self._half.narrow(own, tracker.follows)
        self.send("cut", (*self.read, list(own), over, self._tally))

    def send(self, kind: str, more: Any) -> None:
        """See ``Worker``. A connection that starts after the cut belongs to the other process."""
        if self._tally is not None and any(first > self._frames for _, _, first, _ in self.places.numbered):
            raise NeedsOneProcess(_PORTS)
        super().send(kind, more)

    def decoder_counts(self) -> DecoderCounts:
        """See ``Worker``."""
        return super().decoder_counts() if self._tally is None else DecodeTally.of(self._tally).decoder_counts


class SecondWorker(_HalfWorker):
    """Reads after the cut. Its message "capture" includes the counts of its decoder."""

    def __init__(self, options: Options, paths: Sequence[str], cut: int, wire: Channel) -> None:
        super().__init__(options, paths, SecondHalf(cut), wire)
        self._cut = cut
        self._before = 0  # end of the previous block

    def block_read(self) -> None:
        """See ``Worker``."""
        self.check()
        if self.audit.tracker.streams.unclear:
            raise NeedsOneProcess(_PORTS)
        skipped, self._before = self._before < self._cut, self.read[0]
        if not skipped:
            self.send_state([])

    def capture_read(self, capture: Capture) -> None:
        """See ``Worker``."""
        decoder = self.audit.decoder
        assert decoder is not None
        self.send("capture", (json.encode(capture), vars(decoder.tally)))

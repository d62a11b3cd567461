"""What the two processes do that have a half of one capture each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import json

from ..halves import FirstHalf, SecondHalf
from ..segments import DecodeTally
from .hands import Alone
from .worker import Over, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Options
    from ..model import Capture
    from .hands import Wire

__all__ = ["PRESSED", "FirstWorker", "SecondWorker", "Tally", "counts", "tally_of"]

PRESSED = "a limit for all connections was reached"
_PORTS = "addresses and ports had a new connection while the one before went on"

Tally = tuple[int, int, int, int, int, int, dict[int, int]]
"""A ``DecodeTally`` as it is sent."""


def counts(tally: DecodeTally) -> Tally:
    """What ``tally_of`` makes it again of."""
    roads = tally.fast, tally.raw, tally.scapy
    return (*roads, tally.undecodable, tally.first_undecodable, tally.unfinished, dict(tally.unknown_links))


def tally_of(counts: Tally) -> DecodeTally:
    """The ``DecodeTally`` that was sent."""
    tally = DecodeTally()
    tally.fast, tally.raw, tally.scapy, tally.undecodable, tally.first_undecodable, tally.unfinished = counts[:6]
    tally.unknown_links = counts[6]
    return tally


class _HalfWorker(Worker):
    """Messages "block" say where it is, how many connections are open, how many are remembered that are over, and how
    many had begun before some were given up."""

    def _state(self) -> tuple[int, int | None, int, int, int]:
        tracker = self.audit.tracker
        return (*self.read, tracker.open, tracker.streams.remembered, self.marks[0])


class FirstWorker(_HalfWorker):
    """Reads up to the cut, and behind it until its own connections are over. A message "cut" tells which these are, and
    which were over before; "block", which of its own are released (see ``FirstHalf``)."""

    def __init__(self, options: Options, paths: Sequence[str], cut: int, wire: Wire) -> None:
        self._half = FirstHalf()
        super().__init__(options, paths, self._half, wire)
        self._cut = cut
        self._tally: Tally | None = None  # of the first half
        self._frames = 0  # in it

    def tell(self) -> None:
        """See ``Worker``."""
        streams = self.audit.tracker.streams
        if streams.pressed or streams.crowded:
            raise Alone(PRESSED)
        self.evicted = streams.evicted
        if self._tally is None and self.read[0] >= self._cut:
            self._tell_cut()
        else:
            released, self._half.released = self._half.released, []
            self.send("block", (*self._state(), released))
        if self._tally is not None and streams.idle and not self.audit.tracker.open:
            raise Over

    def _tell_cut(self) -> None:
        audit, tracker = self.audit, self.audit.tracker
        decoder, capture = audit.decoder, audit.reading
        assert decoder is not None
        assert capture is not None
        if not decoder.fragments.settled(tracker.streams.clock.now_ns):
            raise Alone("a datagram was in fragments where the capture was cut")
        decoder.settle()
        self._tally, self._frames = counts(decoder.tally), capture.frames
        own, over = tracker.known()
        self._half.narrow(own, tracker.follows)
        self.send("cut", (*self.read, list(own), over, self._tally))

    def send(self, kind: str, more: Any) -> None:
        """See ``Worker``. Nothing begins here that the other one has to tell."""
        if self._tally is not None and any(first > self._frames for _, _, first, _ in self.places.begun):
            raise Alone(_PORTS)
        super().send(kind, more)

    def roads(self) -> tuple[int, int, int]:
        """See ``Worker``."""
        return super().roads() if self._tally is None else self._tally[:3]


class SecondWorker(_HalfWorker):
    """Reads behind the cut. With "capture" comes what was decoded here."""

    def __init__(self, options: Options, paths: Sequence[str], cut: int, wire: Wire) -> None:
        super().__init__(options, paths, SecondHalf(cut), wire)
        self._cut = cut
        self._before = 0  # where the block before ended

    def tell(self) -> None:
        """See ``Worker``."""
        streams = self.audit.tracker.streams
        if streams.pressed or streams.crowded:
            raise Alone(PRESSED)
        if streams.met:
            raise Alone(_PORTS)
        self.evicted = streams.evicted
        skipped, self._before = self._before < self._cut, self.read[0]
        if not skipped:
            self.send("block", (*self._state(), []))

    def tell_capture(self, capture: Capture) -> None:
        """See ``Worker``."""
        decoder = self.audit.decoder
        assert decoder is not None
        self.send("capture", (json.encode(capture), counts(decoder.tally)))

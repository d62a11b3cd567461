"""A process with a share of the connections: an audit whose lines go to the process that forked it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from msgspec import json

from ..audit import Audit
from ..connections.partition import Places
from ..model import Capture, Connection
from ..reports.json_ import NdjsonWriter
from .processes import NeedsOneProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from ..audit import DecoderCounts, Options
    from ..connections.partition import Portion
    from .processes import Channel

__all__ = ["GIVEN_UP", "OFFERS", "NothingLeft", "Worker"]

MANY = 256  # connections open at the end that are sent in one message
GIVEN_UP = "a connection was given up"
OFFERS = "servers offered STARTTLS to some and not to others"
_COMPARES = frozenset({"SEC633"})  # rules whose findings name another connection


class NothingLeft(Exception):
    """There is nothing left to do."""


class Worker:
    """A forked process. ``block_read``: called after each block; ``capture_read``: after each capture; both raise
    ``NeedsOneProcess``, or ``NothingLeft``."""

    def __init__(self, options: Options, paths: Sequence[str], portion: Portion, wire: Channel) -> None:
        self._paths = paths
        self._wire = wire
        self.audit = Audit(options, portion)
        self.places = self.audit.tracker.places = Places()
        self._items: list[bytes] = []
        self.read: tuple[int, int | None] = 0, None
        self.evicted = 0  # given-up connections that are already accounted for
        self._stop = False

    def run(self) -> None:
        """Send a message for each block and each capture, several for connections open at the end, and a last one."""
        audit, tracker = self.audit, self.audit.tracker
        writer = NdjsonWriter(self)
        tracker.servers.asked = set()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # every process gets it, and only the first one handles it
        signal.signal(signal.SIGTERM, self._asked_to_stop)

        def take(items: Iterator[Capture | Connection]) -> None:
            for item in items:
                if isinstance(item, Capture):
                    self.capture_read(item)
                    continue
                writer.connection(item)
                if any(finding.rule in _COMPARES for finding in item.findings):
                    raise NeedsOneProcess(OFFERS)

        try:
            try:
                take(audit.run(self._paths, self._progress, self.block_read))
            except KeyboardInterrupt:
                take(audit.finished(block=False))  # what ended in the last block
                take(audit.stop())
            except NothingLeft:
                pass
            if audit.unreadable:
                raise NeedsOneProcess("an input cannot be read")
            if tracker.streams.housekeeping.evicted > self.evicted:
                raise NeedsOneProcess(GIVEN_UP)
            self.send("end", (json.encode(audit.summary), self.decoder_counts()))
        except NeedsOneProcess as why:
            self._wire.send("alone", str(why))

    def decoder_counts(self) -> DecoderCounts:
        """Return the counts of the frames that this process must count, see ``Audit``."""
        return self.audit.decoder_counts

    def write(self, data: bytes) -> None:
        """Take the lines of one connection."""
        self._items.append(data)
        if self.places.here[1] and len(self._items) >= MANY:
            self.send("open", None)

    def _asked_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop = True

    def _progress(self, read: int, total: int | None) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self.read = read, total
        assert self.audit.reading is not None
        self.places.block = self.audit.reading.frames

    @property
    def gave_up(self) -> bool:
        """Whether a connection was given up after the block: its order depends on all open connections."""
        return self.places.marks != (len(self.places.numbered), len(self.places.ended))

    def block_read(self) -> None:
        """Send the message of a block."""
        if self.gave_up:
            raise NeedsOneProcess(GIVEN_UP)
        self.send("block", self.read)

    def capture_read(self, capture: Capture) -> None:
        """Send the message of a capture."""
        self.send("capture", json.encode(capture))

    def send(self, kind: str, more: Any) -> None:
        """Send a message with everything since the previous one."""
        places, servers = self.places, self.audit.tracker.servers
        ends = list(zip(places.ended, self._items, strict=True))
        numbered, places.numbered, places.ended, self._items = places.numbered, [], [], []
        offers, servers.asked = list(servers.asked or ()), set()
        self._wire.send(kind, more, numbered, ends, offers)

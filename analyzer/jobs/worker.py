"""What a process does that has a share of the connections: an audit whose lines go into a pipe."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from msgspec import json

from ..audit import Audit
from ..model import Capture, Connection
from ..reports.machine import NdjsonWriter
from ..shares import Places, Share
from .hands import Alone, packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from ..audit import Options

__all__ = ["Worker"]

MANY = 256  # connections open at the end that are handed over at once
_COMPARES = frozenset({"SEC633"})  # rules whose findings name another connection


class Worker:
    """What a forked process does: an audit whose lines go into a pipe."""

    def __init__(self, options: Options, paths: Sequence[str], share: Share, pipe: int) -> None:
        self._paths = paths
        self._pipe = pipe
        self._audit = Audit(options, share)
        self._places = self._audit.tracker.places = Places()
        self._items: list[bytes] = []
        self._marks = (0, 0)  # how much had begun and ended when the block was read
        self._read: tuple[int, int | None] = 0, None
        self._stop = False

    def run(self) -> None:
        """Send a message for each block and each capture, some for what is open at the end, and a last one."""
        audit, tracker = self._audit, self._audit.tracker
        writer = NdjsonWriter(self)
        audit.attach(writer)
        tracker.servers.asked = set()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # comes to all of them, and is the first process's to hear
        signal.signal(signal.SIGTERM, self._asked_to_stop)

        def take(items: Iterator[Capture | Connection]) -> None:
            for item in items:
                if isinstance(item, Capture):
                    self._send("capture", json.encode(item))
                    continue
                writer.connection(item)
                if any(finding.rule in _COMPARES for finding in item.findings):
                    raise Alone

        try:
            try:
                take(audit.run(self._paths, self._progress, self._settled))
            except KeyboardInterrupt:
                take(audit.stop())
            if audit.unreadable or tracker.streams.evicted:
                raise Alone
        except Alone:
            self._send("alone", None)
        else:
            self._send("end", (json.encode(audit.summary), audit.roads, audit.judged))

    def write(self, data: bytes) -> None:
        """Take the lines of one connection."""
        self._items.append(data)
        if self._places.here[1] and len(self._items) >= MANY:
            self._send("open", None)

    def _asked_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop = True

    def _progress(self, read: int, total: int | None) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._read = read, total
        self._marks = len(self._places.begun), len(self._places.ended)

    def _settled(self) -> None:
        if self._marks != (len(self._places.begun), len(self._places.ended)):
            raise Alone  # something was given up behind the block: the order of that depends on all that is open
        self._send("block", self._read)

    def _send(self, kind: str, more: Any) -> None:
        places, servers = self._places, self._audit.tracker.servers
        ends = list(zip(places.ended, self._items, strict=True))
        message = packed(kind, more, places.begun, ends, list(servers.asked or ()))
        places.begun, places.ended, self._items, servers.asked = [], [], [], set()
        data = memoryview(message)
        while data:
            data = data[os.write(self._pipe, data) :]

"""Where the news of a live audit go: what every such place may be told, and several places as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Capture, Connection, Finding, Summary

__all__ = ["Sink", "SinkGroup", "Totals"]


class Totals(NamedTuple):
    """How things stand: counts since the beginning, and connections open now."""

    frames: int
    octets: int
    dropped: int
    open: int
    summary: Summary


class Sink:
    """Takes news in the order in which they become known, each method those that it is named for; here, none.

    Whatever it imports or checks it does when it is made. What it needs to work, it opens in ``open``, which is called
    when this process has given up its rights. Raises BrokenPipeError where nobody reads any more.
    """

    def open(self) -> None:
        """The run begins. Raises UsageError where the place cannot be used."""

    def close(self) -> None:
        """The run is over, however it ended."""

    def reading(self, name: str) -> None:
        """Frames come from there from now on: interfaces, or a file."""

    def finding(self, finding: Finding, connection: Connection) -> None:
        """A rule was broken. ``connection`` may be a view of one that goes on."""

    def ended(self, connection: Connection) -> None:
        """A connection ended; its findings have been told."""

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """Every connection that is open at ``time``, as it stands, with the findings that were told."""

    def notice(self, text: str) -> None:
        """Something that concerns the capture: frames lost, an interface down."""

    def tick(self, totals: Totals) -> None:
        """Some time has passed: a few times a second."""

    def capture(self, capture: Capture) -> None:
        """A source, or one file of it, was read to its end."""

    def finish(self, summary: Summary) -> None:
        """Nothing more comes."""


class SinkGroup(Sink):
    """Several places as one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def open(self) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.open()

    def close(self) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.close()

    def reading(self, name: str) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.reading(name)

    def finding(self, finding: Finding, connection: Connection) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.finding(finding, connection)

    def ended(self, connection: Connection) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.ended(connection)

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.standing(connections, time)

    def notice(self, text: str) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.notice(text)

    def tick(self, totals: Totals) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.tick(totals)

    def capture(self, capture: Capture) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.capture(capture)

    def finish(self, summary: Summary) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.finish(summary)

"""The interface of all destinations of a live audit, and several destinations as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..reports.output import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Capture, Connection, Finding, Summary

__all__ = ["Sink", "SinkGroup", "Totals", "left_sentence"]


class Totals(NamedTuple):
    """The current state: counts since the start, and connections open now."""

    frames: int
    octets: int
    dropped: int
    open: int
    summary: Summary


class Sink:
    """Takes updates in the order in which they become known, one method for each kind; here they do nothing.

    A sink imports and checks everything, and looks up names, when it is created. ``prepare`` opens what may need
    privileges. Everything else is opened in ``open``, which is called after this process has dropped its privileges.
    Raises BrokenPipeError if its reader has gone.
    """

    def prepare(self) -> None:
        """Open what may need privileges, and start no thread: it would keep them. Raises UsageError."""

    def open(self) -> None:
        """The run starts. Raises UsageError if the destination cannot be used."""

    def close(self) -> None:
        """The run is over, however it ended."""

    def reading(self, name: str) -> None:
        """Frames come from ``name`` from now on: interfaces, or a file."""

    def finding(self, finding: Finding, connection: Connection) -> None:
        """A rule was broken. ``connection`` may be a view of one that goes on."""

    def ended(self, connection: Connection) -> None:
        """A connection ended; its findings have been reported."""

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """Every connection that is open at ``time``, in its current state, with the findings that were reported."""

    def notice(self, text: str) -> None:
        """An event that concerns the capture: frames lost, an interface down."""

    def tick(self, totals: Totals) -> None:
        """Some time has passed. Called a few times each second."""

    def capture(self, capture: Capture) -> None:
        """A source, or one file of it, was read to its end."""

    def finish(self, summary: Summary) -> None:
        """The run has ended; nothing more comes."""


class SinkGroup(Sink):
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def prepare(self) -> None:
        """See ``Sink``."""
        for sink in self._sinks:
            sink.prepare()

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


def left_sentence(source: str, left: int) -> str:
    """Return the sentence about frames of ``source`` that waited when the run ended, and were not read."""
    were = "was" if left == 1 else "were"
    return f"{source}: {plural(left, 'frame')} that came before the end of the run {were} left in the buffer, not read"

"""Extraction as a writer of the run: messages go to their directory, and a line for each to the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reports.output import plural
from .message_tap import MessageTap

if TYPE_CHECKING:
    from ..model import Capture, Connection, Summary
    from ..reports.output import Output
    from .directory import MessageDirectory
    from .envelope import Envelope
    from .spooled_message import SpooledMessage

__all__ = ["ExtractWriter"]

SHOWN_RECIPIENTS = 3


class ExtractWriter:
    """Writes messages into ``folder`` as they end; ``tap`` is what the audit's options take. ``limit``: see Letter."""

    streams = True

    def __init__(self, output: Output, folder: MessageDirectory, limit: int) -> None:
        self._output = output
        self._folder = folder
        self._limit = limit
        self._taps: dict[int, MessageTap] = {}
        self._problems = 0

    def tap(self, record: Connection) -> MessageTap:
        """Takes the messages of a connection that begins."""
        tap = self._taps[record.id] = MessageTap(record, self._folder.spills, self._keep, self._limit)
        return tap

    def capture(self, capture: Capture) -> None:
        """Nothing is told of it but what is wrong."""
        for problem in capture.problems:
            self._output.text(f"{capture.path}: {problem}\n")

    def connection(self, connection: Connection) -> None:
        """What never ended is over too."""
        tap = self._taps.pop(connection.id, None)
        if tap is not None:
            tap.finish()

    def finish(self, summary: Summary) -> None:
        """Say what came of it."""
        counts = self._folder.counts
        total = plural(sum(counts.values()), "message")
        parts = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
        self._output.text(f"{total}{f' ({parts})' if parts else ''}: {self._folder.name}\n")

    def _keep(self, envelope: Envelope, spill: SpooledMessage) -> None:
        self._folder.keep(envelope, spill)
        to = ", ".join(f"<{one.address}>" for one in envelope.recipients[:SHOWN_RECIPIENTS])
        more = len(envelope.recipients) - SHOWN_RECIPIENTS
        sender = "?" if envelope.from_ is None else f"<{envelope.from_}>"
        state = [plural(envelope.octets, "byte")]
        if envelope.truncated:
            state.append(f"truncated, {envelope.size:,} in all")
        elif not envelope.complete:
            state.append("partial")
        if envelope.attachments:
            state.append(plural(len(envelope.attachments), "attachment"))
        way = f"{sender} → {to or '?'}{f' and {more:,} more' if more > 0 else ''}"
        self._output.text(f"{envelope.file}  {way}  {', '.join(state)}\n")

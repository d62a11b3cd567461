"""The writer of an extraction: messages go to their directory, and a line for each to the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reports.output import plural
from .message_tap import MessageTap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.connection_report import TimeFormat
    from ..exchanges.record import ConnectionRecord
    from ..model import Capture, Connection, Summary
    from ..reports.output import Output
    from .directory import MessageDirectory
    from .envelope import Envelope
    from .spooled_message import SpooledMessage

__all__ = ["ExtractWriter"]

SHOWN_RECIPIENTS = 3


class ExtractWriter:
    """Writes messages into ``folder`` as they end; ``tap`` is for the options of the audit. ``limit``: see
    ``ExtractedMessage``."""

    streams = True

    def __init__(self, output: Output, folder: MessageDirectory, limit: int) -> None:
        self._output = output
        self._folder = folder
        self._limit = limit
        self._taps: dict[int, MessageTap] = {}
        self._problems = 0

    def tap(self, record: ConnectionRecord, clock: TimeFormat) -> MessageTap:
        """Return a tap for the messages of a new connection."""
        tap = self._taps[record.id] = MessageTap(record, clock, self._folder.spool, self._keep, self._limit)
        return tap

    def capture(self, capture: Capture) -> None:
        """Print the problems of the capture."""
        for problem in capture.problems:
            self._output.text(f"{capture.path}: {problem}\n")

    def connection(self, connection: Connection) -> None:
        """End the messages of the connection that never ended."""
        tap = self._taps.pop(connection.id, None)
        if tap is not None:
            tap.finish()

    def finish(self, summary: Summary) -> None:
        """Print the numbers of messages."""
        counts = self._folder.counts
        total = plural(sum(counts.values()), "message")
        parts = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
        self._output.text(f"{total}{f' ({parts})' if parts else ''}: {self._folder.name}\n")

    def take(self, envelope: Envelope, octets: Iterator[bytes]) -> None:
        """Write a message that another process took from its connection."""
        spooled = self._folder.spool.begin()
        for part in octets:
            spooled.append(part)
        self._keep(envelope, spooled)

    def _keep(self, envelope: Envelope, spooled: SpooledMessage) -> None:
        self._folder.keep(envelope, spooled)
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
        route = f"{sender} → {to or '?'}{f' and {more:,} more' if more > 0 else ''}"
        self._output.text(f"{envelope.file}  {route}  {', '.join(state)}\n")

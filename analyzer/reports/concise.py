"""One line for each finding, in the format of compiler messages: ``mail.pcap:9: error SEQ103 client: …``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .capture_quality import CaptureQuality
from .output import plural
from .scope import contents, is_restricted, scope
from .styled_text import SEVERITIES, SEVERITY_STYLE, SIDE_STYLE, paint
from .wording import part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Capture, Connection, Finding, Summary
    from .output import Output
from .styled_text import Line

__all__ = ["ConciseWriter", "summed_up"]


class ConciseWriter:
    """Prints the findings of each connection as soon as it has ended, and a summary at the end."""

    streams = True

    def __init__(self, output: Output) -> None:
        self._output = output
        self._quality = CaptureQuality()

    def capture(self, capture: Capture) -> None:
        """Print the problems of the capture."""
        paint(self._output, [[("bold", capture.path), ("yellow", f": {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Print the findings of the connection."""
        self._quality.count(connection)
        paint(self._output, [_line(finding, connection) for finding in connection.findings])

    def finish(self, summary: Summary) -> None:
        """Print the summary."""
        paint(self._output, summed_up(self._quality, summary))


def _line(finding: Finding, connection: Connection) -> Line:
    part = part_of(connection.captures, finding.time)
    return [
        ("bold", f"{part.path if part is not None else '-'}:{finding.frame}: "),
        (SEVERITY_STYLE[finding.severity], f"{finding.severity} {finding.rule}"),
        ("", " "),
        (SIDE_STYLE[finding.side], finding.side),
        ("", f": {finding.message}"),
    ]


def summed_up(quality: CaptureQuality, summary: Summary) -> Iterator[Line]:
    """Return the counts of the whole run, and the limitations of its captures."""
    nothing = contents(summary)
    for text in scope(summary):
        yield [("yellow", text)]
    if nothing is not None:
        yield [("bold yellow", nothing)]
        return
    counts = summary.findings
    seen = f"in {plural(summary.connections, 'connection')} and {plural(summary.messages, 'message')}"
    if any(counts.values()):
        found = ", ".join(plural(counts[severity], severity, many) for severity, many in SEVERITIES)
        yield [("bold", found), ("", f" {seen}.")]
    else:
        yield [("bold yellow" if is_restricted(summary) else "bold green", "No findings"), ("", f" {seen}.")]
    limitations = ", ".join(f"{count:,} {what}" for count, what in quality.limitations())
    if limitations and quality.is_whole:
        yield [("", f"All connections are {quality.completeness}: {limitations}.")]
    elif limitations:
        yield [("yellow", f"Not all connections are {quality.completeness}: {limitations}.")]

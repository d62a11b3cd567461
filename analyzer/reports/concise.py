"""One line for each finding, in the form that compilers gave to the world: ``mail.pcap:9: error SEQ103 client: …``."""

# A capture is named when it has been read, and its connections end before that; one that goes on from an earlier
# capture has findings there. So lines wait for the name of their capture, on disk if they are many, and the time of
# each finding says to which capture its frame number belongs.

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

import msgspec

from ..model import Severity, Side  # noqa: TC001 - msgspec reads them
from ..times import parse_time
from .output import plural
from .quality import Quality
from .spans import SEVERITIES, SEVERITY_STYLE, SIDE_STYLE, paint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from ..model import Capture, Connection, Finding, Summary
    from .output import Output
    from .spans import Line

__all__ = ["ConciseWriter", "summed_up"]

# Findings of one capture that wait in memory; more wait in a temporary file.
HELD_BYTES = 1 << 20
# Lines painted at once.
BATCH = 1000


class ConciseWriter:
    """Prints the findings of each capture when it has been read, and a summary at the end."""

    streams = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._quality = Quality()
        self._captures: list[tuple[str, int, int]] = []
        self._waiting = _Waiting()

    def capture(self, capture: Capture) -> None:
        """Print the findings that waited for it, and what is wrong with it."""
        first = parse_time(capture.first) if capture.first else 0
        last = parse_time(capture.last) if capture.last else 0
        self._captures.append((capture.path, first, last))
        self._print()
        paint(self._output, [[("bold", capture.path), ("yellow", f": {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Keep its findings until their capture is named."""
        self._quality.count(connection)
        for finding in connection.findings:
            self._waiting.add(finding)

    def finish(self, summary: Summary) -> None:
        """Print what was still open, and the summary."""
        self._print()
        self._waiting.close()
        paint(self._output, summed_up(self._quality, summary))

    def _print(self) -> None:
        lines: list[Line] = []
        for finding in self._waiting.take():
            lines.append(self._line(finding))
            if len(lines) == BATCH:
                paint(self._output, lines)
                lines = []
        paint(self._output, lines)

    def _line(self, finding: _Short) -> Line:
        return [
            ("bold", f"{self._name(parse_time(finding.time))}:{finding.frame}: "),
            (SEVERITY_STYLE[finding.severity], f"{finding.severity} {finding.rule}"),
            ("", " "),
            (SIDE_STYLE[finding.side], finding.side),
            ("", f": {finding.message}"),
        ]

    def _name(self, time: int) -> str:
        for path, first, last in reversed(self._captures):
            if first <= time <= last:
                return path
        return self._captures[-1][0] if self._captures else "-"


def summed_up(quality: Quality, summary: Summary) -> Iterator[Line]:
    """The counts of a whole run, and what its captures lacked."""
    if not quality.connections:
        yield [("bold", "No SMTP seen.")]
        return
    counts = summary.findings
    seen = f"in {plural(summary.connections, 'connection')} and {plural(summary.messages, 'message')}"
    known = f" {plural(summary.suppressed, 'known finding')} left out." if summary.suppressed else ""
    if any(counts.values()):
        found = ", ".join(plural(counts[severity], severity, many) for severity, many in SEVERITIES)
        yield [("bold", found), ("", f" {seen}.{known}")]
    else:
        yield [("bold green", "No findings"), ("", f" {seen}.{known}")]
    lacking = ", ".join(f"{count:,} {what}" for count, what in quality.lacking())
    if lacking:
        yield [("yellow", f"Not all was seen whole and in clear text: {lacking}.")]


class _Short(msgspec.Struct, array_like=True):
    """What a line needs of a finding."""

    rule: str
    severity: Severity
    side: Side
    message: str
    frame: int
    time: str


class _Waiting:
    """Findings in the order in which they came, in memory or in a file."""

    def __init__(self) -> None:
        self._file: IO[bytes] = SpooledTemporaryFile(HELD_BYTES)  # noqa: SIM115 - lives as long as the writer
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(_Short).decode

    def add(self, finding: Finding) -> None:
        """Let it wait."""
        f = finding
        self._file.write(self._encode(_Short(f.rule, f.severity, f.side, f.message, f.frame, f.time)) + b"\n")

    def take(self) -> Iterator[_Short]:
        """All, which then no longer wait."""
        self._file.seek(0)
        for line in self._file:
            yield self._decode(line)
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        """No more comes."""
        self._file.close()

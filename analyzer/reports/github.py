"""Annotations of GitHub Actions: workflow commands that the runner turns into notes on a pull request."""

# GitHub shows ten annotations of each level for one step and drops the rest without a message. So the worst come first,
# a finding that only follows from another is omitted, and the last line counts them all. A line that does not start
# with `::` is not a command; no other line printed here starts so.

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import Output, plural
from .scope import remarks_on
from .text import address
from .wording import part_of, place, remarks

if TYPE_CHECKING:
    from ..model import Capture, Connection, Finding, Severity, Summary

__all__ = ["GithubWriter"]

_COMMAND: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}
# Findings of each severity. GitHub shows 50 for a whole job.
MAX_SHOWN = 50


class GithubWriter:
    """Collects the first findings of each severity and writes them at the end of the run."""

    streams = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._captures: list[Capture] = []
        self._found: dict[Severity, list[tuple[str, str, str]]] = {"error": [], "warning": [], "info": []}
        self._more = 0

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Keep the annotations of its findings."""
        for finding in connection.findings:
            if finding.caused_by is None:
                found = self._found[finding.severity]
                if len(found) < MAX_SHOWN:
                    part = part_of(connection.captures, finding.time)
                    file = f"file={_property(part.path)}," if part is not None else ""
                    found.append((file, f"{finding.rule} {finding.name}", _message(finding, connection)))
                else:
                    self._more += 1

    def finish(self, summary: Summary) -> None:
        """Write the commands."""
        lines = [
            f"::{_COMMAND[severity]} {file}title={_property(title)}::{_data(message)}"
            for severity, found in self._found.items()
            for file, title, message in found
        ]
        for capture in self._captures:
            lines += [f"::warning title=capture::{_data(f'{capture.path}: {problem}')}" for problem in capture.problems]
        if self._more:
            lines.append(f"::notice title=smtpwire::{self._more:,} more findings are not annotated")
        counts = ", ".join(plural(summary.findings[s], s, "info" if s == "info" else None) for s in self._found)
        seen = f"{plural(summary.connections, 'connection')} and {plural(summary.messages, 'message')}"
        lines += [f"::notice title=smtpwire::{_data(text)}" for text in remarks_on(summary)]
        lines.append(f"{counts} in {seen}")
        self._output.write("".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace"))


def _message(finding: Finding, connection: Connection) -> str:
    ends = f"{address(connection.client)} > {address(connection.server)}"
    lines = [
        f"{finding.message} ({finding.side}, {place(finding, connection.captures)}, connection {connection.id} {ends})"
    ]
    if finding.evidence:
        lines.append(finding.evidence)
    return "\n".join([*lines, " · ".join(remarks(finding))]).rstrip()


def _data(text: str) -> str:
    """Escape the part after the second ``::``, in which a line end would end the command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a value before the second ``::``, which a comma or a colon would end."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")

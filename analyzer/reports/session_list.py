"""A line for each connection: number, start, errors (E), warnings (W) and remarks (I), hosts, who wrote to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..timestamps import local_time
from .scope import remarks_on
from .styled_text import SEVERITIES, SEVERITY_STYLE, SIDE_STYLE, Line, clip, paint, wrapped
from .text import address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from ..model import Capture, Connection, Message, Summary
    from .output import Output

__all__ = ["SessionListWriter"]

_LETTERS = {"error": "E", "warning": "W", "info": "I"}


class SessionListWriter:
    """Prints a line for each connection as soon as it has ended. ``zone``: of the times."""

    streams = True

    def __init__(self, output: Output, zone: tzinfo) -> None:
        self._output = output
        self._zone = zone
        self.found = False

    def capture(self, capture: Capture) -> None:
        """Print the problems of the capture, if it has any."""
        paint(self._output, [[("yellow", f"{capture.path}: {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Print the line of the connection."""
        self.found = True
        paint(self._output, [_clipped(list(_line(connection, self._zone)), self._output.width)])

    def finish(self, summary: Summary) -> None:
        """Print what was not looked at."""
        width = self._output.width
        paint(self._output, [line for said in remarks_on(summary) for line in wrapped(said, width, "", "dim")])


def _line(connection: Connection, zone: tzinfo) -> Iterator[tuple[str, str]]:
    client, server = address(connection.client), address(connection.server)
    yield "bold", f"{f'#{connection.id}':<6}"
    yield "dim", f"{local_time(connection.started, zone):%Y-%m-%d %H:%M:%S} "
    for severity, _ in SEVERITIES:
        count = sum(finding.severity == severity for finding in connection.findings)
        yield SEVERITY_STYLE[severity], f"{f'{count}{_LETTERS[severity]}' if count else '':<3}"
    yield SIDE_STYLE["client"], f" {client}"
    yield "", " → "
    yield SIDE_STYLE["server"], server
    if connection.tls != "none":
        yield "dim", f" {'TLS' if connection.tls == 'implicit' else 'STARTTLS'}"
    for message in connection.messages:
        yield "", f" {_mail(message)}"


def _mail(message: Message) -> str:
    """Return envelope and reply in a few words: ``a@x→b@y 250``."""
    recipients = [recipient.address for recipient in message.recipients]
    more = f"+{len(recipients) - 1}" if len(recipients) > 1 else ""
    sender = "?" if message.from_ is None else message.from_ or "<>"
    return f"{sender}→{recipients[0] if recipients else '?'}{more} {message.code or '?'}"


def _clipped(line: Line, width: int) -> Line:
    """Return ``line`` in ``width`` columns."""
    kept: Line = []
    for style, text in line:
        if width <= 0:
            break
        kept.append((style, clip(text, width)))
        width -= len(text)
    return kept

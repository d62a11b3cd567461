"""A line for each connection: number, start, errors (E), warnings (W) and remarks (I), the first refusal, who wrote to
whom, hosts, capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..findings.counts import decrypted
from ..findings.filters import recipients_of, senders_of
from ..model import ReplyTurn
from ..timestamps import local_time
from .scope import remarks_on
from .styled_text import SEVERITIES, SEVERITY_STYLE, SIDE_STYLE, Line, paint, wrapped
from .text import address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from ..model import Capture, Connection, Summary
    from .output import Output

__all__ = ["SessionListWriter"]

_REFUSED = 400  # replies from this code on say no (RFC 5321 §4.2.1)
_LETTERS = {"error": "E", "warning": "W", "info": "I"}


class SessionListWriter:
    """Prints a line for each connection as soon as it has ended. ``zone``: of the times. ``several``: more than one
    capture is read."""

    streams = True

    def __init__(self, output: Output, zone: tzinfo, *, several: bool = False) -> None:
        self._output = output
        self._zone = zone
        self._several = several
        self.found = False

    def capture(self, capture: Capture) -> None:
        """Print the problems of the capture, if it has any."""
        paint(self._output, [[("yellow", f"{capture.path}: {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Print the line of the connection."""
        self.found = True
        paint(self._output, [_clipped(list(_line(connection, self._zone, several=self._several)), self._output.width)])

    def finish(self, summary: Summary) -> None:
        """Print what was not looked at."""
        width = self._output.width
        paint(self._output, [line for said in remarks_on(summary) for line in wrapped(said, width, "", "dim")])


def _line(connection: Connection, zone: tzinfo, *, several: bool) -> Iterator[tuple[str, str]]:
    yield "bold", f"{f'#{connection.id}':<6}"
    yield "dim", f"{local_time(connection.started, zone):%Y-%m-%d %H:%M:%S}"
    for severity, _ in SEVERITIES:
        count = sum(finding.severity == severity for finding in connection.findings)
        yield SEVERITY_STYLE[severity], f"{f' {count}{_LETTERS[severity]}' if count else '':<3}"
    refused = [turn.code for turn in connection.dialogue if isinstance(turn, ReplyTurn) and turn.code >= _REFUSED]
    yield "", f" {refused[0] if refused else '':<4}"
    yield "", f"{_mail(connection)} "
    yield SIDE_STYLE["client"], address(connection.client)
    yield "", " → "
    yield SIDE_STYLE["server"], address(connection.server)
    if connection.tls != "none":
        opened = {"all": ", decrypted", "part": ", decrypted in part", "none": ""}[decrypted(connection)]
        yield "dim", f" {'TLS' if connection.tls == 'implicit' else 'STARTTLS'}{opened}"
    if several and connection.captures:
        yield "dim", f" {connection.captures[0].path}"


def _mail(connection: Connection) -> str:
    """Return the first sender and recipient, whether a message followed or not: ``a@x→b@y+1``."""
    senders, recipients = list(senders_of(connection)), list(recipients_of(connection))
    if not senders and not recipients:
        return ""
    more = f"+{len(recipients) - 1}" if len(recipients) > 1 else ""
    sender = senders[0].strip("<>") or "<>" if senders else "?"
    return f"{sender}→{recipients[0].strip('<>') if recipients else '?'}{more}"


def _clipped(line: Line, width: int) -> Line:
    """Return ``line`` in ``width`` columns; an ellipsis shows that there is more."""
    whole = sum(len(text) for _, text in line)
    kept: Line = []
    for style, text in line:
        room = width - sum(len(part) for _, part in kept)
        if len(text) >= room and whole > width:
            kept.append((style, text[: room - 1] + "…"))
            break
        kept.append((style, text))
    return kept

"""The lines of both sides as plain text with numbered lines, for formats that point at lines of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..timestamps import parse_time
from .text import address
from .tls_wording import insides
from .wording import said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Connection

__all__ = ["Transcript"]

# Characters of one line; a hostile line has 60,000.
MAX_LINE = 1000


class Transcript:
    """A transcript that grows by one connection at a time. ``limit``: characters in total; connections after that have
    no lines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = limit
        self._lines: list[str] = []
        self.omitted = 0  # connections for which there was no room

    def add(self, connection: Connection) -> list[int] | None:
        """Return the number of the line, from 1, at which each turn starts, and at the end that of the heading.

        None if there is no room for the connection.
        """
        starts, lines = [], []
        first = len(self._lines) + 1
        lines.append(_heading(connection))
        start = parse_time(connection.started)
        for turn, inside in zip(connection.dialogue, insides(connection), strict=True):
            starts.append(first + len(lines))
            who = ("C" if turn.side == "client" else "S") + (" in TLS" if inside else "")
            margin = f"{turn.frame:>7} {(parse_time(turn.time) - start) / 1e9:>11.6f} {who}: "
            for text in said(turn, connection.tls_session):
                lines.append(margin + _cut(text))
                margin = f"{'':19} {who}: "
        lines.append("")
        size = sum(map(len, lines)) + len(lines)
        if size > self._room:
            self.omitted += 1
            return None
        self._room -= size
        self._lines += lines
        return [*starts, first]

    def line(self, number: int) -> str:
        """Return the text of a line."""
        return self._lines[number - 1]

    def text(self) -> str:
        """Return all lines."""
        return "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        return (line + "\n" for line in self._lines)


def _heading(connection: Connection) -> str:
    ends = f"{address(connection.client)} > {address(connection.server)}"
    return f"# connection {connection.id} {ends} {connection.profile} {connection.started}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}... {len(text) - MAX_LINE} more characters"

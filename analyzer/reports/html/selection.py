"""Which connections the page shows in full: worst first, one of each kind before a second of any."""

# A capture may hold 20,000 connections, of which 19,000 have the same fault; a page that held them all would open
# nowhere. So a bounded number is kept while the run goes on, in a heap with the least interesting on top, and of each
# only the turns that the page will show. What was left out is counted, and the page says so.

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING

from ..grouping import alike
from .counts import SEVERITIES, Counts
from .ladder import Ladder, ladder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...model import Connection, Finding

__all__ = ["MAX_CHOSEN", "AlikeConnections", "ChosenConnection", "Selection"]

# Connections shown in full.
MAX_CHOSEN = 200
# Kinds of connections with findings that are told apart while the run goes on.
MAX_KINDS = 2000
# Ids of connections that are alike, as far as they are named.
NAMED_IDS = 8
# Connections with more findings are each of their own kind: comparing them costs more than it joins.
MAX_COMPARED = 1000

_Rank = tuple[int, ...]


@dataclass(slots=True)
class AlikeConnections:
    """Connections with the same findings."""

    count: int = 0
    ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ChosenConnection:
    """A connection to show. ``counts``: all its findings; ``roots``: those that do not only follow from another."""

    ladder: Ladder
    counts: Counts
    roots: Counts
    kind: AlikeConnections | None

    @property
    def worth(self) -> _Rank:
        """Sorts worst first."""
        return *(-self.roots[severity] for severity in SEVERITIES), self.ladder.id


class Selection:
    """Takes connections as they end and keeps the most interesting."""

    def __init__(self, limit: int = MAX_CHOSEN) -> None:
        self._limit = limit
        self._heap: list[tuple[_Rank, int, ChosenConnection]] = []
        self._kinds: dict[tuple[object, ...], AlikeConnections] = {}
        self.connections = self.with_findings = 0

    def add(self, connection: Connection) -> None:
        """Keep it if it is worth more than what is kept, and there is no room for both."""
        self.connections += 1
        kind, nth = None, 0
        if connection.findings:
            self.with_findings += 1
            kind, nth = self._kind(connection)
        roots = _counts(f for f in connection.findings if f.caused_by is None)
        rank: _Rank = (bool(connection.findings), -nth, *(roots[s] for s in SEVERITIES), -connection.id)
        full = len(self._heap) >= self._limit
        if full and (not self._heap or rank <= self._heap[0][0]):
            return
        choice = ChosenConnection(ladder(connection), _counts(connection.findings), roots, kind)
        if full:
            heapreplace(self._heap, (rank, connection.id, choice))
        else:
            heappush(self._heap, (rank, connection.id, choice))

    def __iter__(self) -> Iterator[ChosenConnection]:
        return iter(sorted((choice for _, _, choice in self._heap), key=lambda choice: choice.worth))

    def __len__(self) -> int:
        return len(self._heap)

    def _kind(self, connection: Connection) -> tuple[AlikeConnections | None, int]:
        """Its kind, and how many of it came before; None where there are too many kinds to tell."""
        key = alike(connection) if len(connection.findings) <= MAX_COMPARED else (connection.id,)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                return None, 0
            kind = self._kinds[key] = AlikeConnections()
        kind.count += 1
        if len(kind.ids) < NAMED_IDS:
            kind.ids.append(connection.id)
        return kind, kind.count - 1


def _counts(findings: Iterable[Finding]) -> Counts:
    counts: Counts = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        counts[finding.severity] += 1
    return counts

"""The selection of connections that the page shows in full: worst first, one of each kind before a second of any."""

# A capture may contain 20,000 connections, of which 19,000 have the same fault. No browser would open a page with all
# of them. So a bounded number is kept during the run, in a heap with the least interesting on top, and of each only the
# turns that the page will show. Omitted connections are counted, and the page reports their number.

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING

from ..grouping import alike
from ..host_counts import SEVERITIES, Counts
from .ladder import Ladder, ladder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...model import Connection, Finding

__all__ = ["MAX_CHOSEN", "AlikeConnections", "ChosenConnection", "Selection"]

# Connections shown in full.
MAX_CHOSEN = 200
# Kinds of connections with findings that are kept apart during the run.
MAX_KINDS = 2000
# Ids listed for connections with the same findings.
NAMED_IDS = 8
# A connection with more findings is a kind of its own: a comparison costs more than it saves.
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
        """Return a sort key: the worst connection comes first."""
        return *(-self.roots[severity] for severity in SEVERITIES), self.ladder.id


class Selection:
    """Takes connections as they end and keeps the most interesting ones."""

    def __init__(self, limit: int = MAX_CHOSEN) -> None:
        self._limit = limit
        self._heap: list[tuple[_Rank, int, ChosenConnection]] = []
        self._kinds: dict[tuple[object, ...], AlikeConnections] = {}
        self.connections = self.with_findings = 0

    def add(self, connection: Connection) -> None:
        """Keep the connection if there is room, or if it is more interesting than one that is kept."""
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
        """Return the kind of the connection and how many of this kind came before; None if there are too many kinds."""
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

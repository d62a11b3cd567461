"""Grouping: findings that only follow from another, equal findings, and connections with the same findings."""

# A broken client breaks the same rule in each of its connections, and one wrong command leads to a series of other
# findings. The text report shows each thing once, with its consequences below it, and counts the rest. Nothing is
# dropped: JSON and NDJSON contain every finding.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Connection, Finding

__all__ = ["MAX_GROUPS", "MAX_HOSTS", "ConnectionGroup", "FoldedFinding", "alike", "fold"]

# Kinds of connections with findings that one report keeps apart. Memory grows with kinds, not with connections.
MAX_GROUPS = 500
# Findings of one rule and side in one place that are shown in full before the rest is counted.
SHOWN_ALIKE = 3
# Hosts counted in one group; with more, the report says "at least".
MAX_HOSTS = 256
# Ids listed for connections with the same findings.
NAMED_IDS = 6


@dataclass(slots=True)
class FoldedFinding:
    """A finding, the equal ones after it, and what follows from all of them."""

    finding: Finding
    again: list[Finding] = field(default_factory=list)
    follows: list[FoldedFinding] = field(default_factory=list)


@dataclass(slots=True)
class ConnectionGroup:
    """Connections with the same findings, between any hosts; the first represents all of them."""

    first: Connection
    count: int = 1
    ids: list[int] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.clients.add(self.first.client.address)
        self.servers.add(self.first.server.address)

    def add(self, connection: Connection) -> None:
        """Count one more connection."""
        self.count += 1
        if len(self.ids) < NAMED_IDS:
            self.ids.append(connection.id)
        for hosts, end in ((self.clients, connection.client), (self.servers, connection.server)):
            if len(hosts) < MAX_HOSTS:
                hosts.add(end.address)


def alike(connection: Connection) -> tuple[object, ...]:
    """Return a key. Connections with equal keys differ only in hosts, frames, times and evidence."""
    findings = tuple((f.rule, f.side, f.severity, f.certainty, f.caused_by) for f in connection.findings)
    return connection.profile, connection.tls, findings


def fold(findings: Sequence[Finding]) -> list[FoldedFinding]:
    """Return ``findings`` of one connection as root causes in order of frames, each with all that follows from it."""
    # A hostile client can make a chain of causes of any length. Its first link matters, so one level is kept.
    roots = list(range(len(findings)))
    members: dict[int, list[int]] = {}
    for index, finding in enumerate(findings):
        cause = finding.caused_by
        # A cause cannot come after its consequence; such a finding becomes a root of its own, so it is not lost.
        if cause is not None and 0 <= cause < index:
            roots[index] = roots[cause]
            members.setdefault(roots[index], []).append(index)
    top = [index for index, root in enumerate(roots) if index == root]
    folds, home = _equal(findings, top)
    below: dict[int, list[int]] = {}
    for root, indexes in members.items():
        below.setdefault(home[root], []).extend(indexes)
    for number, indexes in below.items():
        folds[number].follows, _ = _equal(findings, indexes)
    return folds


def _equal(findings: Sequence[Finding], indexes: Sequence[int]) -> tuple[list[FoldedFinding], dict[int, int]]:
    """Fold equal findings among ``indexes``; also return the fold of each index."""
    folds: list[FoldedFinding] = []
    home: dict[int, int] = {}
    said: dict[tuple[object, ...], int] = {}
    shown: dict[tuple[object, ...], list[int]] = {}
    for index in sorted(indexes, key=lambda i: (findings[i].frame, findings[i].offset, i)):
        finding = findings[index]
        kind = (finding.rule, finding.side, finding.certainty)
        number = said.get((*kind, finding.message))
        before = shown.setdefault(kind, [])
        if number is None and len(before) >= SHOWN_ALIKE:
            number = before[-1]
        if number is None:
            number = said[*kind, finding.message] = len(folds)
            before.append(number)
            folds.append(FoldedFinding(finding))
        else:
            folds[number].again.append(finding)
        home[index] = number
    return folds, home

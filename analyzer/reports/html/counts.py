"""The counts of the page for a whole run: findings by rule, by host and over time, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...timestamps import parse_time
from ..host_counts import SEVERITIES, Counts, HostTally, no_counts

if TYPE_CHECKING:
    from ...model import Connection, Finding, Severity, Side

__all__ = ["PageCounts", "RuleCounts", "TimeSlot", "Timeline"]

# Ids listed of the connections in which a rule fired.
NAMED_IDS = 12
# Bars of the timeline. Each width is a multiple of the previous one, so that bars can be joined as the time span grows.
MAX_SLOTS = 120
_SECOND = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND
WIDTHS = (
    *(_SECOND // 1000, _SECOND // 100, _SECOND // 10, _SECOND, 5 * _SECOND, 10 * _SECOND, 30 * _SECOND),
    *(_MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 7 * _DAY, 28 * _DAY, 364 * _DAY, 3640 * _DAY, 36_400 * _DAY),
)


@dataclass(slots=True)
class RuleCounts:
    """The counts of one rule: findings, connections, and the ids of the first connections."""

    name: str
    severity: Severity
    sides: set[Side] = field(default_factory=set)
    findings: int = 0
    connections: int = 0
    ids: list[int] = field(default_factory=list)
    last: int | None = None


class TimeSlot(NamedTuple):
    """One bar: nanoseconds since 1970 at its left edge, connections started and findings in it."""

    start: int
    connections: int
    counts: Counts


class Timeline:
    """Counts in slots of equal width. The width grows with the time span."""

    def __init__(self) -> None:
        self._level = 0
        self._slots: dict[int, tuple[list[int], Counts]] = {}
        self._low = self._high = 0

    @property
    def width(self) -> int:
        """Return the width of one slot in nanoseconds."""
        return WIDTHS[self._level]

    def connection(self, ns: int) -> None:
        """Count the start of one more connection."""
        self._slot(ns)[0][0] += 1

    def finding(self, ns: int, severity: Severity) -> None:
        """Count one more finding."""
        self._slot(ns)[1][severity] += 1

    def slots(self) -> list[TimeSlot]:
        """Return all slots from the first to the last, including empty ones."""
        if not self._slots:
            return []
        nothing: tuple[list[int], Counts] = ([0], no_counts())
        found = ((number, self._slots.get(number, nothing)) for number in range(self._low, self._high + 1))
        return [TimeSlot(number * self.width, connections[0], counts) for number, (connections, counts) in found]

    def _slot(self, ns: int) -> tuple[list[int], Counts]:
        number = ns // self.width
        slot = self._slots.get(number)
        if slot is None:
            while not self._fits(ns // self.width):
                self._join()
            number = ns // self.width
            slot = self._slots.setdefault(number, ([0], no_counts()))
            self._low = min(number, *self._slots)
            self._high = max(number, *self._slots)
        return slot

    def _fits(self, number: int) -> bool:
        if not self._slots or self._level == len(WIDTHS) - 1:
            return True
        return max(number, self._high) - min(number, self._low) < MAX_SLOTS

    def _join(self) -> None:
        times = WIDTHS[self._level + 1] // self.width
        self._level += 1
        before, self._slots = self._slots, {}
        for number, (connections, counts) in before.items():
            joined = self._slots.setdefault(number // times, ([0], no_counts()))
            joined[0][0] += connections[0]
            for severity, count in counts.items():
                joined[1][severity] += count
        self._low, self._high = min(self._slots), max(self._slots)


class PageCounts:
    """The counts by rule, by host and over time, updated with each connection that ends."""

    def __init__(self) -> None:
        self.by_host = HostTally()
        self.rules: dict[str, RuleCounts] = {}
        self.timeline = Timeline()

    def connection(self, connection: Connection) -> None:
        """Count one more connection."""
        self.by_host.connection(connection)
        self.timeline.connection(parse_time(connection.started))
        for finding in connection.findings:
            self.timeline.finding(parse_time(finding.time), finding.severity)
            self._rule(finding, connection.id)

    def _rule(self, finding: Finding, connection: int) -> None:
        counts = self.rules.get(finding.rule)
        if counts is None:
            counts = self.rules[finding.rule] = RuleCounts(finding.name, finding.severity)
        counts.findings += 1
        counts.sides.add(finding.side)
        # A rule may be an error in one profile and a warning in another: the page sorts by the worst.
        counts.severity = min(counts.severity, finding.severity, key=SEVERITIES.index)
        if counts.last != connection:
            counts.last = connection
            counts.connections += 1
            if len(counts.ids) < NAMED_IDS:
                counts.ids.append(connection)

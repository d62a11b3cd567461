"""Collects a run in bounded memory and writes the page when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rules import RULES
from ..capture_quality import CaptureQuality, read
from ..output import plural
from ..rule_docs import FAMILIES, paragraphs, scripts
from .charts import stack, time_chart
from .counts import SEVERITIES, PageCounts
from .page import render
from .selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...model import Capture, Connection, Summary
    from ..output import Output
    from .counts import HostCounts
    from .selection import ChosenConnection

__all__ = ["HtmlWriter"]

# Captures named one by one, and how many more if something is wrong with them.
NAMED_CAPTURES, NAMED_PROBLEMS = 12, 100
# Hosts of each role in the tables.
SHOWN_HOSTS = 12
# Rows of all ladders together: some 6 MB of page, which a browser opens without thinking.
MAX_PAGE_ROWS = 8000


class HtmlWriter:
    """One self-contained page. Holds counts and the connections that the page shows, whatever the run's length."""

    streams = False

    def __init__(self, output: Output, version: str) -> None:
        self._output = output
        self._version = version
        self._captures: list[Capture] = []
        self._quality = CaptureQuality()
        self._tally = PageCounts()
        self._chosen = Selection()

    def capture(self, capture: Capture) -> None:
        """Keep it."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Count it; keep what the page shows of it, if it is among the worst."""
        self._quality.count(connection)
        self._tally.connection(connection)
        self._chosen.add(connection)

    def finish(self, summary: Summary) -> None:
        """Write the page."""
        for piece in render(**self._values(summary)):
            self._output.write(piece.encode("utf-8", "backslashreplace"))

    def _values(self, summary: Summary) -> dict[str, object]:
        choices = list(self._chosen)
        return {
            "version": self._version,
            "title": self._title(),
            "captures": [(c, read(c)) for c in self._named_captures()],
            "several": len(self._captures) > 1,
            "unnamed": len(self._captures) - len(self._named_captures()),
            "frames": sum(c.frames for c in self._captures),
            "bytes": sum(c.bytes for c in self._captures),
            "first": min((c.first for c in self._captures if c.first), default=None),
            "last": max((c.last for c in self._captures if c.last), default=None),
            "quality": self._quality,
            "summary": summary,
            "severities": SEVERITIES,
            "rules": list(self._rules()),
            "hosts": self._hosts(),
            "on_the_path": self._tally.on_the_path,
            "timeline": time_chart(self._tally.timeline),
            "connections": list(_within_bounds(choices)),
            "left_out": list(self._left_out(len(choices))),
            "families": FAMILIES,
        }

    def _title(self) -> str:
        if len(self._captures) == 1:
            path = self._captures[0].path
            return "standard input" if path == "-" else path
        return plural(len(self._captures), "capture")

    def _named_captures(self) -> list[Capture]:
        named = self._captures[:NAMED_CAPTURES]
        return named + [c for c in self._captures[NAMED_CAPTURES:] if c.problems][:NAMED_PROBLEMS]

    def _rules(self) -> Iterator[dict[str, object]]:
        """Those that fired, most severe and most frequent first."""
        tallies = self._tally.rules
        most = max((tally.findings for tally in tallies.values()), default=1)

        def order(rule_id: str) -> tuple[int, int, str]:
            tally = tallies[rule_id]
            return SEVERITIES.index(tally.severity), -tally.findings, rule_id

        for rule_id in sorted(tallies, key=order):
            tally = tallies[rule_id]
            rule = RULES.get(rule_id)
            counts = dict.fromkeys(SEVERITIES, 0) | {tally.severity: tally.findings}
            yield {
                "id": rule_id,
                "tally": tally,
                "sides": sorted(tally.sides),
                "bar": stack(counts, most),
                "title": rule.title if rule else "",
                "reference": rule.reference if rule else "",
                "paragraphs": paragraphs(rule) if rule else [],
                "scripts": list(scripts(rule)) if rule else [],
                "family": FAMILIES.get(rule_id[:3], ""),
            }

    def _hosts(self) -> list[dict[str, object]]:
        """Of each role those with the most and worst faults; bars of both on one scale."""
        tallied = {role: sorted(hosts.values(), key=_worth, reverse=True) for role, hosts in self._tally.hosts.items()}
        most = max((sum(host.counts.values()) for hosts in tallied.values() for host in hosts), default=0) or 1
        return [
            {
                "role": role,
                "rows": [(host, stack(host.counts, most)) for host in hosts[:SHOWN_HOSTS]],
                "more": max(len(hosts) - SHOWN_HOSTS, 0),
                "elsewhere": self._tally.elsewhere[role],
            }
            for role, hosts in tallied.items()
        ]

    def _left_out(self, shown: int) -> Iterator[str]:
        """What the list of connections does not hold, in sentences."""
        missing = self._chosen.connections - shown
        if not missing:
            return
        with_findings = self._chosen.with_findings - sum(bool(choice.ladder.rules) for choice in self._chosen)
        parts = []
        if with_findings:
            parts.append(f"{with_findings:,} with findings (connections of other kinds and worse ones came first)")
        if missing - with_findings:
            parts.append(f"{missing - with_findings:,} without findings")
        yield f"{plural(missing, 'connection')} not shown: {' and '.join(parts)}. All are counted above."
        yield "smtpwire show --connection N prints any one of them, --format json holds all."


def _worth(host: HostCounts) -> tuple[int, ...]:
    return *(host.counts[severity] for severity in SEVERITIES), host.connections


def _within_bounds(choices: list[ChosenConnection]) -> Iterator[tuple[ChosenConnection, bool]]:
    """Each connection, and whether there is room for its rows."""
    room = MAX_PAGE_ROWS
    for choice in choices:
        room -= len(choice.ladder.rows)
        yield choice, room >= 0

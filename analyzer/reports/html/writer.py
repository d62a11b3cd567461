"""The writer of the page: collects a run in bounded memory and writes the page at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rules import RULES
from ..capture_quality import CaptureQuality, read
from ..host_counts import SEVERITIES
from ..output import plural
from ..rule_docs import FAMILIES, paragraphs, scripts
from ..scope import contents, is_restricted, scope
from ..tls_wording import key_logs
from .charts import stack, time_chart
from .counts import NAMED_IDS, PageCounts
from .page import render
from .selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...model import Capture, Connection, Summary
    from ..output import Output
    from .counts import RuleCounts
    from .selection import ChosenConnection

__all__ = ["HtmlWriter"]

# Captures listed one by one, and how many more if they have a problem.
NAMED_CAPTURES, NAMED_PROBLEMS = 12, 100
# Hosts of each role in the tables.
SHOWN_HOSTS = 12
# Rows of all ladders together: about 6 MB of page, which a browser opens without delay.
MAX_PAGE_ROWS = 8000


class HtmlWriter:
    """Writes one self-contained page. Keeps only counts and the connections that the page shows, however long the run
    is."""

    streams = False

    def __init__(self, output: Output, version: str) -> None:
        self._output = output
        self._version = version
        self._captures: list[Capture] = []
        self._quality = CaptureQuality()
        self._counts = PageCounts()
        self._chosen = Selection()

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Count the connection; keep what the page shows of it if it is among the worst."""
        self._quality.count(connection)
        self._counts.connection(connection)
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
            "nothing": contents(summary),
            "scope": scope(summary),
            "restricted": is_restricted(summary),
            "severities": SEVERITIES,
            "rules": list(self._rules(choices)),
            "hosts": self._hosts(),
            "on_the_path": self._counts.by_host.on_the_path,
            "timeline": time_chart(self._counts.timeline),
            "connections": list(_within_bounds(choices)),
            "left_out": list(self._left_out(len(choices))),
            "families": FAMILIES,
            "key_logs": key_logs,
        }

    def _title(self) -> str:
        if len(self._captures) == 1:
            path = self._captures[0].path
            return "standard input" if path == "-" else path
        return plural(len(self._captures), "capture")

    def _named_captures(self) -> list[Capture]:
        named = self._captures[:NAMED_CAPTURES]
        return named + [c for c in self._captures[NAMED_CAPTURES:] if c.problems][:NAMED_PROBLEMS]

    def _rules(self, choices: Sequence[ChosenConnection]) -> Iterator[dict[str, object]]:
        """Return the rules that fired, the most severe and most frequent first."""
        by_rule = self._counts.rules
        most = max((counts.findings for counts in by_rule.values()), default=1)

        def order(rule_id: str) -> tuple[int, int, str]:
            counts = by_rule[rule_id]
            return SEVERITIES.index(counts.severity), -counts.findings, rule_id

        for rule_id in sorted(by_rule, key=order):
            counts = by_rule[rule_id]
            rule = RULES.get(rule_id)
            by_severity = dict.fromkeys(SEVERITIES, 0) | {counts.severity: counts.findings}
            yield {
                "id": rule_id,
                "counts": counts,
                "found_in": list(_found_in(counts, rule_id, choices)),
                "sides": sorted(counts.sides),
                "bar": stack(by_severity, most),
                "title": rule.title if rule else "",
                "reference": rule.reference if rule else "",
                "paragraphs": paragraphs(rule) if rule else [],
                "scripts": list(scripts(rule)) if rule else [],
                "family": FAMILIES.get(rule_id[:3], ""),
            }

    def _hosts(self) -> list[dict[str, object]]:
        """Return, for each role, the hosts with the most and worst faults; the bars of both roles have one scale."""
        ranked = {
            role: sorted(hosts.values(), key=lambda host: host.worth, reverse=True)
            for role, hosts in self._counts.by_host.hosts.items()
        }
        most = max((sum(host.counts.values()) for hosts in ranked.values() for host in hosts), default=0) or 1
        return [
            {
                "role": role,
                "rows": [(host, stack(host.counts, most)) for host in hosts[:SHOWN_HOSTS]],
                "more": max(len(hosts) - SHOWN_HOSTS, 0),
                "uncounted": self._counts.by_host.uncounted[role],
            }
            for role, hosts in ranked.items()
        ]

    def _left_out(self, shown: int) -> Iterator[str]:
        """Return sentences about the connections that are not shown."""
        missing = self._chosen.connections - shown
        if not missing:
            return
        with_findings = self._chosen.with_findings - sum(bool(choice.ladder.rules) for choice in self._chosen)
        parts = []
        if with_findings:
            parts.append(f"{with_findings:,} with findings (other kinds and worse connections are shown first)")
        if missing - with_findings:
            parts.append(f"{missing - with_findings:,} without findings")
        yield f"{plural(missing, 'connection')} not shown: {' and '.join(parts)}. All are counted above."
        yield "smtpwire show --connection N prints one of them, --format json contains all."


def _found_in(counts: RuleCounts, rule_id: str, choices: Sequence[ChosenConnection]) -> Iterator[tuple[int, bool]]:
    """Return ids of connections in which the rule fired, and whether the page shows them: those that it shows first."""
    shown = [choice.ladder.id for choice in choices if rule_id in choice.ladder.rules][:NAMED_IDS]
    yield from ((number, True) for number in shown)
    further = [number for number in counts.ids if number not in {choice.ladder.id for choice in choices}]
    yield from ((number, False) for number in further[: NAMED_IDS - len(shown)])


def _within_bounds(choices: list[ChosenConnection]) -> Iterator[tuple[ChosenConnection, bool]]:
    """Return each connection, and whether there is room for its rows."""
    room = MAX_PAGE_ROWS
    for choice in choices:
        room -= len(choice.ladder.rows)
        if room < 0:
            choice.ladder.leave_out_rows()
        yield choice, room >= 0

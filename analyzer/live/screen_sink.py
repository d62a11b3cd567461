"""A screen for people: rates, the most frequent rules and hosts, and the latest findings."""

from __future__ import annotations

from collections import deque
from io import StringIO
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..model import Summary
from ..reports.output import plural
from ..reports.styled_text import SEVERITIES, SEVERITY_STYLE
from .line_sinks import TextLinesSink, one_line
from .sinks import Sink, Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ..model import Capture, Connection, Finding, Severity
    from ..reports.output import Output

__all__ = ["ScreenSink"]

_LATEST = 200  # findings kept; as many are shown as the screen has room for
_FEWEST = 3  # findings shown on the smallest screen
_NOTICES = 3
_TOP = 8  # rules and hosts shown
_HOSTS = 10_000  # hosts counted; with more, those with one finding are dropped
_OVER_SECONDS = 2.0  # rates are those of the last seconds


class ScreenSink(Sink):
    """Draws on ``console``, or else on standard output."""

    def __init__(self, output: Output, console: Console | None = None) -> None:
        self._name = "-"
        self._lines = TextLinesSink(output)
        self._live = Live(console=console or Console(), auto_refresh=False, transient=False)
        self._rules: dict[str, tuple[str, Severity, int]] = {}
        self._hosts: dict[str, int] = {}
        self._latest: deque[Text] = deque(maxlen=_LATEST)
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._past: deque[tuple[float, Totals]] = deque()
        self._load_all()

    def _load_all(self) -> None:
        """Draw once into memory: Rich loads parts of itself when it first draws, which may be impossible later."""
        nothing = Totals(0, 0, 0, 0, Summary())
        memory = Console(file=StringIO(), force_terminal=True)
        memory.print(Group("→ 漢", self._drawn(monotonic(), nothing)), highlight=False)

    def open(self) -> None:
        """Start to draw."""
        self._live.start()

    def close(self) -> None:
        """Restore the terminal."""
        self._live.stop()

    def reading(self, name: str) -> None:
        """See ``Sink``."""
        self._name = name
        self._lines.reading(name)

    def finding(self, finding: Finding, connection: Connection) -> None:
        """Count the finding, and add it to the latest."""
        _, _, count = self._rules.get(finding.rule, ("", "", 0))
        self._rules[finding.rule] = finding.name, finding.severity, count + 1
        end = connection.server if finding.side == "server" else connection.client
        self._hosts[end.address] = self._hosts.get(end.address, 0) + 1
        if len(self._hosts) > _HOSTS:
            self._hosts = {host: count for host, count in self._hosts.items() if count > 1}
        self._latest.append(
            Text.assemble(*((text, style) for style, text in one_line(finding, connection, self._name)))
        )

    def ended(self, connection: Connection) -> None:
        """Count the connection for the summary."""
        self._lines.ended(connection)

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """Print above the screen, where the text stays."""
        self._live.console.print(f"{time[11:19]} {plural(len(connections), 'open connection')}", highlight=False)

    def notice(self, text: str) -> None:
        """Show the notice on the screen."""
        self._notices.append(text)

    def tick(self, totals: Totals) -> None:
        """Redraw the screen."""
        now = monotonic()
        self._past.append((now, totals._replace(summary=totals.summary)))
        while now - self._past[0][0] > _OVER_SECONDS and len(self._past) > 1:
            self._past.popleft()
        self._live.update(self._drawn(now, totals), refresh=True)

    def capture(self, capture: Capture) -> None:
        """Print below the screen, at the end."""
        self._live.stop()
        self._lines.capture(capture)

    def finish(self, summary: Summary) -> None:
        """Print the summary, which stays after the screen is gone."""
        self._live.stop()
        self._lines.finish(summary)

    def _drawn(self, now: float, totals: Totals) -> RenderableType:
        then, before = self._past[0] if self._past else (now, totals)
        seconds = max(now - then, 0.001)
        rate = (totals.frames - before.frames) / seconds
        octets = (totals.octets - before.octets) / seconds
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._name, "bold"),
            f"{rate:,.0f} frames/s",
            f"{octets * 8 / 1e6:,.1f} Mbit/s",
            f"{totals.open:,} open",
            f"{totals.summary.connections:,} ended",
            f"{totals.summary.messages:,} messages",
            Text(f"{totals.dropped:,} dropped", "bold red" if totals.dropped else "dim"),
        )
        counts = Table.grid(padding=(0, 2))
        for severity, many in SEVERITIES:
            count = sum(n for _, kind, n in self._rules.values() if kind == severity)
            counts.add_row(Text(plural(count, severity, many), SEVERITY_STYLE[severity] if count else "dim"))
        rules, hosts = Table.grid(padding=(0, 1)), Table.grid(padding=(0, 1))
        for rule, (name, severity, count) in sorted(self._rules.items(), key=lambda item: -item[1][2])[:_TOP]:
            rules.add_row(Text(f"{count:>7,}"), Text(rule, SEVERITY_STYLE[severity]), Text(name))
        for host, count in sorted(self._hosts.items(), key=lambda item: -item[1])[:_TOP]:
            hosts.add_row(Text(f"{count:>7,}"), Text(host))
        columns = Table.grid(padding=(0, 4))
        columns.add_row(counts, rules, hosts)
        used = 3 + max(len(SEVERITIES), rules.row_count, hosts.row_count) + len(self._notices)
        room = max(self._live.console.height - 1 - used, _FEWEST)
        latest = list(self._latest)[-room:] or [Text("no findings yet", "dim")]
        for line in latest:
            line.no_wrap, line.overflow = True, "ellipsis"
        notices = [Text(text, "yellow") for text in self._notices]
        return Group(head, Text(), columns, Text(), *latest, *notices)

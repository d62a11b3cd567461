"""The report for people: first how complete the captures are, then the findings of each connection, causes first."""

# "No findings" means something only if the capture contains the whole conversation, so the report starts with what the
# captures do not contain. Everything is printed at the end of the run. Until then only one connection of each kind is
# kept, without its dialogue.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from .capture_quality import CaptureQuality, is_unread, read
from .grouping import MAX_GROUPS, MAX_HOSTS, ConnectionGroup, FoldedFinding, alike, fold
from .host_counts import HostTally
from .output import Output, plural
from .ranking import LONG_REPORT, ranked_hosts, ranked_rules
from .scope import contents, is_restricted, scope
from .styled_text import SEVERITIES, SEVERITY_STYLE, SIDE_STYLE, Line, clip, paint, wrapped
from .tls_wording import key_logs, tls_lines
from .wording import frame, place, remarks, where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..model import Capture, Connection, Endpoint, Finding, Part, Summary

__all__ = ["TextWriter", "address", "heading", "tls_session", "when"]

# Captures that are listed one by one; a directory of rotated files may contain thousands.
NAMED_CAPTURES = 12
# Frames listed for findings that are folded into one.
NAMED_FRAMES = 8


class TextWriter:
    """Collects one connection of each kind and prints the report at the end of the run."""

    streams = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._captures: list[Capture] = []
        self._groups: dict[tuple[object, ...], ConnectionGroup] = {}
        self._unlisted = 0
        self._paths: set[str] = set()
        self._names: dict[str, str] = {}
        self._quality = CaptureQuality()
        self._hosts = HostTally()

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Count the connection; keep it only if it is the first of its kind."""
        self._quality.count(connection)
        if len(self._paths) < MAX_GROUPS:
            self._paths.update(part.path for part in connection.captures)
        self._hosts.connection(connection)
        if not connection.findings:
            return
        for finding in connection.findings:
            self._names[finding.rule] = finding.name
        kind = alike(connection)
        group = self._groups.get(kind)
        if group is not None:
            group.add(connection)
        elif len(self._groups) < MAX_GROUPS:
            self._groups[kind] = ConnectionGroup(replace(connection, dialogue=[], messages=[]))
        else:
            self._unlisted += 1

    def finish(self, summary: Summary) -> None:
        """Print the report."""
        paint(self._output, self._lines(summary))

    def _has_shown(self, capture: Capture) -> bool:
        """Whether a connection in ``capture`` is reported, or may be: of many captures not all are remembered."""
        return capture.path in self._paths or len(self._paths) >= MAX_GROUPS

    def _lines(self, summary: Summary) -> Iterator[Line]:
        yield from _captures([one for one in self._captures if not summary.filtered or self._has_shown(one)])
        if self._captures and all(map(is_unread, self._captures)):
            return  # nothing was read, and the reason is printed
        nothing = contents(summary)
        if nothing is not None:
            yield from wrapped(nothing, self._output.width, "  ", "bold yellow", first="")
        if self._quality.connections:
            yield from _quality(self._quality)
        for group in sorted(self._groups.values(), key=lambda group: group.first.id):
            yield []
            yield from _connection(group, self._output.width, several=len(self._captures) > 1)
        if self._unlisted:
            yield []
            yield [("dim", f"Not listed: {plural(self._unlisted, 'more connection')} with findings of other kinds.")]
        if nothing is None:
            yield []
            yield from _summary(summary, self._names)
        if sum(summary.findings.values()) > LONG_REPORT:
            yield from ranked_hosts(self._hosts, self._output.width)
        for said in scope(summary):
            yield from wrapped(said, self._output.width, "  ", "yellow", first="")


def _quality(quality: CaptureQuality) -> Iterator[Line]:
    yield [("bold", plural(quality.connections, "connection"))]
    whole = "all" if quality.is_whole else f"{quality.whole:,}"
    yield [("", f"  {whole} {quality.completeness}")]
    for count, what in quality.limitations():
        yield [("" if quality.is_whole else "yellow", f"  {count:,} {what}")]


def _captures(captures: Sequence[Capture]) -> Iterator[Line]:
    if len(captures) > NAMED_CAPTURES:
        frames, size = sum(c.frames for c in captures), sum(c.bytes for c in captures)
        yield [("bold", f"{plural(len(captures), 'capture')}: {plural(frames, 'frame')}, {plural(size, 'byte')}")]
    for number, capture in enumerate(captures):
        # After the first few, only captures that have a problem are named.
        if number < NAMED_CAPTURES or capture.problems:
            yield [("bold", capture.path), ("", f": {read(capture)}")]
            if capture.first and capture.last:
                yield [("dim", f"  {when(capture.first)} to {when(capture.last)} UTC")]
            if capture.key_logs:
                yield [("dim", f"  {key_logs(capture.key_logs)}")]
        for problem in capture.problems:
            yield [("yellow", f"  ! {problem}")]


def heading(connection: Connection, width: int, *, several: bool) -> Iterator[Line]:
    """Return the heading of a connection in the report. ``several``: more than one capture was read, so the heading
    names them."""
    yield [
        ("bold", f"#{connection.id} "),
        (SIDE_STYLE["client"], address(connection.client)),
        ("", " → "),
        (SIDE_STYLE["server"], address(connection.server)),
        ("", f" {connection.profile}"),
    ]
    if several:
        yield from wrapped(where(connection.captures), width, "  ", "dim")


def tls_session(connection: Connection, width: int) -> Iterator[Line]:
    """Return what is known of TLS in a connection."""
    if connection.tls_session is not UNSET:
        for text in tls_lines(connection.tls_session):
            yield from wrapped(text, width, "    ", "dim", first="  ")


def address(end: Endpoint) -> str:
    """Return address and port: ``192.0.2.1:25``, ``[2001:db8::1]:25``."""
    return f"[{end.address}]:{end.port}" if ":" in end.address else f"{end.address}:{end.port}"


def when(time: str) -> str:
    """Return an RFC 3339 time in a readable form, to the second."""
    return time[:19].replace("T", " ")


def _connection(group: ConnectionGroup, width: int, *, several: bool) -> Iterator[Line]:
    connection = group.first
    yield from heading(connection, width, several=several)
    yield from tls_session(connection, width)
    if group.count > 1:
        yield from wrapped(_others(group), width, "  ", "dim")
    for note in connection.notes:
        yield from wrapped(note, width, "    ", "yellow", first="  ! ")
    for one in fold(connection.findings):
        yield []
        yield from _fold(one, connection.captures, width, "  ")


def _others(group: ConnectionGroup) -> str:
    named = ", ".join(f"#{number}" for number in group.ids)
    more = group.count - 1 - len(group.ids)
    rest = f" and {more:,} more" if more else ""
    has = "has" if group.count == 2 else "have"
    hosts = f"in all {_hosts(group.clients, 'client')} and {_hosts(group.servers, 'server')}"
    return f"{plural(group.count - 1, 'more connection')} {has} the same findings ({hosts}): {named}{rest}"


def _hosts(hosts: set[str], word: str) -> str:
    return ("at least " if len(hosts) == MAX_HOSTS else "") + plural(len(hosts), word)


def _fold(one: FoldedFinding, parts: Sequence[Part], width: int, indent: str) -> Iterator[Line]:
    finding = one.finding
    yield [("", indent), *_label(finding), ("dim", f"  {place(finding, parts)}")]
    if finding.evidence:
        bar = f"{indent}  │ "
        yield [("dim", bar), ("", clip(finding.evidence, width - len(bar)))]
    yield from wrapped(finding.message, width, indent + "  ")
    yield from wrapped(" · ".join(remarks(finding)), width, indent + "  ", "dim")
    if one.again:
        frames = ", ".join(frame(f, parts) for f in one.again[:NAMED_FRAMES])
        rest = f" and {len(one.again) - NAMED_FRAMES:,} more" if len(one.again) > NAMED_FRAMES else ""
        word = "frame" if len(one.again) == 1 else "frames"
        yield from wrapped(
            f"The same {_times(len(one.again))} more: {word} {frames}{rest}", width, indent + "  ", "dim"
        )
    for consequence in one.follows:
        yield from _consequence(consequence, parts, width, indent + "  ")


def _consequence(one: FoldedFinding, parts: Sequence[Part], width: int, indent: str) -> Iterator[Line]:
    """In short form: its cause, which is listed above it, is what must be fixed."""
    finding = one.finding
    again = f", {_times(len(one.again))} more" if one.again else ""
    yield [("", f"{indent}└ "), *_label(finding), ("dim", f"  {place(finding, parts)}{again}")]
    yield from wrapped(finding.message, width, indent + "    ")
    yield from wrapped(" · ".join(remarks(finding)), width, indent + "    ", "dim")


def _label(finding: Finding) -> Line:
    style = SEVERITY_STYLE[finding.severity]
    return [
        (style, f"{finding.severity} {finding.rule}"),
        ("", f" {finding.name} ("),
        (SIDE_STYLE[finding.side], finding.side),
        ("", ")"),
    ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _summary(summary: Summary, names: dict[str, str]) -> Iterator[Line]:
    seen = f"{plural(summary.connections, 'connection')} and {plural(summary.messages, 'message')}"
    counts = summary.findings
    if not any(counts.values()):
        yield [("bold yellow" if is_restricted(summary) else "bold green", "No findings"), ("", f" in {seen}.")]
        return
    error, warning, info = (
        (SEVERITY_STYLE[severity] if counts[severity] else "dim", plural(counts[severity], severity, many))
        for severity, many in SEVERITIES
    )
    yield [error, ("", ", "), warning, ("", " and "), info, ("", f" in {seen}:")]
    yield from ranked_rules(summary.rules, names)

"""The report as Markdown for a ticket or a pull request: what was read, what was found, and where."""

# Text from the wire must stay text: no markup, no link, no mention of an account. Backslashes do not protect against
# everything that the common renderers do with plain text (addresses and URLs become links, @names and #numbers too);
# code spans do, unless the fence of one is so long that the renderer does not know it (80 backticks in those of the
# forges). So quoted bytes are in code spans, and in a sentence so is each word that contains anything but
# letters, digits and plain punctuation. This also reads well: these words are addresses and commands.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from .capture_quality import CaptureQuality, read
from .grouping import ConnectionGroup, FoldedFinding, alike, fold
from .output import Output, plural
from .scope import contents, scope
from .styled_text import SEVERITIES
from .text import address, when
from .tls_wording import key_logs, tls_lines
from .wording import place, remarks, where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..model import Capture, Connection, Finding, Part, Summary

__all__ = ["MarkdownWriter", "code", "prose"]

# A comment on the usual forges may have 65,536 characters; the text after the connections needs a few.
MAX_CHARACTERS = 64_000
MAX_GROUPS, MAX_FOLDS, MAX_CAPTURES = 100, 20, 20
# Characters of one quotation or sentence.
MAX_TEXT = 300
# Words that have no special meaning to any renderer.
_PLAIN = re.compile(r"[\"'(§]*+(?:[A-Za-z0-9§](?:[A-Za-z0-9.,:;=/%'+-]*[A-Za-z0-9%])?)?[\"')]*+[.,:;?!]?[\")]*+|[-–·…]")
_LINKED = re.compile(r"://|www\.|gh-[0-9]", re.IGNORECASE)
# What would start a list at the start of a line.
_BULLET = re.compile(r"[-–·…]|[0-9]+[.)]")
_TICKS = re.compile("`+")
MAX_TICKS = 8  # backticks in a row that are shown as such; longer rows are shown as escapes


class MarkdownWriter:
    """Collects one connection of each kind and writes the report at the end of the run."""

    streams = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._captures: list[Capture] = []
        self._quality = CaptureQuality()
        self._groups: dict[tuple[object, ...], ConnectionGroup] = {}
        self._unlisted = 0
        self._names: dict[str, str] = {}

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Count the connection; keep it only if it is the first of its kind."""
        self._quality.count(connection)
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
        """Write the report."""
        parts = ["".join(line + "\n" for line in self._top(summary))]
        unlisted = self._unlisted
        room = MAX_CHARACTERS - len(parts[0])
        for group in sorted(self._groups.values(), key=lambda group: group.first.id):
            several = len(self._captures) > 1
            part = "".join(line + "\n" for line in _connection(group, several=several))
            room -= len(part)
            if room >= 0:
                parts.append(part)
            else:
                unlisted += group.count
        if unlisted:
            parts.append(f"\nNot listed: {plural(unlisted, 'more connection')} with findings of other kinds.\n")
        self._output.text("".join(parts))

    def _top(self, summary: Summary) -> Iterator[str]:
        counts = ", ".join(plural(summary.findings[one], one, many) for one, many in SEVERITIES)
        yield "## SMTP audit"
        yield ""
        nothing = contents(summary)
        yield f"**{counts}** in {_seen(summary)}." if nothing is None else f"**{prose(nothing)}**"
        yield ""
        yield from self._seen()
        yield from (f"- **!** {prose(text)}" for text in scope(summary))
        if summary.rules:
            yield ""
            yield from self._rules(summary)

    def _seen(self) -> Iterator[str]:
        yield "| capture | read | from | to (UTC) |"
        yield "|---|---|---|---|"
        for capture in self._captures[:MAX_CAPTURES]:
            times = [when(time) if time else "" for time in (capture.first, capture.last)]
            yield f"| {' | '.join([_cell(capture.path), read(capture), *times])} |"
        if len(self._captures) > MAX_CAPTURES:
            yield f"| {len(self._captures) - MAX_CAPTURES:,} more | | | |"
        yield ""
        for capture in [c for c in self._captures if c.key_logs][:MAX_CAPTURES]:
            yield f"- {code(capture.path)}: {prose(key_logs(capture.key_logs))}"
        for capture in [c for c in self._captures if c.problems][:MAX_CAPTURES]:
            for problem in capture.problems:
                yield f"- **!** {code(capture.path)}: {prose(problem)}"
        quality = self._quality
        if not quality.connections:
            return
        if quality.is_whole:
            yield f"- All connections are {quality.completeness}."
            yield from (f"- {count:,} {what}" for count, what in quality.limitations())
        else:
            yield f"- {quality.whole:,} of {plural(quality.connections, 'connection')} {quality.completeness}"
            yield from (f"- **!** {count:,} {what}" for count, what in quality.limitations())

    def _rules(self, summary: Summary) -> Iterator[str]:
        yield "| rule | | findings |"
        yield "|---|---|---:|"
        for rule, count in sorted(summary.rules.items(), key=lambda item: (-item[1], item[0])):
            yield f"| {rule} | {self._names.get(rule, '')} | {count:,} |"


def code(text: str) -> str:
    """Return ``text`` as a code span, in which nothing is markup. If it contains backticks, the fence has more."""
    shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    shown = _TICKS.sub(lambda row: row[0] if len(row[0]) <= MAX_TICKS else r"\x60" * len(row[0]), shown)
    if not shown.strip():
        return f"`{shown or ' '}`"
    longest = max((len(ticks) for ticks in _TICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    # The renderer removes one blank at each end. The blanks keep backticks apart from the fence and keep blanks of the
    # text.
    pad = " " if longest or shown[0] == " " == shown[-1] else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str) -> str:
    """Return a sentence in which words that could be markup, a link or a mention are code spans."""
    shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    words = [word if _PLAIN.fullmatch(word) and not _LINKED.search(word) else code(word) for word in shown.split()]
    if words and _BULLET.fullmatch(words[0]):
        words[0] = code(words[0])
    return " ".join(words)


def _cell(text: str) -> str:
    """Return a code span for a table, where a bar would end the cell even inside code. A backslash before it would not
    help if the text has another one before the bar."""
    return code(text.replace("|", r"\x7c"))


def _seen(summary: Summary) -> str:
    return f"{plural(summary.connections, 'connection')} and {plural(summary.messages, 'message')}"


def _connection(group: ConnectionGroup, *, several: bool) -> Iterator[str]:
    connection = group.first
    client, server = code(address(connection.client)), code(address(connection.server))
    yield ""
    yield f"### Connection {connection.id}: {client} → {server}"
    yield ""
    others = f", {plural(group.count - 1, 'more connection')} with the same findings" if group.count > 1 else ""
    location = f", {prose(where(connection.captures))}" if several and connection.captures else ""
    yield f"{connection.profile}, started {when(connection.started)} UTC{location}{others}"
    yield ""
    if connection.tls_session is not UNSET:
        yield from (f"- {prose(text)}" for text in tls_lines(connection.tls_session))
    for note in connection.notes[:MAX_FOLDS]:
        yield f"- **!** {prose(note)}"
    folds = fold(connection.findings)
    for one in folds[:MAX_FOLDS]:
        yield from _fold(one, connection.captures, "")
    if len(folds) > MAX_FOLDS:
        yield f"- {plural(len(folds) - MAX_FOLDS, 'more finding')} of this connection"


def _fold(one: FoldedFinding, parts: Sequence[Part], indent: str) -> Iterator[str]:
    finding = one.finding
    again = f" and {plural(len(one.again), 'more')}" if one.again else ""
    yield f"{indent}- {_label(finding)}, {prose(place(finding, parts))}{again}  "
    said = [prose(finding.message), *map(prose, remarks(finding))]
    if finding.evidence:
        yield f"{indent}  {code(finding.evidence)}  "
    yield f"{indent}  {said[0]}" + (f" ({'; '.join(said[1:])})" if said[1:] else "")
    for consequence in one.follows[:MAX_FOLDS]:
        yield from _fold(consequence, parts, indent + "  ")
    if len(one.follows) > MAX_FOLDS:
        yield f"{indent}  - {plural(len(one.follows) - MAX_FOLDS, 'more finding')} that follow from it"


def _label(finding: Finding) -> str:
    return f"**{finding.severity} {finding.rule}** {finding.name} ({finding.side})"

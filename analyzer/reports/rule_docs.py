"""Rules explained for a terminal, as JSON, and as docs/rules.md (``-m smtpwire.analyzer.reports.rule_docs``)."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING

import msgspec

from ..rules import RULES, example_of, readable
from .styled_text import SEVERITY_STYLE, SIDE_STYLE, Line, paint, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..rules import Rule
    from .output import Output

__all__ = [
    "FAMILIES",
    "as_json",
    "as_list",
    "as_markdown",
    "as_table",
    "as_text",
    "document",
    "facts",
    "fixes",
    "json_array",
    "paragraphs",
    "scripts",
]

FAMILIES = {
    "SEQ": "Order of commands and replies",
    "BIT": "Bytes above 127, NUL, bare CR and LF",
    "CMD": "Grammar of commands",
    "RPL": "Replies",
    "EXT": "What was offered",
    "SEC": "Security",
    "MSG": "Messages",
    "TIM": "Time",
    "TCP": "The connection and the capture",
    "LEN": "Lengths",
}

_PREAMBLE = """\
# Rules

Generated from the rules by `python -m smtpwire.analyzer.reports.rule_docs > docs/rules.md`;
`smtpwire rule SEQ101` prints the same for one rule.

An **error** breaks a MUST of an RFC or its grammar, or is an attack that is visible as such. A **warning** breaks a
SHOULD, is a strong sign of an attack, or breaks a MUST where the fault may be that of somebody who is not seen here,
such as the author of a message that the client only passes on. An **info** is permitted, or only discouraged, but worth
knowing. A rule that departs from this says so in its text. The side is the one at fault; `path` is a middlebox or the
capture itself. A profile is a set of rules. It is chosen for each connection by its behaviour and its port, or given
with `--profile`.

Who breaks first is reported first: what only follows from a finding is reported under it, with the number of its cause.
One fact is one finding: where a client or server repeats it, the finding says how often.

In the examples `C:` is a line of the client and `S:` a line of the server. Each line ends with CRLF unless it ends
with a backslash. `\\xNN` is a byte, `\\r` and `\\n` are CR and LF. Successive lines of one side were sent without
waiting for the other side.
"""


# Who can do something, and what: to the end of the paragraph, or to the next one who can.
_FIX = re.compile(r"Fix the ([a-z ]+): (.*?)(?=\s+Fix the [a-z ]+: |$)")


def as_text(rules: Sequence[Rule], output: Output) -> None:
    """Write the rules for people."""
    paint(output, _text(rules, output.width))


def as_list(rules: Sequence[Rule], output: Output) -> None:
    """Write one line for each rule: id, severity, side and title, which goes on in the next line if it is long."""
    paint(output, (line for rule in rules for line in _listed(rule, output.width)))


def _listed(rule: Rule, width: int) -> Iterator[Line]:
    facts = f"{rule.severity:8}{rule.side:7} "
    room = width - len(rule.id) - len(facts) - 1
    first, *more = textwrap.wrap(rule.title, max(room, 20), break_on_hyphens=False) or [""]
    severity, side = SEVERITY_STYLE[rule.severity], SIDE_STYLE[rule.side]
    yield [("bold", f"{rule.id} "), (severity, facts[:8]), (side, facts[8:]), ("", first)]
    for line in more:
        yield [("", " " * (width - room) + line)]


def _text(rules: Sequence[Rule], width: int) -> Iterator[Line]:
    for number, rule in enumerate(rules):
        if number:
            yield []
        yield [("bold", f"{rule.id} {rule.name}")]
        yield from wrapped(f"{rule.title}.", width, "  ", "bold")
        yield [
            *[("", "  "), (SEVERITY_STYLE[rule.severity], rule.severity)],
            *[("", ", fault of the "), (SIDE_STYLE[rule.side], rule.side)],
        ]
        for profile, severity in rule.severities:
            yield [("", f"  {severity} in profile {profile}")]
        if rule.reference:
            yield from wrapped(rule.reference, width, "  ", "dim")
        for paragraph in _without_fixes(rule):
            yield []
            yield from wrapped(paragraph, width, "  ")
        yield from _fix_lines(rule, width)
        for heading, script in scripts(rule):
            yield []
            yield [("bold", f"  {heading}:")]
            for line in script:
                yield [(_style(line), f"    {line}")]


def _fix_lines(rule: Rule, width: int) -> Iterator[Line]:
    found = fixes(rule)
    if found:
        yield []
        yield [("bold", "  How to fix it:")]
    for who, what in found.items():
        yield from wrapped(f"{who}: {what}", width, "      ", first="    ")


def _style(line: str) -> str:
    return SIDE_STYLE["client"] if line[:1] == "C" else SIDE_STYLE["server"] if line[:1] == "S" else "dim"


def paragraphs(rule: Rule) -> list[str]:
    """Return the explanation of a rule, each paragraph on one line."""
    return [" ".join(part.split()) for part in rule.explanation.split("\n\n") if part.strip()]


def fixes(rule: Rule) -> dict[str, str]:
    """Return what to do, by who can do it: the sentences ``Fix the client: ...`` of the explanation."""
    found: dict[str, str] = {}
    for who, what in _FIX.findall(" ".join(paragraphs(rule))):
        found[who] = f"{found[who]} {what}" if who in found else what
    return found


def _without_fixes(rule: Rule) -> list[str]:
    """Return the explanation without what ``fixes`` returns."""
    return [rest for rest in (_FIX.sub("", paragraph).strip() for paragraph in paragraphs(rule)) if rest]


def scripts(rule: Rule) -> Iterator[tuple[str, list[str]]]:
    """Return the examples of a rule, each with a heading: the dialogue in which it fires and the nearest in which it
    does not."""
    example = example_of(rule.id)
    if example is None:
        return
    where = "".join(
        [
            f", server port {example.port}" if example.port != 25 else "",
            f", profile {example.profile}" if example.profile else "",
        ]
    )
    yield f"Fires{where}", readable(example.fires)
    yield f"Does not fire{where}", readable(example.silent)


def as_json(rules: Iterable[Rule]) -> str:
    """Return a JSON array with an object for each rule."""
    return json_array(facts(rule) for rule in rules)


def json_array(values: Iterable[object]) -> str:
    """Return a JSON array for people to read too."""
    return msgspec.json.format(msgspec.json.encode(list(values)), indent=1).decode() + "\n"


def facts(rule: Rule) -> dict[str, object]:
    """Return all facts about a rule, as JSON has them."""
    example = example_of(rule.id)
    return {
        "id": rule.id,
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "severities": dict(rule.severities),
        "side": rule.side,
        "reference": rule.reference,
        "explanation": "\n\n".join(paragraphs(rule)),
        "fixes": fixes(rule),
        "hides": sorted(rule.hides),
        "example": None
        if example is None
        else {
            "profile": example.profile,
            "port": example.port,
            "fires": list(example.fires),
            "silent": list(example.silent),
        },
    }


def as_markdown(rules: Iterable[Rule]) -> str:
    """Return a section for each rule."""
    return "\n".join(line for rule in rules for line in _markdown(rule))


def _markdown(rule: Rule) -> Iterator[str]:
    yield f"### {rule.id} {rule.name}\n"
    yield f"**{_literal(rule.title)}**\n"
    facts = [f"{rule.severity}, {rule.side}", *(f"{severity} in profile {p}" for p, severity in rule.severities)]
    if rule.reference:
        facts.append(rule.reference)
    yield " · ".join(facts) + "\n"
    for paragraph in _without_fixes(rule):
        yield textwrap.fill(_literal(paragraph), 118, break_on_hyphens=False, break_long_words=False) + "\n"
    found = fixes(rule)
    if found:
        yield "How to fix it:\n"
        yield "".join(f"- {who}: {_literal(what)}\n" for who, what in found.items())
    for heading, script in scripts(rule):
        yield f"{heading}:\n"
        yield "".join(f"    {line}\n" for line in script)


def as_table(rules: Iterable[Rule], link: str = "{id} {name}") -> str:
    """Return a table of Markdown with a row for each rule. ``link``: what the first cell holds, with ``{id}``,
    ``{name}`` and ``{anchor}``, its anchor in docs/rules.md."""
    lines = ["| rule | severity | side | |", "|---|---|---|---|"]
    for rule in rules:
        word = link.format(id=rule.id, name=rule.name, anchor=f"{rule.id.lower()}-{rule.name}")
        lines.append(f"| {word} | {rule.severity} | {rule.side} | {_cell(rule.title)} |")
    return "\n".join(lines) + "\n"


def document(rules: Iterable[Rule]) -> str:
    """Return the whole of docs/rules.md: a table of contents by family, then each rule."""
    families: dict[str, list[Rule]] = {family: [] for family in FAMILIES}
    for rule in sorted(rules, key=lambda r: r.id):
        families.setdefault(rule.family, []).append(rule)
    known = {family: members for family, members in families.items() if members}
    parts = [_PREAMBLE]
    for family, members in known.items():
        parts.append(f"**{family}: {FAMILIES.get(family, 'other rules')}**\n")
        parts.append(as_table(members, "[{id}](#{anchor})"))
    for family, members in known.items():
        parts.append(f"## {family}: {FAMILIES.get(family, 'other rules')}\n")
        parts.append(as_markdown(members))
    return "\n".join(parts).rstrip() + "\n"


def _literal(text: str) -> str:
    """Escape prose so that brackets and stars are not HTML or emphasis; code in backticks stays as it is."""
    parts = text.split("`")
    return "`".join(part if n % 2 else re.sub(r"([<*])", r"\\\1", part) for n, part in enumerate(parts))


def _cell(text: str) -> str:
    return _literal(text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document(RULES.values()))

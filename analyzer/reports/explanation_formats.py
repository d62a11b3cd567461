"""Explanations of words of SMTP for a terminal, as JSON and as Markdown; the tables of codes and of commands too."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from .styled_text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .explanations import Explanation, Fact, TableRow
    from .styled_text import Line

__all__ = ["explanation_lines", "explanation_markdown", "table_lines", "table_markdown"]


def explanation_lines(explanation: Explanation, width: int) -> Iterator[Line]:
    """Return one explanation for people."""
    yield [("bold", explanation.word), ("dim", f"  {explanation.kind}")]
    yield from wrapped(f"{explanation.meaning[:1].upper()}{explanation.meaning[1:]}.", width, "  ", "bold")
    if explanation.reference:
        yield from wrapped(explanation.reference, width, "  ", "dim")
    if explanation.facts:
        yield []
    room = max((len(fact.name) for fact in explanation.facts), default=0) + 4
    for fact in explanation.facts:
        yield from wrapped(_said(fact), width, " " * room, first=f"  {fact.name}".ljust(room))
        longest = max((len(item.word) for item in fact.items), default=0) + room + 2
        for item in fact.items:
            start = f"{' ' * room}{item.word}"
            yield from wrapped(item.meaning, width, " " * longest, first=start.ljust(longest))


def _said(fact: Fact) -> str:
    if not fact.reference:
        return fact.text
    return f"{fact.text} ({fact.reference})" if fact.text else fact.reference


def table_lines(rows: Sequence[TableRow]) -> Iterator[Line]:
    """Return a line for each row, in groups; each ends with the document that brought the word, or discourages it."""
    for number, (heading, group) in enumerate(groupby(rows, _group)):
        members = list(group)
        if number:
            yield []
        yield [("bold", heading)]
        words = max(len(row.word) for row in members)
        meanings = max(len(row.meaning) for row in members)
        for row in members:
            yield [
                ("bold", f"  {row.word:{words}}"),
                ("", f"  {row.meaning:{meanings}}"),
                ("dim", f"  {row.retired or row.since}"),
            ]


def _group(row: TableRow) -> str:
    if row.since != "RFC 821":
        return "Later, and the document that added it"
    return "RFC 821, and the section that discourages it now" if row.retired else "RFC 821"


def explanation_markdown(explanation: Explanation) -> str:
    """Return a section of Markdown."""
    reference = f" · {explanation.reference}" if explanation.reference else ""
    lines = [f"### {explanation.word}\n", f"**{explanation.meaning}**\n", f"{explanation.kind}{reference}\n"]
    for fact in explanation.facts:
        said = _said(fact).replace("<", "\\<")
        lines.append(textwrap.fill(f"- **{fact.name}** {said}", 118, subsequent_indent="  "))
        lines += [f"  - `{item.word}` {item.meaning}" for item in fact.items]
    return "\n".join(lines) + "\n"


def table_markdown(rows: Iterable[TableRow]) -> str:
    """Return a table of Markdown."""
    lines = ["| | | reference | since | discouraged by |", "|---|---|---|---|---|"]
    lines += [f"| {row.word} | {row.meaning} | {row.reference} | {row.since} | {row.retired} |" for row in rows]
    return "\n".join(lines) + "\n"

"""``smtpwire explain``: what a word of SMTP means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from ...dissectors.lines.commands import parse_command
from ..console import notice
from ..errors import UsageError, display_path, nearest
from .option_types import DescriptionFormat, complete_words
from .options import description_format_option
from .pager import paged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..reports.explanations import Explanation, TableRow
    from ..reports.output import Output
    from ..rules import Rule

__all__ = ["explain"]

# A command with two words (RFC 5321 §4.1.1.2, §4.1.1.3).
_TWO_WORDS = re.compile(r"\b(MAIL|SEND|SOML|SAML|RCPT) (?:FROM|TO)\b:?", re.IGNORECASE)
# Codes in a line of a reply or a log (RFC 5321 §4.2, RFC 2034 §4), no parts of words, addresses, versions or times.
_CODE = re.compile(r"(?<![0-9A-Za-z.:\[/])(?:[245]\.[0-9]{1,3}\.[0-9]{1,3}|[2-5][0-9]{2})(?![0-9:/\]]|\.[0-9])")


@click.command(short_help="Explain reply codes, commands, keywords of EHLO, and rules.")
@click.argument("words", metavar="[WORD]...", nargs=-1, shell_complete=complete_words)
@click.option("--codes", is_flag=True, help="Print the table of reply codes, with the RFC that added each.")
@click.option("--verbs", is_flag=True, help="Print the table of commands, with the RFC that added each.")
@description_format_option
def explain(words: Sequence[str], codes: bool, verbs: bool, format_: DescriptionFormat) -> int:
    """Explain words of SMTP: what each means, who may send it and when, and the section of the RFC.

    WORD is a reply code (451), an enhanced status code (5.7.1, 5.7, X.7.1), a command (RCPT, MAIL FROM), a keyword of
    EHLO (8BITMIME), a parameter of MAIL or RCPT (NOTIFY), or a rule (SEQ101). A line of a reply in quotation marks is
    read for its codes: "550 5.7.1 no relaying".
    """
    from ..reports.explanations import code_rows, verb_rows  # noqa: PLC0415
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    rows = (code_rows() if codes else []) + (verb_rows() if verbs else [])
    wanted = _split(words)
    if bool(rows) is bool(wanted):
        what = "words and a table together" if rows else "no word is given"
        raise UsageError(what, "smtpwire explain", "give words, for example 451 RCPT, or --codes, or --verbs")
    load_plugins(notice)
    meanings = [one for word in wanted for one in _meanings(word)]
    with paged() as out:
        if rows:
            _print_table(rows, out, format_)
        else:
            _print_meanings(meanings, out, format_)
    return 0


def _split(words: Sequence[str]) -> list[str]:
    """Return the single words. Of a line of a reply, or of a log with a reply in it (one argument), these are its
    codes, of a command (``MAIL FROM:<a@b> SIZE=5``) its verb and the names of its parameters."""
    lines = [_codes_of(word) or word for word in words]
    text = _TWO_WORDS.sub(r"\1 ", " ".join(lines))
    return [word.partition("=")[0] for word in text.replace(",", " ").split() if word[0] != "<"]


def _codes_of(line: str) -> str:
    """Return the codes in a line of a reply or a log, each once; nothing if it has none, or is a command."""
    if parse_command(line.encode("latin-1", "replace")).spec is not None:
        return ""
    return " ".join(dict.fromkeys(_CODE.findall(line)))


def _meanings(word: str) -> list[Explanation | Rule]:
    """Return all meanings of ``word``. Raises UsageError, with the nearest known words, if it has none."""
    from ..reports.explanations import explained, known_words  # noqa: PLC0415
    from ..rules import RULES  # noqa: PLC0415

    found: list[Explanation | Rule] = [*explained(word)]
    found += [r for r in RULES.values() if word.upper() == r.id or word.lower() == r.name]
    if found:
        return found
    upper, names = word.upper(), [rule.name for rule in RULES.values()]
    near = [nearest(upper, known_words()), nearest(upper, [*RULES]), nearest(word.lower(), names)]
    known = list(dict.fromkeys(filter(None, near)))
    hint = f"did you mean {' or '.join(known)}?" if known else "--codes and --verbs list codes and commands"
    raise UsageError("no such code, command, keyword or rule", display_path(word) or "''", hint)


def _print_table(rows: Sequence[TableRow], out: Output, format_: DescriptionFormat) -> None:
    from ..reports.explanation_formats import table_lines, table_markdown  # noqa: PLC0415
    from ..reports.rule_docs import json_array  # noqa: PLC0415
    from ..reports.styled_text import paint  # noqa: PLC0415

    match format_:
        case DescriptionFormat.JSON:
            out.text(json_array(rows))
        case DescriptionFormat.MARKDOWN:
            out.text(table_markdown(rows))
        case DescriptionFormat.TEXT:
            paint(out, table_lines(rows))


def _print_meanings(found: Sequence[Explanation | Rule], out: Output, format_: DescriptionFormat) -> None:
    from ..reports.rule_docs import facts, json_array  # noqa: PLC0415
    from ..rules import Rule  # noqa: PLC0415

    if format_ is DescriptionFormat.JSON:
        out.text(json_array(facts(one) if isinstance(one, Rule) else one for one in found))
        return
    for number, one in enumerate(found):
        if number:
            out.text("\n")
        _print_meaning(one, out, format_)


def _print_meaning(one: Explanation | Rule, out: Output, format_: DescriptionFormat) -> None:
    from ..reports.explanation_formats import explanation_lines, explanation_markdown  # noqa: PLC0415
    from ..reports.rule_docs import as_markdown, as_text  # noqa: PLC0415
    from ..reports.styled_text import paint  # noqa: PLC0415
    from ..rules import Rule  # noqa: PLC0415

    markdown = format_ is DescriptionFormat.MARKDOWN
    if isinstance(one, Rule):
        if markdown:
            out.text(as_markdown([one]))
        else:
            as_text([one], out)
    elif markdown:
        out.text(explanation_markdown(one))
    else:
        paint(out, explanation_lines(one, out.width))

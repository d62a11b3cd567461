"""``smtpwire rule``: what a rule means, and what it looks like on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..console import notice
from ..errors import UsageError, display_path
from .option_types import DescriptionFormat, complete_rules
from .options import description_format_option
from .pager import paged
from .settings import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..rules import Rule

__all__ = ["rule"]

_HINT = "give ids or names, or --all, or --list"


@click.command(short_help="Explain rules, with dialogues that break them and that do not.")
@click.argument("rules", metavar="[RULE]...", nargs=-1, shell_complete=complete_rules)
@click.option("--all", "every", is_flag=True, help="Explain every rule, those of plugins too.")
@click.option("--list", "listed", is_flag=True, help="Print one line for each rule: of all, if no RULE is named.")
@click.option("--search", is_flag=True, help="Search the rules for words: each RULE is a word. Prints a list.")
@description_format_option
def rule(rules: Sequence[str], every: bool, listed: bool, search: bool, format_: DescriptionFormat) -> int:
    """Explain rules: severity, side at fault, RFC section, how to fix it, a dialogue that breaks the rule and one that
    does not.

    RULE is an id (SEQ101), a prefix of ids (SEQ), or a name (mail-before-hello); commas separate several.
    """
    from ..rules import RULES, resolve  # noqa: PLC0415
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    named = [one for word in words(rules) for one in word.split()]
    if not named and not every and (search or not listed):
        what = "no word to search for" if search else "no rule is named"
        raise UsageError(what, "smtpwire rule", "give words, as in --search greylist" if search else _HINT)
    if named and every:
        raise UsageError("rules and --all together", "smtpwire rule", _HINT)
    load_plugins(notice)
    if search:
        _print(_found(named), format_, listed=True)
    else:
        chosen = sorted(resolve(named) if named else RULES)
        _print([RULES[rule_id] for rule_id in chosen], format_, listed=listed)
    return 0


def _found(words: Sequence[str]) -> list[Rule]:
    """Return the rules that have all ``words``, the best first. Raises UsageError if there is none."""
    from ..reports.rule_search import search_rules  # noqa: PLC0415
    from ..rules import RULES  # noqa: PLC0415

    found = search_rules(words, RULES.values())
    if not found:
        what = "no rule has this word" if len(words) == 1 else "no rule has all these words"
        raise UsageError(what, display_path(" ".join(words)), "give fewer words, or the beginning of a word")
    return found


def _print(rules: Sequence[Rule], format_: DescriptionFormat, *, listed: bool) -> None:
    from ..reports.rule_docs import as_json, as_list, as_markdown, as_table, as_text  # noqa: PLC0415

    with paged() as out:
        match format_, listed:
            case DescriptionFormat.JSON, _:
                out.text(as_json(rules))
            case DescriptionFormat.MARKDOWN, True:
                out.text(as_table(rules))
            case DescriptionFormat.MARKDOWN, False:
                out.text(as_markdown(rules))
            case _, True:
                as_list(rules, out)
            case _:
                as_text(rules, out)

"""``smtpwire rule``: what a rule means, and what it looks like on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..console import notice
from ..errors import UsageError
from .option_types import DescriptionFormat, EnumChoice, complete_rules
from .settings import output_to

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["rule"]


@click.command(short_help="Explain rules, with dialogues that break them and that do not.")
@click.argument("rules", metavar="[RULE]...", nargs=-1, shell_complete=complete_rules)
@click.option("--all", "every", is_flag=True, help="Explain every rule, those of plugins too.")
@click.option(
    "--format",
    "format_",
    type=EnumChoice(DescriptionFormat),
    default="text",
    show_default=True,
    help="Format of the description.",
)
def rule(rules: Sequence[str], every: bool, format_: DescriptionFormat) -> int:
    """Explain rules: severity, side at fault, RFC section, a dialogue that breaks the rule and one that does not.

    RULE is an id (SEQ101), a prefix of ids (SEQ), or a name (mail-before-hello).
    """
    from ..reports.rule_docs import as_json, as_markdown, as_text  # noqa: PLC0415
    from ..rules import RULES, resolve  # noqa: PLC0415
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    if bool(rules) is every:
        what = "rules and --all together" if every else "no rule is named"
        raise UsageError(what, "smtpwire rule", "give ids or names, or --all")
    load_plugins(notice)
    chosen = sorted(RULES if every else resolve(rules))
    found = [RULES[rule_id] for rule_id in chosen]
    out = output_to()
    if format_ is DescriptionFormat.JSON:
        out.text(as_json(found))
    elif format_ is DescriptionFormat.MARKDOWN:
        out.text(as_markdown(found))
    else:
        as_text(found, out)
    return 0

"""``smtpwire rule``: what a rule means, and what it looks like on the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from ..errors import UsageError
from ..run import notice
from .options import output_to
from .plain_parser import Argument, Option

__all__ = ["rule"]


class RuleForm(StrEnum):
    """Forms of the description."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def rule(
    rules: Annotated[
        list[str] | None, Argument(metavar="RULE...", help="Ids (SEQ101), prefixes of ids (SEQ), or names.")
    ] = None,
    every: Annotated[bool, Option("--all", help="Every rule, those of plugins too.")] = False,
    format_: Annotated[RuleForm, Option("--format")] = RuleForm.TEXT,
) -> int:
    """Explain rules: severity, side at fault, RFC section, a dialogue that breaks it and one that nearly does."""
    from ..reports.rule_docs import as_json, as_markdown, as_text  # noqa: PLC0415
    from ..rules import RULES, resolve  # noqa: PLC0415
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    if not rules and not every:
        raise UsageError("no rule", "nothing is named", "give ids or names, or --all")
    load_plugins(notice)
    chosen = sorted(RULES if every else resolve(rules or ()))
    found = [RULES[rule_id] for rule_id in chosen]
    out = output_to()
    if format_ is RuleForm.JSON:
        out.text(as_json(found))
    elif format_ is RuleForm.MARKDOWN:
        out.text(as_markdown(found))
    else:
        as_text(found, out)
    return 0

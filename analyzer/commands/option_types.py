"""Types of option values: what is valid, how it is read, and how a shell completes it."""

from __future__ import annotations

from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from ..enums import ReportFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

__all__ = [
    "PATH",
    "Command",
    "DescriptionFormat",
    "EnumChoice",
    "Seconds",
    "complete_interfaces",
    "complete_output",
    "complete_rules",
    "complete_words",
]

# Shells complete it as a file name. click checks nothing: the audit opens the file and reports what is wrong.
PATH = click.Path(readable=False)


class DescriptionFormat(StrEnum):
    """Formats in which rules and words are described."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


Chosen = TypeVar("Chosen", bound=StrEnum)
Command = TypeVar("Command", bound="Callable[..., Any]")


class EnumChoice(click.Choice[str], Generic[Chosen]):
    """The values of a StrEnum. An option of this type gives a member of it."""

    def __init__(self, kind: type[Chosen]) -> None:
        super().__init__([member.value for member in kind])
        self.kind = kind

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Chosen:
        """Return the member with this value. Raises click.BadParameter if there is none."""
        return self.kind(super().convert(value, param, ctx))


class Seconds(click.FloatRange):
    """A number of seconds. What Python calls ``nan`` and ``inf`` is no such number."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises click.BadParameter for anything else."""
        seconds = float(super().convert(value, param, ctx))  # type: ignore[arg-type]  # click converts text
        if not isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


def complete_rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last of the comma-separated rules: ids and prefixes of ids, with the name of the rule as help."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from ..rules import RULES  # noqa: PLC0415

    before, comma, word = incomplete.rpartition(",")
    families = {rule_id[:3] for rule_id in RULES}
    found = [CompletionItem(before + comma + family) for family in sorted(families) if family.startswith(word.upper())]
    for rule_id, rule in sorted(RULES.items()):
        if rule_id.startswith(word.upper()):
            found.append(CompletionItem(before + comma + rule_id, help=rule.name))
        elif word and rule.name.startswith(word.lower()):
            found.append(CompletionItem(before + comma + rule.name, help=rule_id))
    return found


def complete_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a word that ``explain`` knows: a code, a command, a keyword, or a rule."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from ..reports.explanations import known_words  # noqa: PLC0415

    found = [CompletionItem(word) for word in known_words() if word.startswith(incomplete.upper())]
    return found + complete_rules(ctx, param, incomplete)


def complete_interfaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an interface of this machine; ``any`` means all."""
    from socket import if_nameindex  # noqa: PLC0415

    from click.shell_completion import CompletionItem  # noqa: PLC0415

    names = sorted(name for _, name in if_nameindex())
    return [CompletionItem(name) for name in ["any", *names] if name.startswith(incomplete)]


def complete_output(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``FORMAT:FILE``: the formats that match, else file names."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    formats = [CompletionItem(f"{name}:") for name in ReportFormat if f"{name}:".startswith(incomplete)]
    # bash shows either candidates or file names.
    return formats or [CompletionItem(incomplete.partition(":")[2] or incomplete, type="file")]

"""Pairs of findings of which one follows from the other, each with a dialogue that is as short as it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scripts import Script, play, talk

from smtpwire.analyzer.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smtpwire.analyzer.model import Finding

__all__ = ["CLOSED", "LEFT", "WHAT", "Case", "Never", "heard", "turns"]

WHAT = "S 500 what"


class Case(NamedTuple):
    """A dialogue in which the rules ``parent`` and ``child`` both find something, the latter because of the former.

    ``but``: a similar dialogue in which it is not because of it; None if only the end of the connection limits that.
    ``ignore``: rules that find something wherever ``parent`` does and explain the same; they are not selected.
    """

    parent: str
    child: str
    script: Script
    but: Script | None = None
    ignore: tuple[str, ...] = ()
    port: int = 25


class Never(NamedTuple):
    """A pair that the rule book of the field names but that cannot occur, ``because`` of something else; a dialogue in
    which it would be expected."""

    parent: str
    child: str
    because: str
    script: Script
    port: int = 25


def turns(*entries: str) -> list[tuple[str, bytes | str]]:
    """Entries such as ``"C RSET|QUIT"``: the side, a space, and lines that are sent together."""
    parts = (entry.partition(" ") for entry in entries)
    return [
        (who, "".join(f"{line}\r\n" for line in text.split("|")) if who in {"C", "S"} else text)
        for who, _, text in parts
    ]


CLOSED = turns("FS", "FC")
"""The server closes first."""

LEFT = turns("FC", "FS")
"""The client closes first."""


def heard(script: Script, rules: Iterable[str] = RULES, port: int = 25) -> list[Finding]:
    """The findings of ``rules`` in the dialogue."""
    listen = talk if any(who == "TLS" for who, _ in script) else play
    return listen(script, select=tuple(rules), port=port).findings

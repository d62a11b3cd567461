"""Which findings only follow from others, by rule."""

# Theory
# ------
# Who breaks first is reported first, and what only follows from it is folded under it. A rule that knows the exchange
# that explains its finding names it (`Evidence.caused_by`). The table below is for the rest: pairs of rules of which
# one explains the other wherever both are found,
#
#   ON_LINE     about the same command or reply,
#   MAIL_DATA   about the same mail data, or about the end of the connection inside it,
#   NEXT        about the command that the server did not read as it was sent,
#   LAST        from the explaining one on, if it is about the last line of the client,
#   LATER       from the explaining one on, to the end of the connection,
#   IF_ERROR    the same, but only if the explaining one is an error,
#   GREETING    the same, if the explaining one is about a greeting that refuses service,
#   HELLO       from the explaining one on, if it is about a hello that was refused, to the next hello.
#
# After the client abused the protocol, the server may defend itself (RFC 5321 §7.8). So some findings about a server
# follow from the abuse: `AFTER_ABUSE`. The abuse lasts until the client is in step again, some of it to the end of the
# connection (`exchanges/causes.py`).
#
# A consequence stays in the report, with the number of its cause. What says nothing new beside another finding is not
# reported at all; the other rule declares that (`Rule.hides`).

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final

from ..exchanges.turns import is_servers
from ..lines.marks import Mark
from .rendering import RecordedFinding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..model import Finding

__all__ = ["AFTER_ABUSE", "DEPTH", "FOLDS", "IN_RUN", "PAIRS", "Reach", "cause_of"]


class Reach(Enum):
    """How far a finding explains others."""

    ON_LINE = "on the same line"
    MAIL_DATA = "in the same mail data"
    NEXT = "about the next command"
    LAST = "until the client sends the next line"
    LATER = "later in the connection"
    IF_ERROR = "later in the connection, if it is an error"
    GREETING = "after the greeting that it is about"
    HELLO = "after the hello that it is about"


_AFTER_WRONG_SIZE = Mark.AFTER_WRONG_SIZE.value
_NO_SERVICE = frozenset({421, 521, 554})  # greetings (RFC 5321 §3.1, RFC 7504 §3)

AFTER_ABUSE: Final = frozenset(
    {
        *("SEQ121", "SEQ123", "EXT521", "TCP902"),
        *("RPL408", "RPL412", "RPL423", "RPL424", "RPL425", "RPL426", "RPL427"),
    }
)
"""Rules about a server whose findings follow from an abuse of the client."""

IN_RUN: Final = frozenset({"SEQ113", "CMD301", "CMD318", "EXT501"})
"""Rules about a client whose findings follow from a run in which it does not wait for replies (EXT504, EXT505)."""

_TEXT_READ = frozenset({"CMD301", "CMD318"})  # of lines that a client out of step sent as mail text

PAIRS: Final[tuple[tuple[str, Reach, tuple[str, ...]], ...]] = (
    ("SEQ113", Reach.LATER, ("TCP902",)),
    ("CMD314", Reach.ON_LINE, ("EXT504", "EXT505")),
    ("CMD323", Reach.NEXT, ("CMD301", "RPL408", "RPL423", "RPL424", "RPL425", "EXT504", "EXT512")),
    ("CMD323", Reach.LATER, ("RPL411", "TIM801", "TIM802", "TCP901", "TCP902", "TCP903")),
    ("RPL403", Reach.GREETING, ("RPL412", "TCP902")),
    ("RPL403", Reach.HELLO, ("SEQ101", "SEQ103", "SEQ104", "EXT501", "EXT502", "EXT504")),
    ("RPL419", Reach.LATER, ("EXT504", "RPL412", "TCP901", "TCP902", "TIM801")),
    ("LEN003", Reach.MAIL_DATA, ("RPL411", "TCP902")),
    ("MSG719", Reach.LATER, ("RPL411", "TCP903", "TIM804")),
    ("SEC602", Reach.IF_ERROR, ("RPL401", "RPL412", "TCP901", "TCP902")),
    ("SEC603", Reach.LATER, ("RPL410", "RPL411")),
    ("SEC605", Reach.LATER, ("RPL406",)),
    ("SEC612", Reach.LATER, ("RPL411", "TCP902")),
    ("SEC614", Reach.LATER, ("RPL411", "TCP902")),
    ("SEC615", Reach.LATER, ("RPL411", "TCP902")),
    ("SEC616", Reach.LATER, ("BIT201", "BIT210", "CMD301", "CMD318", "EXT504", "EXT505")),
    ("SEC616", Reach.LATER, ("RPL409", "RPL411", "RPL412", "TCP901", "TCP902")),
    ("SEC626", Reach.LAST, ("RPL412", "TCP902")),
    ("SEC631", Reach.LATER, ("SEC616", "TCP901", "TCP902")),
    ("SEC635", Reach.LATER, ("SEC616", "BIT201", "BIT210", "CMD301", "CMD318", "RPL409", "RPL411")),
    ("SEC636", Reach.LATER, ("RPL401",)),
    ("TIM801", Reach.LATER, ("TCP901",)),
    ("TCP908", Reach.LATER, ("EXT504", "EXT505", "RPL411", "RPL412", "TCP902")),
)
"""A rule, how far its finding explains others, and their rules."""


_RUNS = frozenset({"EXT504", "EXT505"})


def _by_child() -> dict[str, list[tuple[str, Reach]]]:
    folds: dict[str, list[tuple[str, Reach]]] = {child: [] for child in AFTER_ABUSE}
    folds |= {child: [] for child in IN_RUN}
    for parent, reach, children in PAIRS:
        for child in children:
            folds.setdefault(child, []).append((parent, reach))
    return folds


FOLDS: Final[Mapping[str, list[tuple[str, Reach]]]] = _by_child()
"""For each rule whose findings may follow from others, the rules of these."""


def _depth(rule: str) -> int:
    if rule not in FOLDS:
        return 0
    parents = {parent for parent, _ in FOLDS[rule]} | (_RUNS if rule in IN_RUN or rule in AFTER_ABUSE else set())
    return 1 + max(map(_depth, parents), default=0)


DEPTH: Final[Mapping[str, int]] = {rule: _depth(rule) for rule in FOLDS}
"""For each rule, the length of the longest chain of rules that explain it; rules that nothing explains have none."""


def _turn(reach: Reach, x: Exchange | None, talk: Conversation) -> int:
    """Return the turn that a finding must be about so that it explains one about ``x``; -1: there is none."""
    if reach is Reach.ON_LINE:
        return -1 if x is None else x.turn
    if reach is Reach.GREETING:
        greeting = talk.greeting
        return greeting.turn if greeting is not None and greeting.reply.code in _NO_SERVICE else -1
    if reach is Reach.LAST:
        dialogue = talk.record.dialogue
        return next((n for n in range(len(dialogue) - 1, -1, -1) if not is_servers(dialogue[n])), -1)
    hello = talk.session.causes.hello
    return -1 if hello is None or hello.answer is None else hello.answer.turn


def _mail_data(x: Exchange | None, talk: Conversation) -> float:
    """Return where the mail data begins that ``x`` is about; infinity if it is about no mail data. Mail data after it
    has no finding yet."""
    content = talk.course.inside if x is None else x.content
    return inf if content is None else content.offset


def _explains(finding: Finding, reach: Reach, x: Exchange | None, talk: Conversation) -> bool:
    """Whether ``finding`` reaches as far as a finding about ``x``."""
    if reach is Reach.LATER:
        return True
    if reach is Reach.IF_ERROR:
        return finding.severity == "error"
    if reach is Reach.NEXT:
        return x is not None and bool(x.marks & _AFTER_WRONG_SIZE)
    if reach is Reach.MAIL_DATA:
        return _mail_data(x, talk) <= (finding.at if isinstance(finding, RecordedFinding) else finding.offset)
    return finding.turn is not None and finding.turn == _turn(reach, x, talk)


def cause_of(rule: str, x: Exchange | None, talk: Conversation) -> int | None:
    """Return the place of the finding that explains a finding of ``rule`` about ``x``; None: there is none."""
    found, findings = talk.counts.by_rule, talk.record.findings
    for parent, reach in FOLDS[rule]:
        if parent not in found:
            continue
        for place in range(len(findings) - 1, -1, -1):
            if findings[place].rule == parent and _explains(findings[place], reach, x, talk):
                return place
    causes = talk.session.causes
    if rule in IN_RUN and causes.early is not None and causes.early.finding >= 0:
        place, begun_by = causes.early.finding, findings[causes.early.finding].rule
        before_greeting = begun_by == "SEC618" and rule in _TEXT_READ and x is not causes.early
        return place if begun_by in _RUNS or before_greeting else None
    if rule in AFTER_ABUSE:
        for abuse in (causes.early, causes.abuse):
            if abuse is not None and abuse.finding >= 0:
                return abuse.finding
    return None

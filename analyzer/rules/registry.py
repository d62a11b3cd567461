"""What a rule is, how it is declared, and when it is called."""

# Theory
# ------
# A rule is a function with a declaration. The declaration contains every fact about it (id, name, severity, side at
# fault, RFC section, when to call it). The first line of the docstring is its title, the rest its explanation. A rule
# is described nowhere else: `smtpwire rule`, the documentation and the reports all read the registry.
#
# `on` says when the rule is called. Triggers are data, so that the judge can compute once for each kind of exchange
# which rules to call: for clean traffic nearly none, at the cost of one look-up. The function yields an Evidence for
# each breach: a phrase (phrases.py) and a place. A rule never keeps state of its own, and it only reads: whether a rule
# is selected changes nothing but its own findings. A rule that has a finding at most once in a connection declares that
# (`once`); the rule book enforces it.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from ...dissectors.deviations import DeviationKind
from ..exchanges.conversation import Conversation
from ..exchanges.exchange import Exchange
from ..exchanges.state_table import Act
from ..exchanges.usual_replies import is_usual
from ..model import Severity, Side
from .phrases import Phrase, Term, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping


__all__ = [
    "REFUSALS",
    "RULES",
    "Ended",
    "Evidence",
    "OnContent",
    "OnExchange",
    "Rule",
    "Trigger",
    "all_or_none",
    "amend",
    "named",
    "rule",
]

_ID = re.compile(r"[A-Z]{3}[0-9]{3}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class OnExchange(Struct, frozen=True):
    """Call the rule for a command with its reply (or one without a reply) if all given conditions are true.

    ``marks``: any of these ``Mark`` bits is set, ``unless``: none of these is. ``deviation``: the client's line has a
    deviation of this kind from the grammar. ``breaks``: the client broke one of
    these sequence rules. ``acts``: it is one of these. ``codes``: the reply has one of these codes. ``unusual``: the
    reply is not the expected success. ``reply``: the reply has one of these ``ReplyFlaw`` bits.
    """

    marks: int = 0
    breaks: frozenset[str] = frozenset()
    acts: frozenset[Act] = frozenset()
    unless: int = 0
    codes: frozenset[int] = frozenset()
    unusual: bool = False
    deviation: DeviationKind | None = None
    reply: int = 0

    def fits(self, x: Exchange) -> bool:
        """Whether ``x`` concerns the rule, apart from the flaws of its reply. It depends only on the act, the marks,
        the code, the rule of order that is broken, and the kinds of deviations."""
        if self.deviation is not None and self.deviation not in x.line.kinds:
            return False
        code = 0 if x.answer is None else x.answer.reply.code
        if (self.codes and code not in self.codes) or (self.unusual and (not code or is_usual(x.act, code))):
            return False
        if (self.marks and not self.marks & x.marks) or self.unless & x.marks:
            return False
        if self.breaks and x.breaks not in self.breaks:
            return False
        return not self.acts or x.act in self.acts


class OnContent(Struct, frozen=True):
    """Call the rule for a complete message; with ``partial`` also for mail data whose end never arrived (``x.act`` is
    EVENT). ``flaws``: any of these ``Flaw`` bits is set."""

    partial: bool = False
    flaws: int = 0

    def fits(self, flaws: int) -> bool:
        """Whether a message with ``flaws`` concerns the rule."""
        return not self.flaws or bool(self.flaws & flaws)


class Ended(Struct, frozen=True):
    """Call the rule once, at the end of the connection. The exchange is the last one, or None. ``facts``: any of these
    ``EndFact`` bits is set."""

    facts: int = 0


Trigger = OnExchange | OnContent | Ended


class Evidence(Struct, frozen=True):
    """One breach of a rule. A field that is None is taken from the exchange: its line, its side, its frame.

    ``message``: a phrase; a plain sentence must not contain text from the wire, since redaction can only search it.
    ``reply``: the breach is in the reply, not in the command. ``offset`` and ``length`` are in bytes of the stream,
    ``time_ns`` in nanoseconds. ``reference``: the sections that matter to this case, if not those of the rule.
    ``caused_by``: exchanges whose finding causes this one; the first one that has a finding counts. None: nothing
    causes it, whatever the table of consequences says. ``series``: breaches of the rule that have the same value here,
    and the same side, are one fact: they are one finding, at the first of them, with their number. ``unit``: what is
    counted then, in the plural.
    """

    message: Phrase | str
    reply: bool = False
    offset: int | None = None
    length: int | None = None
    frame: int | None = None
    time_ns: int | None = None
    evidence: str | None = None
    side: Side | None = None
    severity: Severity | None = None
    certain: bool | None = None
    reference: str | None = None
    caused_by: tuple[Exchange | None, ...] | None = ()
    count: int = 1
    series: str | int | None = None
    unit: str = "lines"


class Rule(Struct, frozen=True):
    """A rule as declared. ``severities``: for each profile in which it differs from ``severity``; "off" disables the
    rule there. ``hides``: rules that say less about the same bytes and are not reported beside this one. ``once``: the
    rule has at most one finding in a connection, the first. ``explains``: if this is found in an exchange, it is what
    the exchange causes later, and not another finding about the same exchange."""

    id: str
    name: str
    severity: Severity
    side: Side
    reference: str
    on: Trigger
    check: Callable[[Exchange, Conversation], Iterator[Evidence]]
    severities: tuple[tuple[str, str], ...] = ()
    hides: frozenset[str] = frozenset()
    once: bool = False
    explains: bool = False

    @property
    def title(self) -> str:
        """The first line of its documentation, without the full stop."""
        return self._documentation()[0].rstrip(".")

    @property
    def explanation(self) -> str:
        """The rest of its documentation."""
        return self._documentation()[2].strip()

    def _documentation(self) -> tuple[str, str, str]:
        # Computed only when it is displayed: an audit has a hundred and fifty rules and explains none of them.
        from inspect import cleandoc  # noqa: PLC0415

        return cleandoc(self.check.__doc__ or "").partition("\n")

    @property
    def family(self) -> str:
        """The first three characters of its id."""
        return self.id[:3]

    def severity_in(self, profile: str) -> str:
        """Severity in ``profile``; "off" if the rule does not apply there."""
        return dict(self.severities).get(profile, self.severity)


_DECLARED: dict[str, Rule] = {}
_name = attrgetter("name")

REFUSALS = frozenset(range(400, 1000))
"""Codes of replies that refuse a command. Malformed replies may have a first digit above 5."""

RULES: Mapping[str, Rule] = MappingProxyType(_DECLARED)
"""All rules declared so far, by id."""


def named(x: Exchange, otherwise: str = "A command") -> Verb | Term:
    """Return the verb of the command of ``x``, for a phrase; ``otherwise`` if its line has none."""
    command = x.line.command
    return Term(otherwise) if command is None or command.name is None else Verb(command.name)


def rule(
    rule_id: str,
    name: str,
    severity: Severity,
    side: Side,
    reference: str,
    *,
    on: Trigger,
    severities: dict[str, str] | None = None,
    hides: tuple[str, ...] = (),
    once: bool = False,
    explains: bool = False,
) -> Callable[
    [Callable[[Exchange, Conversation], Iterator[Evidence]]], Callable[[Exchange, Conversation], Iterator[Evidence]]
]:
    """Declare a rule. Raises ValueError if the id or name is malformed or already used, or the docstring is missing."""

    def declare(
        check: Callable[[Exchange, Conversation], Iterator[Evidence]],
    ) -> Callable[[Exchange, Conversation], Iterator[Evidence]]:
        if not (check.__doc__ or "").strip():
            raise ValueError(f"{rule_id} has no docstring, which is the rule's documentation")
        if not _ID.fullmatch(rule_id) or not _NAME.fullmatch(name):
            raise ValueError(f"{rule_id} {name}: ids are like SEQ101, names like mail-before-hello")
        if rule_id in _DECLARED or name in map(_name, _DECLARED.values()):
            raise ValueError(f"{rule_id} {name}: the id or the name is taken")
        _DECLARED[rule_id] = Rule(
            rule_id,
            name,
            severity,
            side,
            reference,
            on,
            check,
            tuple((severities or {}).items()),
            frozenset(hides),
            once,
            explains,
        )
        return check

    return declare


@contextmanager
def all_or_none() -> Iterator[None]:
    """Keep the rules that are declared inside only if no exception is raised there."""
    before = dict(_DECLARED)
    try:
        yield
    except BaseException:
        _DECLARED.clear()
        _DECLARED.update(before)
        raise


def amend(changed: Rule) -> None:
    """Replace the declared rule that has the id of ``changed``. Raises ValueError if there is none."""
    if changed.id not in _DECLARED:
        raise ValueError(f"{changed.id} is not declared")
    _DECLARED[changed.id] = changed

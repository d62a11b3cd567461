"""What a rule is, how it is declared, and when it is asked."""

# Theory
# ------
# A rule is a function with a declaration. The declaration holds every fact about it (id, name, severity, side at fault,
# RFC section, when to ask it); the docstring's first line is its title and the rest its explanation. Nothing about a
# rule is written down anywhere else: `smtpwire rule`, the documentation and the reports all read the registry.
#
# `on` says what must have happened for the rule to be worth asking. Triggers are data, so that the judge can work out
# once for each kind of exchange which rules it concerns: clean traffic concerns nearly none, and costs one look-up.
# The function then yields an Evidence for each breach; a rule never keeps state of its own.

from __future__ import annotations

import re
from contextlib import contextmanager
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from ..exchanges.expected_replies import is_usual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..exchanges.state_table import Act
    from ..model import Severity, Side

__all__ = ["RULES", "Ended", "Evidence", "OnContent", "OnExchange", "Rule", "Trigger", "all_or_none", "amend", "rule"]

_ID = re.compile(r"[A-Z]{3}[0-9]{3}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class OnExchange(Struct, frozen=True):
    """Ask about an answered command (or one that never will be) if every condition that is given holds.

    ``marks``: any of these ``Mark`` bits, ``unless``: none of these. ``breaks``: sequence rule that the client broke.
    ``acts``: one of these. ``codes``: the reply has one of these. ``unusual``: it is not the success that was due.
    """

    marks: int = 0
    breaks: frozenset[str] = frozenset()
    acts: frozenset[Act] = frozenset()
    unless: int = 0
    codes: frozenset[int] = frozenset()
    unusual: bool = False

    def fits(self, x: Exchange) -> bool:
        """Whether ``x`` concerns the rule."""
        if (self.codes and x.code not in self.codes) or (self.unusual and (not x.code or is_usual(x.act, x.code))):
            return False
        if (self.marks and not self.marks & x.marks) or self.unless & x.marks:
            return False
        if self.breaks and x.breaks not in self.breaks:
            return False
        return not self.acts or x.act in self.acts


class OnContent(Struct, frozen=True):
    """Ask about a complete message; ``partial``: also about mail data whose end never came (``x.act`` is EVENT).
    ``flaws``: any of these ``Flaw`` bits."""

    partial: bool = False
    flaws: int = 0

    def fits(self, flaws: int) -> bool:
        """Whether a message with ``flaws`` concerns the rule."""
        return not self.flaws or bool(self.flaws & flaws)


class Ended(Struct, frozen=True):
    """Ask once, when the connection is over. The exchange is the last one, or None."""


Trigger = OnExchange | OnContent | Ended


class Evidence(Struct, frozen=True):
    """One breach. What is None is taken from the exchange: its line, its side, its frame.

    ``reply``: the breach is in the reply, not in the command. ``caused_by``: exchanges
    whose finding this follows from; the first that has one counts.
    """

    message: str
    reply: bool = False
    offset: int | None = None
    length: int | None = None
    frame: int | None = None
    time_ns: int | None = None
    evidence: str | None = None
    side: Side | None = None
    severity: Severity | None = None
    certain: bool | None = None
    caused_by: tuple[Exchange | None, ...] = ()
    count: int = 1


class Rule(Struct, frozen=True):
    """A rule as declared. ``severities``: those that differ from ``severity`` in a profile; "off" silences it there.
    ``hides``: rules that say less about the same bytes, not reported beside this one. ``formal``: it looks at forms,
    codes and what was negotiated, not at text that varies freely (mailboxes, names in hellos, what stands behind a
    code), so that a dialogue about which it was asked can stand for others. ``individual``: what it finds depends on
    more than the dialogue, or its message names that (times, addresses, other connections), so that a dialogue in which
    it found something stands for no other."""

    id: str
    name: str
    severity: Severity
    side: Side
    reference: str
    on: Trigger
    check: Callable[[Exchange, Conversation], Iterator[Evidence]]
    severities: tuple[tuple[str, str], ...] = ()
    hides: frozenset[str] = frozenset()
    formal: bool = False
    individual: bool = False

    @property
    def title(self) -> str:
        """The first line of its documentation, without the full stop."""
        return self._documentation()[0].rstrip(".")

    @property
    def explanation(self) -> str:
        """The rest of its documentation."""
        return self._documentation()[2].strip()

    def _documentation(self) -> tuple[str, str, str]:
        # Taken out of the docstring only for who shows it: an audit has a hundred and fifty rules and explains none.
        from inspect import cleandoc  # noqa: PLC0415

        return cleandoc(self.check.__doc__ or "").partition("\n")

    @property
    def own(self) -> bool:
        """Whether it came with smtpwire."""
        return self.check.__module__.startswith(__package__ + ".")

    @property
    def family(self) -> str:
        """The letters of its id."""
        return self.id[:3]

    def severity_in(self, profile: str) -> str:
        """Severity in ``profile``, "off" where it does not apply."""
        return dict(self.severities).get(profile, self.severity)


_DECLARED: dict[str, Rule] = {}
_name = attrgetter("name")

RULES: Mapping[str, Rule] = MappingProxyType(_DECLARED)
"""All rules declared so far, by id."""


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
    formal: bool = False,
    individual: bool = False,
) -> Callable[
    [Callable[[Exchange, Conversation], Iterator[Evidence]]], Callable[[Exchange, Conversation], Iterator[Evidence]]
]:
    """Declare a rule. Raises ValueError for an id or name that is malformed or taken, or a missing docstring."""

    def declare(
        check: Callable[[Exchange, Conversation], Iterator[Evidence]],
    ) -> Callable[[Exchange, Conversation], Iterator[Evidence]]:
        if not (check.__doc__ or "").strip():
            raise ValueError(f"{rule_id} has no docstring: it is the rule's documentation")
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
            formal,
            individual,
        )
        return check

    return declare


@contextmanager
def all_or_none() -> Iterator[None]:
    """Rules declared inside stay declared only if nothing is raised there."""
    before = dict(_DECLARED)
    try:
        yield
    except BaseException:
        _DECLARED.clear()
        _DECLARED.update(before)
        raise


def amend(changed: Rule) -> None:
    """Put ``changed`` in the place of the declared rule with its id. Raises ValueError if there is none."""
    if changed.id not in _DECLARED:
        raise ValueError(f"{changed.id} is not declared")
    _DECLARED[changed.id] = changed

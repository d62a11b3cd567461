"""Check the rules against each exchange and record the findings."""

# Four facts about an exchange decide which rules apply to it: its kind, its marks, the rule of order that it violates,
# and the code of its reply. The set of rules is computed once for each combination and remembered, so an exchange
# without a fault costs one look-up.

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ...dissectors.printable import printable
from .. import model
from ..exchanges.exchange import Mark
from ..exchanges.starttls_history import StartTlsHistory
from ..exchanges.state_table import Act
from ..exchanges.turns import shown
from ..rules import RULES, Ended, OnContent, OnExchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..limits import Limits
    from ..rules import Evidence, Rule

__all__ = ["RuleBook"]

MAX_REMEMBERED = 4096  # combinations; a normal session has about thirty
MAX_EVIDENCE = 160  # bytes quoted


class RuleBook:
    """The selected rules; conversations call it to judge exchanges."""

    def __init__(self, ids: Iterable[str], limits: Limits) -> None:
        rules = [RULES[i] for i in sorted(ids)]
        self._limits = limits
        self.servers = StartTlsHistory(limits)
        self._exchange = [r for r in rules if isinstance(r.on, OnExchange)]
        self._content = [r for r in rules if isinstance(r.on, OnContent)]
        self._partial = [r for r in rules if isinstance(r.on, OnContent) and r.on.partial]
        self._ended = [r for r in rules if isinstance(r.on, Ended)]
        self._rules_by_facts: dict[tuple[int, int, str | None, int], tuple[Rule, ...]] = {}
        self._rules_by_flaws: dict[int, tuple[Rule, ...]] = {}

    def exchange(self, x: Exchange, talk: Conversation) -> None:
        """Judge ``x``, which is answered or will never be answered."""
        reply = x.reply
        key = (x.act, x.marks, x.breaks, 0 if reply is None else reply.code)
        rules = self._rules_by_facts.get(key)
        if rules is None:
            rules = tuple(r for r in self._exchange if cast("OnExchange", r.on).fits(x))
            if len(self._rules_by_facts) < MAX_REMEMBERED:
                self._rules_by_facts[key] = rules
        if rules:
            self._check(rules, x, talk)

    def content(self, x: Exchange, talk: Conversation) -> None:
        """Judge a message that is complete and answered. If ``x`` is an EVENT, the end of the message never came."""
        if x.act is Act.EVENT:
            self._check(self._partial, x, talk)
            return
        flaws = 0 if x.content is None else x.content.flaws
        rules = self._rules_by_flaws.get(flaws)
        if rules is None:
            rules = tuple(r for r in self._content if cast("OnContent", r.on).fits(flaws))
            self._rules_by_flaws[flaws] = rules
        if rules:
            self._check(rules, x, talk)

    def ended(self, talk: Conversation) -> None:
        """Judge the whole connection, which is over."""
        if not talk.uneventful:
            self._check(self._ended, None, talk)

    def _check(self, rules: Sequence[Rule], x: Exchange | None, talk: Conversation) -> None:
        fired = [(rule, evidence) for rule in rules for evidence in rule.check(cast("Exchange", x), talk)]
        hidden = frozenset[str]().union(*(rule.hides for rule, _ in fired)) if len(fired) > 1 else frozenset()
        if x is None and fired:  # at the end of a connection, all earlier findings count too
            hidden = hidden.union(*(RULES[name].hides for name in talk.counts))
        for rule, evidence in fired:
            if rule.id not in hidden:
                self._record_finding(rule, evidence, x, talk)

    def _record_finding(self, rule: Rule, evidence: Evidence, x: Exchange | None, talk: Conversation) -> None:
        severity = evidence.severity or rule.severity_in(talk.profile)
        if severity == "off":
            return
        counts = talk.counts
        counts[rule.id] = counts.get(rule.id, 0) + 1
        limit = self._limits.findings_per_rule
        if limit and counts[rule.id] > limit:
            if counts[rule.id] == limit + 1:
                talk.note(f"more than {limit} findings of {rule.id}: further ones are not listed")
            return
        index = len(talk.findings)
        cause = next((e.finding for e in evidence.caused_by if e is not None and e.finding >= 0), None)
        certain = talk.certain and (x is None or x.sure) if evidence.certain is None else evidence.certain
        finding = model.Finding(
            rule=rule.id,
            name=rule.name,
            severity=cast("model.Severity", severity),
            side=evidence.side or rule.side,
            certainty="certain" if certain else "indeterminate",
            message=evidence.message,
            reference=rule.reference,
            turn=None,
            caused_by=cause,
            frame=0,
            time="",
            offset=0,
            length=0,
            evidence="",
            count=evidence.count,
        )
        _set_place(finding, evidence, x, talk)
        talk.findings.append(finding)
        if x is not None and x.finding < 0 and (finding.side != "server" or x.marks & Mark.REFUSED_503):
            x.finding = index
            if x.breaks is not None and talk.session.causes.order is None:
                talk.session.own_causes().order = x


def _set_place(finding: model.Finding, evidence: Evidence, x: Exchange | None, talk: Conversation) -> None:
    """Set the place of ``finding``: fields that the evidence does not give come from the command or the reply."""
    offset, length, frame, time_ns, text = 0, 0, 0, 0, ""
    if x is not None and (evidence.reply or x.act.name in {"GREETING", "NOTHING"}):
        offset, frame, time_ns = x.reply_offset, x.reply_frame, x.reply_time_ns
        finding.turn = x.reply_turn if x.reply_turn >= 0 else None
        if x.reply is not None:
            length = len(x.reply.raw)
            text = printable(x.reply.raw.split(b"\n", 1)[0].rstrip(b"\r")[:MAX_EVIDENCE])
    elif x is not None:
        offset, length, frame, time_ns = x.offset, x.length, x.frame, x.time_ns
        finding.turn = x.turn if x.turn >= 0 else None
        text = shown(x)[:MAX_EVIDENCE]
    finding.offset = offset if evidence.offset is None else evidence.offset
    finding.length = length if evidence.length is None else evidence.length
    finding.frame = frame if evidence.frame is None else evidence.frame
    finding.time = talk.time(time_ns if evidence.time_ns is None else evidence.time_ns)
    finding.evidence = text if evidence.evidence is None else evidence.evidence

"""Check the rules against each exchange and record the findings."""

# Six facts about an exchange decide which rules apply to it: its kind, its marks, the rule of order that it violates,
# the code of its reply, the kinds of deviations of its line, and the profile. The set of rules is computed once for
# each combination and remembered, so an exchange without a fault costs one look-up. For some combinations, flaws of the
# reply decide too. They depend only on its bytes and are remembered, so this costs a second look-up.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from ...dissectors.printable import printable
from ..content.message_flaws import flaws_of, unended_flaws
from ..exchanges.exchange import Mark
from ..exchanges.starttls_history import OfferMemory, StartTlsHistory
from ..exchanges.state_table import Act
from ..exchanges.turns import shown
from ..rules import RULES, Ended, OnContent, OnExchange, Rule
from ..rules.end_facts import end_facts
from ..rules.reply_flaws import reply_flaws
from ..tls.places import shown_place
from .consequences import DEPTH, FOLDS, cause_of
from .rendering import RecordedFinding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...dissectors.lines.replies import Reply
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..limits import Limits
    from ..model import Finding
    from ..rules import Evidence

__all__ = ["RuleBook"]

MAX_REMEMBERED = 4096  # combinations; a normal session has about thirty
MAX_REPLIES = 1024  # replies whose flaws are remembered, and octets of the longest of these
MAX_REPLY = 1024
MAX_EVIDENCE = 160  # bytes quoted

_REFUSED_503 = Mark.REFUSED_503.value
_RANK = {"info": 0, "warning": 1, "error": 2}


class _Applicable(Struct):
    """The rules for one combination of facts. ``rules``: those that ask for no flaw of the reply; ``wanted``: the flaws
    that the others ask for. ``pairs``: all rules, each with the flaws that it asks for, in order."""

    rules: tuple[Rule, ...]
    wanted: int
    pairs: tuple[tuple[int, Rule], ...]
    by_flaws: dict[int, tuple[Rule, ...]]

    def with_flaws(self, flaws: int) -> tuple[Rule, ...]:
        """Return the rules for a reply with ``flaws``."""
        rules = self.by_flaws[flaws] = tuple([rule for asked, rule in self.pairs if not asked or asked & flaws])
        return rules


class RuleBook:
    """The selected rules; conversations call it to judge exchanges."""

    def __init__(self, ids: Iterable[str], limits: Limits) -> None:
        rules = [RULES[i] for i in sorted(ids)]
        self._limits = limits
        self.servers: OfferMemory = StartTlsHistory(limits)
        self._exchange = [(r.on, r) for r in rules if isinstance(r.on, OnExchange)]
        self._content = [(r.on, r) for r in rules if isinstance(r.on, OnContent)]
        self._partial = [(on, r) for on, r in self._content if on.partial]
        self._ended = [(r.on, r) for r in rules if isinstance(r.on, Ended)]
        self._by_facts: dict[tuple[object, ...], _Applicable] = {}
        self._flaws: dict[tuple[int, bytes], int] = {}  # by the flaws that were looked for and the reply
        self._rules_by_flaws: dict[int, tuple[Rule, ...]] = {}
        self._rules_by_end: dict[int, tuple[Rule, ...]] = {}  # by the set of facts

    def exchange(self, x: Exchange, talk: Conversation) -> None:
        """Judge ``x``, which is answered or will never be answered."""
        answer = x.answer
        key = (x.act, x.marks, x.breaks, 0 if answer is None else answer.reply.code, x.line.kinds, talk.profile)
        applicable = self._by_facts.get(key)
        if applicable is None:
            applicable = self._applicable(x, talk.profile)
            if len(self._by_facts) < MAX_REMEMBERED:
                self._by_facts[key] = applicable
        rules = applicable.rules
        if applicable.wanted and answer is not None:
            reply = answer.reply
            flaws = self._flaws.get((applicable.wanted, reply.raw))
            if flaws is None:
                flaws = self._flaws_of(reply, applicable.wanted)
            if flaws:
                rules = applicable.by_flaws.get(flaws) or applicable.with_flaws(flaws)
        if rules:
            self._check(rules, x, talk)

    def _applicable(self, x: Exchange, profile: str) -> _Applicable:
        marks = x.marks
        pairs = [
            (on.reply, rule)
            for on, rule in self._exchange
            if (not on.marks or on.marks & marks) and on.fits(x) and rule.severity_in(profile) != "off"
        ]  # most rules need a mark, and an attacker may cause many combinations
        wanted = 0
        for flaws, _ in pairs:
            wanted |= flaws
        return _Applicable(tuple([r for flaws, r in pairs if not flaws]), wanted, tuple(pairs), {})

    def _flaws_of(self, reply: Reply, wanted: int) -> int:
        flaws = reply_flaws(reply, wanted)
        if len(reply.raw) <= MAX_REPLY:
            if len(self._flaws) >= MAX_REPLIES:
                self._flaws.clear()
            self._flaws[wanted, reply.raw] = flaws
        return flaws

    def content(self, x: Exchange, talk: Conversation) -> None:
        """Judge a message that is complete and answered. If ``x`` is an EVENT, the end of the message never came."""
        if x.act is Act.EVENT:
            flaws = 0 if x.content is None else unended_flaws(x.content)
            self._check([rule for on, rule in self._partial if on.fits(flaws)], x, talk)
            return
        flaws = 0 if x.content is None else flaws_of(x.content)
        rules = self._rules_by_flaws.get(flaws)
        if rules is None:
            rules = tuple([rule for on, rule in self._content if on.fits(flaws)])
            self._rules_by_flaws[flaws] = rules
        if rules:
            self._check(rules, x, talk)

    def ended(self, talk: Conversation) -> None:
        """Judge the whole connection, which is over."""
        if talk.uneventful:
            return
        facts = end_facts(talk.course)
        rules = self._rules_by_end.get(facts)
        if rules is None:
            rules = tuple([rule for on, rule in self._ended if not on.facts or on.facts & facts])
            self._rules_by_end[facts] = rules
        self._check(rules, None, talk)

    def _check(self, rules: Sequence[Rule], x: Exchange | None, talk: Conversation) -> None:
        fired = []
        for rule in rules:
            if rule.once and talk.record.findings and rule.id in talk.counts.by_rule:
                continue
            for evidence in rule.check(x, talk):  # type: ignore[arg-type]  # only a rule on the end gets None
                fired.append((rule, evidence))
        if not fired:
            return
        if x is not None and len(fired) == 1:
            self._record_finding(*fired[0], x, talk)
            return
        counts = talk.counts.by_rule
        hidden = frozenset[str]().union(*[rule.hides for rule, _ in fired])
        if x is None:  # at the end of a connection, all earlier findings count too
            hidden = hidden.union(*[RULES[name].hides for name in counts])
        fired.sort(key=_causes_first)
        for rule, evidence in fired:
            if rule.id not in hidden and not (rule.once and rule.id in counts):
                self._record_finding(rule, evidence, x, talk)

    def _record_finding(self, rule: Rule, evidence: Evidence, x: Exchange | None, talk: Conversation) -> None:
        severity = evidence.severity or (rule.severity_in(talk.profile) if rule.severities else rule.severity)
        if severity == "off":
            return
        side = evidence.side or rule.side
        findings = talk.record.findings
        series = None if evidence.series is None else (rule.id, side, evidence.series)
        if series is not None:
            first = talk.counts.series.get(series, -1)
            if first >= 0:
                _add_breach(findings[first], severity, evidence.count)
                _explain(rule, x, first, side, findings)
                return
        counts = talk.counts.by_rule
        count = counts[rule.id] = counts.get(rule.id, 0) + 1
        limit = self._limits.findings_per_rule
        if count > limit > 0:
            if count == limit + 1:
                talk.note(f"more than {limit} findings of {rule.id}: further ones are not listed")
            return
        place = len(findings)
        cause = None
        for earlier in evidence.caused_by or ():
            if earlier is not None and 0 <= earlier.finding < place:
                cause = earlier.finding
                break
        if cause is None and rule.id in FOLDS and evidence.caused_by is not None:
            cause = cause_of(rule.id, x, talk)
        if series is not None:
            talk.counts.series[series] = place
        message = evidence.message
        sentence, phrase = (message, None) if isinstance(message, str) else ("", message)
        turn, at, length, frame, time_ns, text = _place(evidence, x)
        places = talk.record.places
        offset, inside = (at, None) if places is None else shown_place(places, at)
        findings.append(
            RecordedFinding(
                rule.id,
                rule.name,
                severity,  # type: ignore[arg-type]  # it is not "off"
                side,
                "certain" if _is_certain(evidence, x, talk) else "indeterminate",
                sentence,
                rule.reference if evidence.reference is None else evidence.reference,
                turn,
                cause,
                frame,
                talk.run.clock(time_ns),
                offset,
                length,
                text,
                evidence.count,
                phrase=phrase,
                unit=evidence.unit,
                at=at,
                inside=UNSET if inside is None else inside,
            )
        )
        _explain(rule, x, place, side, findings)
        if x is not None and x.finding == place and x.breaks is not None and talk.session.causes.order is None:
            talk.session.own_causes().order = x


def _is_certain(evidence: Evidence, x: Exchange | None, talk: Conversation) -> bool:
    if evidence.certain is not None:
        return evidence.certain
    return talk.certain and (x is None or x.sure)


def _causes_first(fired: tuple[Rule, Evidence]) -> tuple[bool, int]:
    """Sort key: the command comes before its reply, and a finding that may follow from another one after it."""
    rule, evidence = fired
    return evidence.reply, DEPTH.get(rule.id, 0)


def _explain(rule: Rule, x: Exchange | None, place: int, side: str, findings: Sequence[Finding]) -> None:
    """Remember the finding at ``place`` as what ``x`` causes. A remark is what it causes only if there is nothing
    worse."""
    if x is None or (side == "server" and not (rule.explains or x.marks & _REFUSED_503)):
        return
    if x.finding < 0 or rule.explains or findings[x.finding].severity == "info":
        x.finding = place


def _add_breach(finding: Finding, severity: str, count: int) -> None:
    """Count one more breach of the fact that ``finding`` is about. The most severe one decides."""
    assert isinstance(finding, RecordedFinding)
    finding.breaches += 1
    finding.count += count
    if _RANK[severity] > _RANK[finding.severity]:
        finding.severity = severity  # type: ignore[assignment]  # it is not "off"


def _place(evidence: Evidence, x: Exchange | None) -> tuple[int | None, int, int, int, int, str]:
    """Return turn, offset, length, frame, time and text of a finding. What the evidence does not give comes from the
    reply or the command."""
    turn, offset, length, frame, time_ns, text = -1, 0, 0, 0, 0, evidence.evidence
    if x is None:
        pass
    elif evidence.reply or x.act is Act.GREETING or x.act is Act.NOTHING:
        answer = x.answer
        if answer is not None:
            turn, offset, frame, time_ns = answer.turn, answer.offset, answer.frame, answer.time_ns
            raw = answer.reply.raw
            length = len(raw)
            if text is None:
                text = printable(raw.split(b"\n", 1)[0].rstrip(b"\r")[:MAX_EVIDENCE])
    else:
        turn, offset, length, frame, time_ns = x.turn, x.offset, x.line.length, x.frame, x.time_ns
        if text is None:
            text = shown(x)[:MAX_EVIDENCE]
    return (
        turn if turn >= 0 else None,
        offset if evidence.offset is None else evidence.offset,
        length if evidence.length is None else evidence.length,
        frame if evidence.frame is None else evidence.frame,
        time_ns if evidence.time_ns is None else evidence.time_ns,
        text or "",
    )

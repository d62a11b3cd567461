"""Each pair of rules of which one explains the other: the consequence alone would be a finding of its own."""

from __future__ import annotations

import pytest
from pairs import abuse, messages, protocols, replies
from pairs.case import Case, Never, heard

from smtpwire.analyzer.findings.consequences import AFTER_ABUSE, IN_RUN, PAIRS
from smtpwire.analyzer.rules import RULES

FOLDED = [*abuse.CASES, *messages.CASES, *protocols.CASES, *replies.CASES]
HIDDEN = [*messages.HIDDEN, *protocols.HIDDEN, *replies.HIDDEN]
NEVER = [*messages.NEVER, *protocols.NEVER, *replies.NEVER]
TABLE = {(parent, child) for parent, _, children in PAIRS for child in children}
HIDES = {(rule.id, child) for rule in RULES.values() for child in rule.hides}
ABUSES = {"SEC616", "SEC618", "SEC626", "SEC612", "EXT504", "EXT505", "SEQ113", "SEQ125", "TCP908"}


def name(case: Case | Never) -> str:
    return f"{case.parent}-{case.child}"


def causes(case: Case, *, but: bool = False) -> set[str | None]:
    """The rules that the findings of the child follow from directly."""
    script = case.but if but else case.script
    assert script is not None
    found = heard(script, RULES.keys() - set(case.ignore), case.port)
    direct = [None if one.caused_by is None else found[one.caused_by].rule for one in found]
    return {cause for one, cause in zip(found, direct, strict=True) if one.rule == case.child}


@pytest.mark.parametrize("case", FOLDED, ids=name)
def test_a_consequence_is_reported_under_its_cause(case: Case) -> None:
    assert causes(case) == {case.parent}
    alone = heard(case.script, [case.child], case.port)
    assert {(one.rule, one.caused_by) for one in alone} == {(case.child, None)}


@pytest.mark.parametrize("case", [case for case in FOLDED if case.but is not None], ids=name)
def test_it_stands_alone_where_the_cause_does_not_reach(case: Case) -> None:
    found = causes(case, but=True)
    assert found - {case.parent}, "the child is not reported, or follows from the same cause"


@pytest.mark.parametrize("case", HIDDEN, ids=name)
def test_what_says_nothing_new_is_left_out(case: Case) -> None:
    both = {one.rule for one in heard(case.script, [case.parent, case.child], case.port)}
    assert both == {case.parent}
    alone = heard(case.script, [case.child], case.port)
    assert {(one.rule, one.caused_by) for one in alone} == {(case.child, None)}


@pytest.mark.parametrize("case", NEVER, ids=name)
def test_two_rules_that_never_find_anything_together(case: Never) -> None:
    alone = {rule for rule in (case.parent, case.child) if heard(case.script, [rule], case.port)}
    assert len(alone) < 2, case.because


def test_each_pair_has_a_dialogue() -> None:
    cases, never = {case[:2] for case in FOLDED}, {case[:2] for case in NEVER}
    assert TABLE - cases - never == set()
    assert HIDES - {case[:2] for case in HIDDEN} - never == set()
    assert never - TABLE - HIDES == set(), "a pair that cannot occur, and that no table has"
    assert {(parent, child) for parent in ("EXT504", "EXT505") for child in IN_RUN} - cases == set()


def test_each_consequence_of_an_abuse_and_each_abuse_have_a_dialogue() -> None:
    cases = {case[:2] for case in FOLDED if case.parent in ABUSES}
    assert AFTER_ABUSE - {child for _, child in cases} == set()
    assert ABUSES - {parent for parent, child in cases if child in AFTER_ABUSE} == set()

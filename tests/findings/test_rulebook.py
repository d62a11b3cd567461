"""The rule book: what it enforces for every rule."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scripts import END, findings, hello, lines

from smtpwire.analyzer.exchanges.state_table import Act
from smtpwire.analyzer.rules import RULES
from smtpwire.analyzer.rules.phrases import Phrase, Verb
from smtpwire.analyzer.rules.registry import Evidence, OnExchange, all_or_none, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smtpwire.analyzer.exchanges.conversation import Conversation
    from smtpwire.analyzer.exchanges.exchange import Exchange

NOOPS = [*hello(), *lines("C NOOP", "S 250 ok", "C NOOP", "S 250 ok", "C NOOP", "S 250 ok"), *END]


class Undo(Exception):
    """The rules of a test are no longer declared."""


@pytest.fixture
def rules_about_noop() -> Iterator[None]:
    """Two rules that find two things in every NOOP; the first hides the second, and reports once in a connection."""
    with suppress(Undo), all_or_none():
        for rule_id, once, hides in (("XRB001", True, ("XRB002",)), ("XRB002", False, ())):

            @rule(
                rule_id,
                f"noop-{rule_id.lower()}",
                "info",
                "client",
                "",
                on=OnExchange(acts=frozenset({Act.ANYTIME})),
                hides=hides,
                once=once,
            )
            def noop(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
                """NOOP."""
                yield Evidence(Phrase("First {verb}.", verb=Verb(x.name)))
                yield Evidence(Phrase("Second {verb}.", verb=Verb(x.name)))

        yield
        raise Undo


@pytest.mark.usefixtures("rules_about_noop")
def test_a_rule_that_reports_once_has_its_first_finding_only() -> None:
    found = findings(NOOPS, select=("XRB001",))
    assert [(finding.rule, finding.message) for finding in found] == [("XRB001", "First NOOP.")]
    assert len(findings([*NOOPS[:5], *END], select=("XRB001",))) == 1


@pytest.mark.usefixtures("rules_about_noop")
def test_a_rule_that_has_reported_hides_nothing_any_more() -> None:
    found = [finding.rule for finding in findings(NOOPS, select=("XRB",))]
    assert found == ["XRB001", "XRB002", "XRB002", "XRB002", "XRB002"]


def test_these_rules_report_once() -> None:
    once = {rule_id for rule_id, rule in RULES.items() if rule.once}
    about_tls = {"SEC640", "SEC641", "SEC642", "SEC643", "SEC644", "SEC645", "SEC646"}
    assert once == {"SEC603", "SEC604", "SEC606", "SEC618", "SEC630", "SEC633", "SEC638", *about_tls}


@pytest.mark.tree
def test_no_rule_looks_into_the_counts_of_findings() -> None:
    folder = Path(__file__).parents[2] / "analyzer" / "rules"
    assert [path.name for path in folder.glob("*.py") if ".counts" in path.read_text("utf-8")] == []

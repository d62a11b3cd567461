"""Rules explained: every fact of the registry is in the text, and docs/rules.md is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from handmade import lines_of, output

from smtpwire.analyzer.reports.rule_docs import FAMILIES, as_json, as_markdown, as_text, document
from smtpwire.analyzer.rules import RULES

PUBLISHED = Path(__file__).parents[2] / "docs" / "rules.md"
OURS = [RULES[rule_id] for rule_id in sorted(RULES)]


@pytest.mark.tree
def test_the_published_document_is_current() -> None:
    assert PUBLISHED.read_text("utf-8") == document(OURS), (
        "python -m smtpwire.analyzer.reports.rule_docs > docs/rules.md"
    )


def test_the_document_names_every_rule_and_family() -> None:
    text = document(OURS)
    for rule in OURS:
        assert f"\n### {rule.id} {rule.name}\n" in text
        assert f"](#{rule.id.lower()}-{rule.name})" in text
    assert {rule.family for rule in OURS} <= FAMILIES.keys()


def test_text_for_people() -> None:
    out, stream = output(width=60)
    as_text([RULES["SEQ122"]], out)
    text = "\n".join(lines_of(stream))
    assert text.startswith("SEQ122 empty-transaction-accepted\n  DATA answered 354 although no recipient is valid.\n")
    assert "  warning, fault of the server\n  error in profile lmtp\n" in text
    assert "  Fires:\n    S: 220 mx.example ESMTP\n" in text
    assert "  Does not fire:\n" in text
    assert max(map(len, text.splitlines())) <= 60


def test_the_port_of_an_example_is_shown() -> None:
    if "SEC631" in RULES:
        assert "Fires, server port 465:" in as_markdown([RULES["SEC631"]])


def test_json_has_the_facts() -> None:
    (facts,) = json.loads(as_json([RULES["SEQ122"]]))
    rule = RULES["SEQ122"]
    for name in ("id", "name", "title", "severity", "side", "reference"):
        assert facts[name] == getattr(rule, name)
    assert facts["severities"] == {"lmtp": "error"}
    assert "S: 354 go ahead" in facts["example"]["fires"]
    assert "S: 554 no recipient" in facts["example"]["silent"]


def test_special_characters_of_markdown_stay_text() -> None:
    for line in document(OURS).splitlines():
        if line.startswith("| ["):
            assert line.replace("\\|", "").count("|") == 5

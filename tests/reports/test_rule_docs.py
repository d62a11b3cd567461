"""Rules explained: every fact of the registry is in the text, and docs/rules.md is current."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from handmade import lines_of, output
from msgspec.structs import replace

from smtpwire.analyzer.reports.rule_docs import FAMILIES, as_json, as_markdown, as_text, document, facts, fixes
from smtpwire.analyzer.rules import RULES

if TYPE_CHECKING:
    from smtpwire.analyzer.rules import Rule

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


PARTIES = {"client", "server", "network", "proxy", "capture", "program that creates the message"}


@pytest.mark.parametrize("rule", OURS, ids=[rule.id for rule in OURS])
def test_every_rule_says_who_can_do_what(rule: Rule) -> None:
    found = fixes(rule)
    assert found
    assert found.keys() <= PARTIES
    assert " ".join(rule.explanation.split()).count("Fix the ") == len(found)
    for what in found.values():
        assert what[0].islower()
        assert what[-1] == "."
        assert len(what.split()) > 1


@pytest.mark.parametrize("rule", OURS, ids=[rule.id for rule in OURS])
def test_the_side_at_fault_can_do_something(rule: Rule) -> None:
    of_side = {"client": {"client", "program that creates the message", "proxy"}, "server": {"server"}}
    assert fixes(rule).keys() & of_side.get(rule.side, PARTIES)


def test_fixes_have_a_paragraph_of_their_own() -> None:
    out, stream = output(width=100)
    as_text([RULES["SEC637"]], out)
    text = "\n".join(lines_of(stream))
    assert (
        "\n\n  How to fix it:\n    server: enable TLS 1.2 and TLS 1.3, and turn the older versions off.\n"
        "    client: do the same, if it knows no newer version.\n\n  Fires"
    ) in text
    assert "Fix the" not in text
    assert "How to fix it:\n\n- server: enable TLS" in as_markdown([RULES["SEC637"]])
    assert facts(RULES["SEC637"])["fixes"] == fixes(RULES["SEC637"])


def test_a_rule_without_such_sentences_has_no_fixes() -> None:
    def check() -> None:
        """Title.

        Only an explanation.
        """

    rule = replace(RULES["SEQ101"], check=check)
    assert fixes(rule) == {}
    assert "How to fix it" not in as_markdown([rule])
    assert "Only an explanation." in as_markdown([rule])

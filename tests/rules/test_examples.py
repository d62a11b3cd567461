"""Every rule has an example that breaks it and a similar one that does not; both are played."""

from __future__ import annotations

import pytest
from examples import played

from smtpwire.analyzer.rules import RULES, example_ids, example_of, readable

OURS = sorted(rule_id for rule_id, rule in RULES.items() if rule.check.__module__.startswith("smtpwire."))
SHOWN = sorted(example_ids())


def fired(script: tuple[str, ...], profile: str | None, port: int) -> set[str]:
    connections = played(script, profile=profile, port=port)
    assert connections, "it is not recognised as SMTP"
    return {finding.rule for one in connections for finding in one.findings}


def test_every_rule_has_an_example() -> None:
    assert sorted(set(OURS) - example_ids()) == []
    assert sorted(example_ids() - RULES.keys()) == []


@pytest.mark.parametrize("rule_id", SHOWN)
def test_it_fires(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    assert rule_id in fired(example.fires, example.profile, example.port)


@pytest.mark.parametrize("rule_id", SHOWN)
def test_the_similar_dialogue_does_not_fire(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    assert example.silent != example.fires
    assert rule_id not in fired(example.silent, example.profile, example.port)


@pytest.mark.parametrize("rule_id", SHOWN)
def test_each_line_is_readable(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    for line in readable(example.fires) + readable(example.silent):
        assert line.startswith(("C", "S", "["))
        assert line.isprintable()
        assert len(line) < 120

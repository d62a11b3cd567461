"""Every rule has an example that breaks it and a neighbour that does not, and both are true."""

from __future__ import annotations

import pytest
from examples import played

from smtpwire.analyzer.rules import RULES, example_ids, example_of, readable

OURS = sorted(rule_id for rule_id, rule in RULES.items() if rule.check.__module__.startswith("smtpwire."))
SHOWN = sorted(example_ids())


def fired(script: tuple[str, ...], profile: str | None, port: int) -> set[str]:
    connections = played(script, profile=profile, port=port)
    assert connections, "it is not taken for SMTP"
    return {finding.rule for one in connections for finding in one.findings}


def test_every_rule_has_one() -> None:
    assert sorted(set(OURS) - example_ids()) == []
    assert sorted(example_ids() - RULES.keys()) == []


@pytest.mark.parametrize("rule_id", SHOWN)
def test_it_fires(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    assert rule_id in fired(example.fires, example.profile, example.port)


@pytest.mark.parametrize("rule_id", SHOWN)
def test_its_neighbour_does_not(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    assert example.silent != example.fires
    assert rule_id not in fired(example.silent, example.profile, example.port)


@pytest.mark.parametrize("rule_id", SHOWN)
def test_people_can_read_it(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    for line in readable(example.fires) + readable(example.silent):
        assert line.startswith(("C", "S", "["))
        assert line.isprintable()
        assert len(line) < 120

"""Whole dialogues that are attacks, or continue inside TLS, on every path to the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripts import Cut, at_random, by_byte, play, talk

VECTORS = [
    json.loads(line) for line in Path(__file__).with_name("vectors_security.jsonl").read_text("ascii").splitlines()
]
FAMILIES = ("SEC", "SEQ", "EXT", "CMD")
DECRYPTED = [vector for vector in VECTORS if any(who == "TLS" for who, _ in vector["script"])]
ON_THE_WIRE = [vector for vector in VECTORS if vector not in DECRYPTED]


def check(vector: dict[str, Any], cut: Cut | None, *, decrypted: bool) -> None:
    run = talk if decrypted else play
    connection = run(
        [(who, text) for who, text in vector["script"]],
        profile=vector.get("profile", "rfc5321"),
        port=vector.get("port", 25),
        cut=cut,
        select=FAMILIES,
    )
    expected = [rule for rule in vector["expect"] if rule.startswith(FAMILIES)]
    assert sorted({finding.rule for finding in connection.findings}) == expected


@pytest.mark.parametrize("cut", [None, by_byte, at_random(3207)], ids=["whole", "by byte", "at random"])
@pytest.mark.parametrize("vector", ON_THE_WIRE, ids=[vector["name"] for vector in ON_THE_WIRE])
def test_on_the_wire(vector: dict[str, Any], cut: Cut | None) -> None:
    check(vector, cut, decrypted=False)


@pytest.mark.parametrize("cut", [None, by_byte, at_random(3207)], ids=["whole", "by byte", "at random"])
@pytest.mark.parametrize("vector", DECRYPTED, ids=[vector["name"] for vector in DECRYPTED])
def test_inside_tls(vector: dict[str, Any], cut: Cut | None) -> None:
    check(vector, cut, decrypted=True)

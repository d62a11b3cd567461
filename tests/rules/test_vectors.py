"""Whole dialogues with exactly the sequence and octet rules that they must raise, on every path to the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import pcap
from scripts import at_random, by_byte, play, records, segments, talk

from smtpwire.analyzer.audit import audit

if TYPE_CHECKING:
    from scripts import Script

VECTORS = [json.loads(line) for line in Path(__file__).with_name("vectors.jsonl").read_text("ascii").splitlines()]
FAMILIES = ("SEQ", "BIT")

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


def script_of(vector: dict[str, Any]) -> Script:
    return [(who, text) for who, text in vector["script"]]


def options(vector: dict[str, Any]) -> dict[str, Any]:
    return {
        "profile": vector.get("profile", "rfc5321"),
        "port": vector.get("port", 25),
        "onesided": vector.get("onesided", False),
        "midstream": vector.get("midstream", False),
        "select": FAMILIES,
    }


def fired(connection: Any) -> list[str]:
    return sorted({finding.rule for finding in connection.findings})


def test_there_are_vectors_for_both_families_and_clean_ones() -> None:
    assert {rule[:3] for vector in VECTORS for rule in vector["expect"]} == set(FAMILIES)
    assert sum(not vector["expect"] for vector in VECTORS) > 40


@every_vector
def test_as_segments(vector: dict[str, Any]) -> None:
    assert fired(play(script_of(vector), **options(vector))) == vector["expect"]


@every_vector
def test_byte_by_byte(vector: dict[str, Any]) -> None:
    assert fired(play(script_of(vector), cut=by_byte, **options(vector))) == vector["expect"]


@every_vector
def test_in_random_segments(vector: dict[str, Any]) -> None:
    assert fired(play(script_of(vector), cut=at_random(5321), **options(vector))) == vector["expect"]


@every_vector
def test_without_tcp(vector: dict[str, Any]) -> None:
    assert fired(talk(script_of(vector), **options(vector))) == vector["expect"]


@every_vector
def test_through_a_file(vector: dict[str, Any], tmp_path: Path) -> None:
    chosen = options(vector)
    sent = segments(script_of(vector), port=chosen["port"], onesided=chosen["onesided"], midstream=chosen["midstream"])
    path = tmp_path / "vector.pcap"
    path.write_bytes(pcap(records(sent)))
    (connection,) = audit(path, profile=chosen["profile"], select=FAMILIES)
    assert fired(connection) == vector["expect"]

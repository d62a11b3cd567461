"""Captures of other programs inside TLS, with the exact plaintext; and dialogues of the rule book inside TLS."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

pytest.importorskip("cryptography")

from tls_captures import tls_capture

from smtpwire.analyzer.audit import Audit, Options, audit
from smtpwire.analyzer.model import Connection

if TYPE_CHECKING:
    from types import ModuleType

SHARED = Path(__file__).parents[3] / "shared"
TLS, SCORER, VECTORS = SHARED / "tls", SHARED / "tools" / "score_tls.py", SHARED / "rules" / "vectors.jsonl"

pytestmark = [pytest.mark.slow, pytest.mark.tree]


def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_tls", SCORER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["score_tls"] = module
    spec.loader.exec_module(module)
    return module


def reported(path: Path, *keys: Path) -> list[dict[str, Any]]:
    run = Audit(Options(keylog=tuple(map(str, keys))))
    found = [item for item in run.run([path]) if isinstance(item, Connection)]
    return json.loads(msgspec.json.encode(found))  # type: ignore[no-any-return]


@pytest.mark.skipif(not SCORER.exists(), reason="needs the shared captures")
def test_captures_with_the_exact_plaintext() -> None:
    score, wrong, count = scorer(), [], 0
    for path in sorted(TLS.glob("*.json")):
        truth = json.loads(path.read_text())
        count += 1
        connections = reported(path.with_name(truth["pcap"]))
        for one in truth.get("connections", [truth]):
            found = [c for c in connections if c["client"]["port"] == one["client_address"][1]]
            if not found and one.get("connection_optional"):
                continue
            assert found, path.stem
            told = score.judge(found[0], one, False, True)
            if told and truth.get("optional"):
                told = score.judge(found[0], {**one, "readable": "none"})
            wrong += [(path.stem, *told)] if told else []
    assert wrong == []
    assert count > 100


def _vectors() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    rows = map(json.loads, VECTORS.read_text().splitlines())
    return [row for row in rows if any(who == "TLS" for who, _ in row["script"])]


@pytest.mark.parametrize("row", _vectors(), ids=lambda row: row["name"])
@pytest.mark.parametrize("segment_size", [1400, 5])
def test_dialogues_of_the_rule_book_inside_tls(tmp_path: Path, row: dict[str, Any], segment_size: int) -> None:
    path = tmp_path / "a.pcap"
    script = [(who, data) for who, data in row["script"]]
    options = {"server_port": row["port"]} if "port" in row else {}
    tls_capture(path, script, keylog=tmp_path / "a.keys", segment_size=segment_size, **options)
    (connection,) = audit(path, profile=row.get("profile"))
    assert {f.rule for f in connection.findings if f.severity == "error"} >= set(row["expect"])
    unexpected = {f.rule for f in connection.findings if f.severity == "error"} - set(row["expect"])
    assert not unexpected

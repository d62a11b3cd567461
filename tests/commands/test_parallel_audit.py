"""How many processes an audit gets if nobody says it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.commands import parallel_audit
from smtpwire.analyzer.commands.parallel_audit import processes_for
from smtpwire.analyzer.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no such call")


@pytest.fixture(name="captures")
def _captures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 1,000 bytes of captures, on a machine with four cores; 200 bytes pay for a process."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(parallel_audit, "WORTH", 200)
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "a").write_bytes(bytes(900))
    (folder / "b").write_bytes(bytes(100))
    return folder


def test_as_many_as_pay(captures: Path) -> None:
    assert processes_for([str(captures)], Options()) == 4  # a core each
    assert processes_for([str(captures / "b")] * 5, Options()) == 2
    assert processes_for([str(captures / "b")], Options()) == 1
    assert processes_for([str(captures), "-"], Options()) == 1
    assert processes_for([str(captures / "missing")], Options()) == 1


def test_one_if_there_is_no_room(captures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_audit, "ROOM", 1 << 60)
    assert processes_for([str(captures)], Options()) == 1
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(captures / "nowhere"))
    assert processes_for([str(captures)] * 50_000, Options()) == 1


def test_one_for_rules_of_others(captures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a rule may compare connections."""
    monkeypatch.setattr(RULES["SEQ101"].check, "__module__", "their.rules")
    assert processes_for([str(captures)], Options()) == 1
    assert processes_for([str(captures)], Options(ignore=("SEQ101",))) == 4

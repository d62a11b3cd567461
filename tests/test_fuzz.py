"""Every target of the fuzzer holds on its seeds and on all that it ever found, without the fuzzer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.tree

HOME = Path(__file__).parents[1] / "fuzz"
if HOME.is_dir():
    from seeds import seeds
    from targets import TARGETS, target

    CASES = [(name, f"seed {number}", text) for name, texts in seeds().items() for number, text in enumerate(texts)]
    CASES += [(path.parent.name, path.name, path.read_bytes()) for path in sorted((HOME / "found").glob("*/*"))]
else:
    CASES, TARGETS = [], {}


@pytest.mark.parametrize(("name", "text"), [pytest.param(c[0], c[2], id=f"{c[0]}: {c[1]}") for c in CASES])
def test_a_target_holds(name: str, text: bytes) -> None:
    target(name)(text)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_beginning(name: str) -> None:
    assert any(case[0] == name for case in CASES)
    target(name)(b"")


def test_the_script_that_runs_them_can_be_run() -> None:
    assert os.access(HOME / "run", os.X_OK)

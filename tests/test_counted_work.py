"""In every place, with every unit, four times the bytes are about four times the work."""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import counted_work
import pytest
from counted_work import WORK, Counting

ROOT = Path(__file__).parents[1]
PARTS = 4

SQUARES = [  # functions whose work grows with the square of what they take, each in another way
    "def square(n):\n    found = ()\n    for item in range(n):\n        found += (item,)",
    "def square(n):\n    text = b''\n    for _ in range(n):\n        text += b'x'",
    "def square(n):\n    text = b'x' * n\n    while text:\n        text = text[1:]",
    "def square(n):\n    known = []\n    for item in range(n):\n        item in known or known.append(item)",
    "def square(n):\n    text = 'x' * n\n    for _ in range(n):\n        text.find('y')",
    "def square(n):\n    parts = []\n    for _ in range(n):\n        parts.append(b'x')\n        b''.join(parts)",
    "def square(n):\n    items = list(range(n))\n    for last in items:\n        any(item == -1 for item in items)",
    "def square(n):\n    items = list(range(n))\n    for _ in range(n):\n        tuple(items)",
]
LINES = [
    "def line(n):\n    found = []\n    for item in range(n):\n        found.append(item)\n    return tuple(found)",
    "def line(n):\n    text = bytearray()\n    for _ in range(n):\n        text += b'x'\n    return bytes(text)",
    "def line(n):\n    text, at = b'xy' * n, 0\n    while (at := text.find(b'y', at) + 1):\n        text[at : at + 2]",
]


@pytest.fixture(autouse=True)
def _counters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("step", "made", "grown", "each", "called"):
        monkeypatch.setattr(builtins, f"_counted_{name}", getattr(counted_work, name), raising=False)


def growth(source: str) -> float:
    """Return how many times the work of the only function of ``source`` grows if it takes four times as much."""
    names: dict[str, object] = {}
    tree = ast.fix_missing_locations(Counting().visit(ast.parse(source)))
    exec(compile(tree, "<source>", "exec"), names)
    function = names["square" if "square" in names else "line"]
    counts = []
    for size in (500, 2000):
        before = WORK[0]
        function(size)  # type: ignore[operator]
        counts.append(WORK[0] - before)
    return counts[1] / counts[0]


@pytest.mark.parametrize("source", SQUARES)
def test_what_grows_with_the_square_is_seen(source: str) -> None:
    assert growth(source) > 7


@pytest.mark.parametrize("source", LINES)
def test_what_is_linear_is_not_seen(source: str) -> None:
    assert growth(source) < 4.5


@pytest.mark.slow
@pytest.mark.tree
@pytest.mark.parametrize("part", range(PARTS))
def test_no_pump_costs_more_than_its_size(part: int) -> None:
    program = [sys.executable, str(ROOT / "tests" / "pumps.py"), str(part), str(PARTS)]
    folders = {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'benchmarks'}", "PATH": ""}
    done = subprocess.run(program, capture_output=True, text=True, check=True, env=folders)
    *wrong, number = done.stdout.splitlines()
    assert not wrong, "\n".join(wrong)
    assert int(number) > 500

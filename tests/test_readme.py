"""The examples in README.md are correct: commands run, their output is compared, Python code is executed.

A line ``...`` matches any lines. ``python tests/test_readme.py`` writes the current output into README.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tree]

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
if not README.exists():
    pytest.skip("needs the source tree", allow_module_level=True)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(README.read_text("utf-8")) if found == language]


def shown(block: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    assert not parts[0], "a console block must start with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def output_of(command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    return (run.stdout + run.stderr).decode()


def same(expected: str, got: str) -> bool:
    literal = re.sub(r"([\[\]*?])", r"[\1]", expected)
    return fnmatchcase(got, re.sub(r"^\.\.\.\n", "*", literal, flags=re.MULTILINE))


COMMANDS = [pair for block in blocks("console") for pair in shown(block)]


def test_the_page_has_examples() -> None:
    assert len(COMMANDS) > 4
    assert blocks("python")
    assert any(command == "smtpwire demo" for command, _ in COMMANDS)


@pytest.mark.parametrize(("command", "expected"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_output_is_real(command: str, expected: str) -> None:
    got = output_of(command)
    assert same(expected, got), got


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_runs(code: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout


def test_linked_files_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "samples/README.md"):
        text = (ROOT / name).read_text("utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


def main() -> None:
    """Update the shown output, except where ``...`` replaces a part of it."""

    def updated(command: str, old: str) -> str:
        return f"$ {command}\n{old if '...' in old.splitlines() else output_of(command)}"

    def current(match: re.Match[str]) -> str:
        language, body = match.groups()
        new = "".join(updated(*pair) for pair in shown(body)) if language == "console" else body
        return f"```{language}\n{new}```"

    README.write_text(BLOCK.sub(current, README.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

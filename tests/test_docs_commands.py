"""The tutorials: their commands run one after another and print what the pages show.

A line ``...`` matches any lines. ``python tests/test_docs_commands.py`` writes the current output into the pages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tree]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [DOCS / "extract.md", DOCS / "stores.md", *sorted((DOCS / "tutorials").glob("*.md"))]
# Pages whose commands have tests of their own.
ELSEWHERE = {"configuration.md", "plugins.md", "report.md", "wireshark.md"}
if not all(page.exists() for page in PAGES):
    pytest.skip("needs the source tree", allow_module_level=True)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def shown(block: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    assert not parts[0], "a console block must start with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def output_of(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        **{"PATH": path, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
    }
    run = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    return (run.stdout + run.stderr).decode()


def same(expected: str, got: str) -> bool:
    literal = re.sub(r"([\[\]*?])", r"[\1]", expected)
    return fnmatchcase(got, re.sub(r"^\.\.\.\n", "*", literal, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_tutorial_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    commands = [pair for block in BLOCK.findall(page.read_text("utf-8")) for pair in shown(block)]
    assert len(commands) > 3
    for command, expected in commands:
        got = output_of(command, tmp_path)
        assert same(expected, got), f"{command}\n{got}"


def test_every_page_with_commands_is_tested() -> None:
    pages = {page.relative_to(DOCS) for page in DOCS.rglob("*.md") if BLOCK.search(page.read_text("utf-8"))}
    assert pages == {page.relative_to(DOCS) for page in PAGES} | {Path(name) for name in ELSEWHERE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_tutorial_runs(page: Path) -> None:
    for code in PYTHON.findall(page.read_text("utf-8")):
        run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, check=False)
        assert run.returncode == 0, run.stderr.decode()


def main() -> None:
    """Update the shown output, except where ``...`` replaces a part of it."""
    for page in PAGES:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "samples").symlink_to(ROOT / "samples")

            def current(match: re.Match[str], directory: Path = directory) -> str:
                new = ""
                for command, old in shown(match[1]):
                    got = output_of(command, directory)
                    new += f"$ {command}\n{old if '...' in old.splitlines() else got}"
                return f"```console\n{new}```"

            page.write_text(BLOCK.sub(current, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

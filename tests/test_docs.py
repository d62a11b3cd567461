"""The examples in docs/ are correct. The tests of docs/rules.md and docs/plugins.md are with the tests of the rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from smtpwire.analyzer.config import read_config

pytestmark = pytest.mark.tree

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CONFIGURATION = DOCS / "configuration.md"
if not DOCS.exists():
    pytest.skip("needs the source tree", allow_module_level=True)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_example_configuration_is_valid_and_sets_everything(tmp_path: Path) -> None:
    (text,) = blocks(CONFIGURATION, "toml")
    path = tmp_path / "smtpwire.toml"
    path.write_text(text, "utf-8")
    config = read_config(path)
    settings = (
        "profile",
        "select",
        "ignore",
        "fail-on",
        "format",
        "redact",
        "ports",
        "known-codes",
        "baseline",
        "per-peer",
    )
    assert [name for name in settings if config.origin(name) == "default"] == []
    assert config.limits.connections == 50_000


@pytest.mark.slow
def test_the_shown_output_is_real() -> None:
    (block,) = blocks(CONFIGURATION, "console")
    command, _, expected = block.removeprefix("$ ").partition("\n")
    run = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, env={**os.environ}, capture_output=True, check=True
    )
    pattern = re.sub(r"^\.\.\.$", "*", re.sub(r"([\[\]?])", r"[\1]", expected), flags=re.MULTILINE)
    assert fnmatchcase(run.stdout.decode(), pattern)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines()}
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        assert (page.parent / name).exists(), target
        assert not anchor or name or anchor in headings, target

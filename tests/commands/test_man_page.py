"""The manual page: complete, of this version, and readable for the programs that show such pages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from smtpwire._version import __version__
from smtpwire.analyzer.commands.man_page import document
from smtpwire.analyzer.commands.table import MODULE_OF

PAGE = Path(__file__).parents[2] / "docs" / "smtpwire.1"


@pytest.mark.tree
def test_the_page_in_docs_is_up_to_date() -> None:
    update = "python -m smtpwire.analyzer.commands.man_page > docs/smtpwire.1"
    assert PAGE.read_text("utf-8") == document(), update


def test_every_command_has_a_section() -> None:
    page = document()
    sections = set(re.findall(r"^\.SS smtpwire (\w+)", page, re.MULTILINE))
    assert sections == set(MODULE_OF)
    assert f'"smtpwire {__version__}"' in page


def test_every_line_is_a_known_request_or_text() -> None:
    requests = set(re.findall(r"^[.'](\S+)", document(), re.MULTILINE))
    assert requests == {'\\"', "TH", "SH", "SS", "PP", "TP", "BR", "nf", "fi"}


@pytest.mark.slow
def test_man_shows_it_without_warnings(tmp_path: Path) -> None:
    man = shutil.which("man")
    version = [] if man is None else [man, "--version"]
    if man is None or b"man 2." not in subprocess.run(version, check=False, capture_output=True).stdout:
        pytest.skip("needs man-db")
    page = tmp_path / "smtpwire.1"
    page.write_text(document(), "utf-8")
    run = subprocess.run(
        [man, "--warnings", "-l", page],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANPAGER": "cat"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not run.stderr
    shown = re.sub(r".\x08", "", run.stdout)
    assert re.search(r"^ +--fail-on \[error\|warning\|info\|never\]\n", shown, re.MULTILINE)
    assert 'eval "$(smtpwire completion bash)"' in shown

"""./dev from any folder, and after an installation that was killed; a script stands for Python and pip."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.tree]

DEV = Path(__file__).parents[1] / "dev"
if not DEV.exists():
    pytest.skip("needs the source tree", allow_module_level=True)

# `-m venv --clear DIR` copies the script to DIR/bin/python, and `-m pip` writes the command. Both take as long as the
# environment says. Everything else is for the real interpreter.
PYTHON = f"""\
#!/bin/sh
case "$1 $2" in
    "-m venv")
        rm -rf "$4" && mkdir -p "$4/bin" && sleep "${{SECONDS_OF_VENV:-0}}" && cp "$0" "$4/bin/python" ;;
    "-m pip")
        sleep "${{SECONDS_OF_PIP:-0}}"
        printf '#!/bin/sh\\necho "$PWD: $*"\\n' >"$(dirname "$0")/smtpwire"
        chmod +x "$(dirname "$0")/smtpwire" ;;
    "-m compileall" | "-c import pip") ;;
    *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    clone = tmp_path / "a clone"
    clone.mkdir()
    shutil.copy(DEV, clone)
    (clone / "pyproject.toml").touch()
    os.utime(clone / "pyproject.toml", (1, 1))
    python = tmp_path / "python"
    python.write_text(PYTHON, "utf-8")
    python.chmod(0o755)
    return clone


def start(clone: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [clone / "dev", *words],
        cwd=clone.parent,
        env={**os.environ, "PYTHON": str(clone.parent / "python"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


def test_paths_are_relative_to_the_folder_of_the_user(clone: Path, tmp_path: Path) -> None:
    out, err = finish(start(clone, "run", "audit", "x.pcap"))
    assert out == f"{tmp_path}: audit x.pcap\n"
    assert [line.split()[1] for line in err.splitlines()] == ["making", "upgrading", "installing", "compiling", "ready"]
    out, err = finish(start(clone, "run", "audit", "y.pcap"))
    assert out == f"{tmp_path}: audit y.pcap\n"
    assert not err


@pytest.mark.parametrize("step", ["SECONDS_OF_VENV", "SECONDS_OF_PIP"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_installation_that_was_killed_is_made_again(clone: Path, step: str, number: signal.Signals) -> None:
    killed = start(clone, "run", **{step: "1"})
    begun = clone / ".venv" / "bin" / ("python" if step == "SECONDS_OF_PIP" else "")
    until = time.monotonic() + 30
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert begun.exists()
    killed.send_signal(number)
    killed.communicate()
    assert killed.returncode
    out, err = finish(start(clone, "run", "--version"))
    assert out.endswith(": --version\n")
    assert "an earlier installation was interrupted" in err


def test_two_at_once_install_once(clone: Path) -> None:
    both = [start(clone, "run", SECONDS_OF_PIP="1") for _ in range(2)]
    first, second = sorted((finish(process)[1] for process in both), key=len, reverse=True)
    assert "installing smtpwire into .venv, from" in first
    assert "waiting" in second
    assert "ready" not in second


def test_a_moved_clone_installs_again(clone: Path) -> None:
    finish(start(clone, "run"))
    moved = clone.rename(clone.parent / "moved")
    assert "installing smtpwire" in finish(start(moved, "run"))[1]


@pytest.mark.parametrize(("step", "hint"), [('"-m venv")', "apt install python3-venv"), ('"-m pip")', "pip failed")])
def test_a_failed_installation_says_what_to_do(clone: Path, step: str, hint: str) -> None:
    python = clone.parent / "python"
    python.write_text(PYTHON.replace(step, f"{step} exit 1"), "utf-8")
    process = start(clone, "run")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert hint in err.splitlines()[-1]
    for broken in (python, clone / ".venv" / "bin" / "python"):
        if broken.exists():
            broken.write_text(PYTHON, "utf-8")
    assert "interrupted" not in finish(start(clone, "run"))[1]

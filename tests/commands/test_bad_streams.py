"""Every command with streams that are full or closed, names that are too long, no working directory, a full disk: a
line, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smtpwire.analyzer.commands.table import MODULE_OF

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs a shell and limits of POSIX")]

DEMO = Path(__file__).parents[2] / "samples" / "demo.pcap"
LONG = "n" * 300

# A call of each command, and of each subcommand; `{}` is a folder of the test.
CALLS = {
    "audit": ["audit", str(DEMO), "--stats"],
    "audit -o": ["audit", str(DEMO), "-o", "{}/r.html", "-o", "sqlite:{}/r.db", "-o", "zeek:{}/zeek/"],
    "audit --jobs": ["audit", str(DEMO), "--jobs", "2", "--format", "ndjson"],
    "show": ["show", str(DEMO)],
    "show --end-of-data": ["show", str(DEMO), "--end-of-data", "--all"],
    "demo": ["demo"],
    "live": ["live", "--watch", "{}", "--duration", "0.5"],
    "annotate": ["annotate", str(DEMO), "-o", "{}/a.pcapng"],
    "annotate -o -": ["annotate", str(DEMO), "-o", "-"],
    "extract": ["extract", str(DEMO), "-o", "{}/mail", "--force"],
    "query": ["query", "select * from turns", str(DEMO)],
    "query --schema": ["query", "--schema"],
    "explain": ["explain", "--codes", "--verbs"],
    "rule": ["rule", "--all"],
    "rule --format": ["rule", "--all", "--format", "markdown"],
    "config": ["config", "--no-config"],
    "baseline write": ["baseline", "write", "{}/b.json", str(DEMO)],
    "wireshark status": ["wireshark", "status"],
    "wireshark install": ["wireshark", "install"],
    "wireshark uninstall": ["wireshark", "uninstall"],
    "completion": ["completion", "bash"],
    "--help": ["--help"],
    "--version": ["--version"],
    "nothing": [],
}

# What a shell puts behind the command.
STREAMS = [">/dev/full", "2>/dev/full", "<&- >&- 2>&-", "| head -c 1 >/dev/null"]


def run(words: list[str], place: Path, shell: str = "", cwd: Path | None = None, limit: int | None = None) -> str:
    """Run a command in a shell; return what it said on standard error."""
    command = [sys.executable, "-m", "smtpwire", *(word.replace("{}", str(place)) for word in words)]

    def before() -> None:
        import resource  # noqa: PLC0415  not on every system

        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        ["sh", "-c", f'"$@" {shell}', "sh", *command],
        cwd=cwd,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(place), "TMPDIR": str(place), "PYTHONSAFEPATH": ""},
        preexec_fn=before,
        check=False,
        timeout=120,
    )
    errors = (done.stderr + done.stdout).decode(errors="replace")
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert done.returncode in {0, 1, 2, 3}
    return done.stderr.decode(errors="replace")


def test_every_command_is_called() -> None:
    assert set(MODULE_OF) <= {words[0] for words in CALLS.values() if words}


@pytest.mark.parametrize("shell", STREAMS)
@pytest.mark.parametrize("name", CALLS)
def test_streams_that_are_full_or_closed(name: str, shell: str, tmp_path: Path) -> None:
    if "/dev/full" in shell and not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    said = run(CALLS[name], tmp_path, shell)
    if shell == ">/dev/full" and name not in {"--version", "audit -o"}:
        assert "No space left on device" in said or "not found" in said


@pytest.mark.parametrize("name", CALLS)
def test_a_disk_that_is_full(name: str, tmp_path: Path) -> None:
    run(CALLS[name], tmp_path, limit=5000)
    assert not [path for path in tmp_path.rglob(".smtpwire-*") if path.is_file()]


@pytest.mark.parametrize("name", CALLS)
def test_a_working_directory_that_is_gone(name: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = ["-c", 'cd "$1" && rmdir "$1" && shift && exec "$@"', "sh", str(gone), sys.executable, "-m", "smtpwire"]
    words += [word.replace("{}", str(tmp_path)) for word in CALLS[name]]
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(["sh", *words], capture_output=True, env=environment, check=False, timeout=60)
    assert b"Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "words",
    [
        *(["audit", LONG], ["audit", str(DEMO), "-o", LONG], ["audit", str(DEMO), "--config", LONG]),
        *(["audit", str(DEMO), "--baseline", LONG], ["audit", str(DEMO), "-o", f"sqlite:{LONG}"], ["show", LONG]),
        *(["audit", str(DEMO), "-o", f"zeek:{LONG}/"], ["audit", str(DEMO), "-o", f"parquet:{LONG}"], [LONG]),
        *(["extract", str(DEMO), "-o", LONG], ["annotate", LONG, "-o", "x"], ["annotate", str(DEMO), "-o", LONG]),
        *(["baseline", "write", LONG, str(DEMO)], ["live", "--watch", LONG], ["live", "-i", LONG], ["rule", LONG]),
        *(["query", "select 1", LONG], ["query", "select 1", "--db", LONG], ["audit", "--jobs", "2", LONG]),
        *(
            ["live", "--watch", ".", "--user", LONG],
            ["live", "--watch", ".", "--syslog", f"/{LONG}", "--duration", "0"],
        ),
        ["live", "--watch", ".", "--metrics", LONG],
    ],
)
def test_names_that_are_too_long(words: list[str], tmp_path: Path) -> None:
    said = run(words, tmp_path, cwd=tmp_path)
    assert said.count("\n") <= 2
    assert not list(tmp_path.iterdir())

"""``--stats``: time and memory of a run, on standard error."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import Record, ethernet, ipv4, pcap, tcp
from scripts import envelope, hello, lines

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.slow

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))
SCRIPT = [*hello(), *envelope(), *lines("C QUIT", "S 221 bye", "FC", "FS")]


def stats(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "smtpwire", "audit", *map(str, arguments), "--format", "ndjson", "--stats"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode in {0, 1, 3}
    assert all(line.startswith("smtpwire: ") for line in run.stderr.splitlines())
    return run.stderr


def write(path: Path, frames: Iterable[Record | bytes]) -> Path:
    path.write_bytes(pcap(frames))
    return path


def test_it_reports_frames_decoders_seconds_and_memory() -> None:
    said = stats(DEMO)
    assert re.search(r"135 frames, 0\.0 MB in [0-9.]+ s: [0-9,]+ frames per second", said)
    assert "decoded by hot loop 100.0 %, raw decoder 0.0 %, Scapy 0.0 %" in said
    assert "6 connections, 4 messages" in said
    assert re.search(r"[0-9.]+ s reading and judging, [0-9.]+ s writing", said)
    peak = re.search(r"peak memory ([0-9]+) MB", said)
    assert peak is None or 15 < int(peak[1]) < 200


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere the system does not tell them apart")
def test_the_memory_of_the_parent_process_is_not_counted() -> None:
    """A build server of 400 MB, say, that runs the audit."""
    parent = (
        "import subprocess, sys; large = b'x' * 400_000_000\n"
        "sys.exit(subprocess.run([sys.executable, '-m', 'smtpwire', *sys.argv[1:]]).returncode)"
    )
    command = [sys.executable, "-c", parent, "audit", str(DEMO), "--fail-on", "never", "--stats"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    peak = re.search(r"peak memory ([0-9]+) MB", run.stderr)
    assert peak is not None
    assert 15 < int(peak[1]) < 200


def test_without_it_nothing_is_printed() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "smtpwire", "audit", str(DEMO)], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""


def test_the_share_of_each_decoder_is_reported(tmp_path: Path) -> None:
    plain = ethernet(ipv4(tcp(1, 25, b"x")))
    tagged = ethernet(ipv4(tcp(1, 25, b"x")), tags=(0x8100,))
    unknown = ethernet(bytes(60), 0x9A9A)
    said = stats(write(tmp_path / "mixed.pcap", [plain] * 5 + [tagged] * 3 + [unknown] * 2))
    assert "decoded by hot loop 50.0 %, raw decoder 30.0 %, Scapy 20.0 %" in said


def test_an_input_that_cannot_be_read_adds_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"nothing of the kind")
    assert "135 frames" in stats(DEMO, bad)

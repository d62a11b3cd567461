"""``smtpwire live`` with a key log that a program still writes to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cryptography")

from netns import Live, Namespace, frames_of, needs_namespace
from tls_captures import HELLO_INSIDE, QUIT, tls_capture

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, needs_namespace]

BREACH = [("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n")]


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with Namespace() as one:
        yield one


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:  # the one of pytest is for root only
        path = Path(name)
        path.chmod(0o777)
        yield path


def inside(connection: dict[str, Any]) -> list[str]:
    return [turn["verb"] for turn in connection["dialogue"] if turn["kind"] == "command" and "inside" in turn]


@pytest.mark.parametrize("jobs", [1, 2])
def test_keys_that_come_after_the_frames_open_them(space: Namespace, folder: Path, jobs: int) -> None:
    log = folder / "keys"
    log.write_bytes(b"")
    tls_capture(folder / "a.pcap", [*HELLO_INSIDE, *BREACH, *QUIT], keylog=folder / "later")
    frames, lines = frames_of(folder / "a.pcap"), (folder / "later").read_bytes().splitlines(keepends=True)
    with Live(space, "-i", "v1", "--keylog", str(log), "--jobs", str(jobs)) as live:
        live.started()
        half = next(n for n, frame in enumerate(frames) if b"\x16\x03\x03" in frame) + 6  # after the hellos
        space.send(frames[:half])
        for line in lines:
            with log.open("ab") as stream:
                stream.write(line)
        space.send(frames[half:])
        live.connection(43210)
        assert live.stop() == 0
    (connection,) = live.items("connection")
    assert inside(connection) == ["EHLO", "RCPT", "QUIT"]
    assert "SEQ103" in [finding["rule"] for finding in live.items("finding")]
    secret = lines[-1].split()[-1].decode()
    assert not any(secret in line for line in [*live.lines, *live.said])


def test_a_recording_carries_the_secrets_of_its_sessions_and_says_so(space: Namespace, folder: Path) -> None:
    log, written = folder / "keys", folder / "out.pcapng"
    tls_capture(folder / "a.pcap", [*HELLO_INSIDE, *BREACH, *QUIT], keylog=log)
    tls_capture(folder / "b.pcap", [*HELLO_INSIDE, *QUIT], keylog=folder / "others")
    others = (folder / "others").read_bytes()
    with log.open("ab") as stream:
        stream.write(others)
    with Live(space, "-i", "v1", "--keylog", str(log), "--write", str(written)) as live:
        said = live.hear("secrets of the TLS sessions")
        assert str(written) in said
        space.send(frames_of(folder / "a.pcap"))
        live.connection(43210)
        assert live.stop() == 0
    data = written.read_bytes()
    assert others.split()[-1] not in data  # of a session that is not in the recording
    done = subprocess.run(
        [sys.executable, "-m", "smtpwire", "audit", "--no-config", "--format", "json", str(written)],
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["captures"][0]["key_logs"] == ["(in the capture)"]
    assert inside(report["connections"][0]) == ["EHLO", "RCPT", "QUIT"]


def test_a_key_log_that_does_not_exist_is_wrong_use(space: Namespace, folder: Path) -> None:
    with Live(space, "-i", "v1", "--keylog", str(folder / "missing")) as live:
        assert live.wait() == 2
        assert any("the key log cannot be read" in line for line in live.said)

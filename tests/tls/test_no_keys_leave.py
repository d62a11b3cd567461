"""No key and no secret of a session is in anything that the program writes, except where it says so."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("cryptography")

from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, tls_capture

from smtpwire.analyzer.enums import ReportFormat

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PASSWORD = b"Zq7-never-shown-4411"
LOGIN = [
    ("C", b"AUTH PLAIN " + base64.b64encode(b"\0carol\0" + PASSWORD) + b"\r\n"),
    ("S", b"235 welcome\r\n"),
    ("C", b"AUTH LOGIN\r\n"),
    ("S", b"334 VXNlcm5hbWU6\r\n"),
    ("C", base64.b64encode(b"carol") + b"\r\n"),
    ("S", b"334 UGFzc3dvcmQ6\r\n"),
    ("C", base64.b64encode(PASSWORD) + b"\r\n"),
    ("S", b"535 no " + PASSWORD + b"\r\n"),
]


def secrets_of(log: Path) -> list[bytes]:
    """Return each secret in the forms in which it could be written."""
    found = []
    for line in log.read_bytes().splitlines():
        if line.startswith(b"#"):
            continue
        digits = line.split()[-1]
        raw = bytes.fromhex(digits.decode())
        found += [digits, digits.upper(), raw, base64.b64encode(raw), repr(raw).encode()[2:-1]]
    return found


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captured")
    script = [HELLO_INSIDE[0], ("S", b"250-mx.example\r\n250 AUTH PLAIN LOGIN\r\n"), *LOGIN, *TRANSACTION, *QUIT]
    tls_capture(folder / "a.pcap", script, keylog=folder / "a.keys")
    return folder / "a.pcap"


def outputs(folder: Path, capture: Path, *words: str) -> list[bytes]:
    """Run a command; return all that it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "smtpwire", *words], capture_output=True, check=False, cwd=folder, timeout=120
    )
    assert done.returncode in {0, 1}, done.stderr
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [done.stdout, done.stderr, *written]


COMMANDS = [
    *(
        ["audit", "--no-config", "--stats", "-o", f"{form}:out.{form}", "CAPTURE"]
        for form in ReportFormat
        if form != "text"
    ),
    ["audit", "--no-config", "--stats", "--jobs", "2", "CAPTURE"],
    ["audit", "--no-config", "--format", "json", "--redact", "pii", "CAPTURE"],
    ["show", "--no-config", "CAPTURE"],
    ["extract", "--no-config", "-o", "mails", "CAPTURE"],
    ["annotate", "--no-config", "-o", "copy.pcapng", "CAPTURE"],
    ["baseline", "write", "--no-config", "known.json", "CAPTURE"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2] + words[3:5]))
def test_no_secret_is_written(tmp_path: Path, captured: Path, words: list[str]) -> None:
    command = [str(captured) if word == "CAPTURE" else word for word in words]
    found = outputs(tmp_path, captured, *command)
    assert any(len(one) > 100 for one in found)
    for secret in [*secrets_of(captured.with_suffix(".keys")), PASSWORD, base64.b64encode(PASSWORD)]:
        assert not [one[:80] for one in found if secret in one]


def test_an_error_shows_no_line_of_the_key_log(tmp_path: Path, captured: Path) -> None:
    keys = captured.with_suffix(".keys").read_bytes()
    broken = tmp_path / "broken.keys"
    broken.write_bytes(keys.replace(b" ", b"  "))
    found = outputs(tmp_path, captured, "audit", "--no-config", "--keylog", str(broken), str(captured))
    for secret in secrets_of(captured.with_suffix(".keys")):
        assert secret not in found[0] + found[1]
    assert b"is no key log" in found[1]

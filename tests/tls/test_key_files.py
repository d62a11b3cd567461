"""Key logs as files: what is refused, what is said about them, and what happens without the package for ciphers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("cryptography")

from msgspec import UNSET
from tls_captures import HELLO_INSIDE, QUIT, tls_capture

from smtpwire import audit
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.live.directory_source import DirectorySource
from smtpwire.analyzer.live.live_audit import LiveAudit
from smtpwire.analyzer.segments.decoder import SegmentDecoder
from smtpwire.analyzer.tls import key_files, session_secrets
from smtpwire.analyzer.tls.key_files import KeyFiles, notes_on, read_key_logs

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = [*HELLO_INSIDE, *QUIT]


@pytest.mark.parametrize("growing", [False, True])
def test_what_is_no_file_is_refused(tmp_path: Path, growing: bool) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match="the key log cannot be read"):
            KeyFiles().add(str(path), growing=growing)


def test_a_file_that_is_no_key_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "capture").write_bytes(b"\xd4\xc3\xb2\xa1 not\nthis\n")
    tls_capture(tmp_path / "a.pcap", SCRIPT, keylog=tmp_path / "good")
    (tmp_path / "half").write_bytes((tmp_path / "good").read_bytes() + b"rubbish\n")
    notes = notes_on(read_key_logs([str(tmp_path / name) for name in ("capture", "good", "half")]))
    assert notes[0] == f"{tmp_path}/capture is no key log: none of its lines is valid (2)"
    assert notes[1].startswith(f"{tmp_path}/half: 1 of ")
    assert len(notes) == 2


def test_without_the_package_the_report_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_secrets, "decrypts", lambda: False)
    monkeypatch.setattr(key_files, "decrypts", lambda: False)
    tls_capture(tmp_path / "a.pcap", SCRIPT, keylog=tmp_path / "a.keys")
    (connection,) = audit(tmp_path / "a.pcap")
    session = connection.tls_session
    assert session is not UNSET
    assert (session.decrypted, session.why) == ("none", "the package cryptography is missing")
    (note,) = notes_on(read_key_logs([str(tmp_path / "a.keys")]))
    assert "pip install cryptography" in note


def test_a_watched_directory_uses_the_key_logs_beside_its_captures(tmp_path: Path) -> None:
    tls_capture(tmp_path / "a.pcap", SCRIPT, keylog=tmp_path / "a.keys")
    os.utime(tmp_path / "a.pcap", (1, 1))
    now = [100.0]
    run = LiveAudit(Options())
    source = DirectorySource(str(tmp_path), quiet_seconds=1, clock=lambda: now[0], keys_of=run.keys_of)
    decoder = SegmentDecoder(run.tracker.segment)
    for _ in range(20):
        source.take(decoder)
        now[0] += 10
    found = [update.connection for update in (*run.updates(), *run.last_updates())]
    session = found[0].tls_session
    assert session is not UNSET
    assert session.decrypted == "all"

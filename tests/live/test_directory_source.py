"""``--watch``: the files of a directory, each read once, in order of time, when it is finished."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import START, Conversation, Record, pcap, pcapng

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.live.directory_source import DirectorySource
from smtpwire.analyzer.live.live_audit import LiveAudit
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Connection

QUIET = 0.3
SECOND = 1_000_000_000


def talk(port: int = 43210, start_ns: int = START) -> list[Record]:
    one = Conversation(port, start_ns=start_ns).open().server(b"220 mx.example ESMTP\r\n")
    one.client(b"MAIL FROM:<a@client.example>\r\n").server(b"250 ok\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n")
    return one.close().records


class Watched:
    """A directory with its audit, which a test calls itself. Its clock advances only while it is called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1_000_000.0
        self.source = DirectorySource(str(path), quiet_seconds=QUIET, clock=lambda: self.now)
        self.audit = LiveAudit(Options())
        self._decoder = SegmentDecoder(self.audit.tracker.segment)
        self.read: list[str] = []
        self.notices: list[str] = []
        self.ended: list[Connection] = []

    def write(self, name: str, data: bytes) -> Path:
        """Write the file, with the time of the clock."""
        place = self.path / name
        place.write_bytes(data)
        os.utime(place, (self.now, self.now))
        return place

    def __call__(self, seconds: float = 1.2) -> list[str]:
        """Run for some seconds of the clock; return the names of the files that were read since the start."""
        end = self.now + seconds
        while self.now < end:
            if not self.source.take(self._decoder):
                self.now += 0.02
            self.ended += [one.connection for one in self.audit.updates() if one.ended]
            self.notices += self.source.notices()
            self.read += [Path(capture.path).name for capture in self.source.captures]
            self.source.captures.clear()
        return self.read


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_files_are_read_in_order_of_time_for_any_names(watched: Watched) -> None:
    for name, place in (("c", 0), ("a", 1), ("b", 2)):
        records = talk(40000 + place, START + place * 60 * SECOND)
        watched.write(f"{name}.pcap", pcap(records))
    assert watched() == ["c.pcap", "a.pcap", "b.pcap"]
    assert watched(0.8) == ["c.pcap", "a.pcap", "b.pcap"]
    assert len(watched.ended) == 3


def test_a_connection_continues_from_file_to_file(watched: Watched) -> None:
    records = talk()
    for number in range(3):
        watched.write(f"part{number}.pcapng", pcapng(records[number * 4 : number * 4 + 4]))
    watched()
    (connection,) = watched.ended
    assert len(connection.dialogue) == 5
    assert connection.gaps == []


def test_the_newest_waits_until_it_no_longer_grows(watched: Watched) -> None:
    records = talk()
    whole = pcap(records)
    for cut in range(100, len(whole), 120):
        watched.write("growing.pcap", whole[:cut])
        assert watched(QUIET / 2) == []
    watched.write("growing.pcap", whole)
    assert watched() == ["growing.pcap"]
    assert len(watched.ended) == 1
    assert watched.notices == []


def test_an_older_file_is_read_as_soon_as_it_stops_growing(watched: Watched) -> None:
    watched.source._quiet = 60
    watched.write("old.pcap", pcap(talk()))
    watched.write("new.pcap", pcap(talk(start_ns=START + SECOND)))
    assert watched(1.6) == ["old.pcap"]


def test_a_reused_name_is_another_file(watched: Watched) -> None:
    watched.write("mail.pcap0", pcap(talk()))
    assert watched() == ["mail.pcap0"]
    watched.write("mail.pcap0", pcap(talk(50000, START + 60 * SECOND)))
    assert watched() == ["mail.pcap0", "mail.pcap0"]
    assert [connection.client.port for connection in watched.ended] == [43210, 50000]


def test_a_compressed_copy_is_not_read_again(watched: Watched) -> None:
    place = watched.write("mail.pcap", pcap(talk()))
    assert watched() == ["mail.pcap"]
    watched.write("mail.pcap.gz", gzip.compress(place.read_bytes()))
    place.unlink()
    assert watched() == ["mail.pcap"]


def test_a_file_that_grows_after_it_was_read_is_reported(watched: Watched) -> None:
    records = talk()
    watched.write("mail.pcap", pcap(records[:6]))
    assert watched() == ["mail.pcap"]
    watched.write("mail.pcap", pcap(records))
    assert watched() == ["mail.pcap"]
    (notice,) = watched.notices
    assert "it grew after it was read" in notice


def test_an_invalid_file_with_the_name_of_a_capture_is_reported_once(watched: Watched) -> None:
    watched.write("notes.txt", b"hello")
    watched.write("broken.pcap", b"hello")
    watched.write(".hidden.pcap", pcap(talk()))
    assert watched(2) == []
    (notice,) = watched.notices
    assert "broken.pcap" in notice


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        DirectorySource(str(tmp_path / "nix"))


def test_a_file_that_is_read_when_the_run_ends_says_so(watched: Watched) -> None:
    sessions = [record for number in range(2000) for record in talk(1024 + number, START + number * SECOND)]
    watched.write("long.pcap", pcap(sessions))  # more than one block
    decoder = SegmentDecoder(watched.audit.tracker.segment)
    while not watched.source.take(decoder):
        watched.now += 0.1
    watched.source.close(decoder)
    (capture,) = watched.source.captures
    assert 0 < capture.frames < len(sessions)
    assert capture.problems == ["the run ended before the end of this file: the rest is not read"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "first.pcap").write_bytes(pcap(talk()))
    (tmp_path / "second.pcap").write_bytes(pcap(talk(50000, START + SECOND)))
    words = [sys.executable, "-m", "smtpwire", "live", "--watch", str(tmp_path), "--format", "ndjson", "--no-config"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        items: list[dict[str, Any]] = []
        while not (items and items[-1]["type"] == "capture"):
            items.append(json.loads(process.stdout.readline()))
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    items += map(json.loads, out.splitlines())
    assert process.returncode == 0, err
    assert [item["type"] for item in items] == ["finding", "finding", "connection", "capture", "summary"]
    assert items[3]["path"].endswith("first.pcap")
    assert items[-1]["connections"] == 1  # the second is the newest, and may still grow


# -- what is not a file ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_devices_and_sockets_are_skipped_and_named_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watched = Watched(tmp_path / "in")
    os.mkfifo(watched.path / "a.pcap")
    (watched.path / "b.pcap").symlink_to("/dev/zero")
    (watched.path / "c.pcap").symlink_to(watched.path / "a.pcap")
    os.mkfifo(watched.path / "no-capture-by-its-name")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(watched.path / "d.pcap"))
    watched.write("e.pcap", pcap(talk()))
    assert watched(3) == ["e.pcap"]
    assert sorted(watched.notices) == [
        f"{watched.path}/a.pcap: skipped: a pipe, not a file",
        f"{watched.path}/b.pcap: skipped: a device, not a file",
        f"{watched.path}/c.pcap: skipped: a pipe, not a file",
        f"{watched.path}/d.pcap: skipped: a socket, not a file",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_file_that_becomes_a_pipe_does_not_stop_the_audit(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    place = watched.write("a.pcap", pcap(talk()))
    watched(0.1)  # it was seen, and waits until it no longer grows
    place.unlink()
    os.mkfifo(place)
    assert watched(3) == []


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    watched = Watched(tmp_path)
    (tmp_path / "inner").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    watched(3)
    assert watched.notices == [f"{tmp_path}: cannot read (Permission denied)"]
    with pytest.raises(UsageError, match=r"cannot read \(Permission denied\): .*: name a user .* with --user"):
        DirectorySource(str(tmp_path))

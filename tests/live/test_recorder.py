"""The recording: what happens if the disk is full, and into which files it is written."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from captures import START, Conversation

from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.files.atomic_files import kept_open
from smtpwire.analyzer.frames.inputs import Source, read_capture
from smtpwire.analyzer.live import recorder as recorder_module
from smtpwire.analyzer.live.recorder import Recorder, Rotation
from smtpwire.analyzer.live.ring_frames import RingFrame
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from pathlib import Path

INTERFACES = [("eth0", 1)]


def frames() -> list[RingFrame]:
    talk = Conversation(start_ns=START).open().server(b"220 mx\r\n").client(b"QUIT\r\n").close()
    return [RingFrame(record.time_ns, record.data, record.length) for record in talk.records]


class Disk:
    """A disk with so many bytes of room. Its files are what the recorder writes to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        monkeypatch.setattr(recorder_module, "kept_open", lambda path: FullFile(self, kept_open(path)))


class FullFile:
    def __init__(self, disk: Disk, file: object) -> None:
        self._disk = disk
        self._file = file

    def write(self, data: memoryview) -> int:
        if not self._disk.room:
            raise OSError(28, "No space left on device")
        taken: int = self._file.write(data[: self._disk.room])  # type: ignore[attr-defined]
        self._disk.room -= taken
        return taken

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("room", [300, 400, 555, 1000])
def test_a_full_disk_ends_the_recording_with_a_whole_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, one_by_one: bool
) -> None:
    Disk(monkeypatch, room)
    place = tmp_path / "a.pcapng"
    recorder = Recorder(str(place), INTERFACES)
    if one_by_one:
        for frame in frames() * 3:
            recorder.add(0, [frame])
    else:
        recorder.add(0, frames() * 3)
    assert recorder.fault == f"cannot write (No space left on device): {place}: nothing was recorded after that"
    recorder.close()
    assert room - 110 < place.stat().st_size <= room  # the longest frame has fewer bytes
    source = Source(place)
    for _ in read_capture(source, SegmentDecoder(lambda *_: None)):
        pass
    assert source.capture.problems == []
    assert source.capture.frames > 0


def test_a_full_disk_at_the_start_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, 10)
    with pytest.raises(UsageError, match="No space left on device"):
        Recorder(str(tmp_path / "a.pcapng"), INTERFACES)


def test_a_full_disk_at_the_next_file_of_a_ring_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, 5000)
    recorder = Recorder(str(tmp_path / "a.pcapng"), INTERFACES, Rotation(4096, 2))
    for frame in frames() * 20:
        recorder.add(0, [frame])
    assert recorder.fault is not None
    recorder.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("folder", [0o755, 0o1777])
@pytest.mark.parametrize("ring", [None, Rotation(4096, 2)])
def test_nothing_is_recorded_into_a_file_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: int, ring: Rotation | None
) -> None:
    place = tmp_path / "pub"
    place.mkdir()
    place.chmod(folder)
    monkeypatch.setattr(time, "strftime", lambda *_: "20260102030405")
    theirs = place / ("a.pcapng" if ring is None else "a_00001_20260102030405.pcapng")
    theirs.write_bytes(b"")
    theirs.chmod(0o666)
    os.chown(theirs, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to another user"):
        Recorder(str(place / "a.pcapng"), INTERFACES, ring)
    assert theirs.read_bytes() == b""

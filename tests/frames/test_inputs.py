"""Inputs as users name them: files, folders, pipes; and the message if one cannot be read."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from captures import (
    START,
    Conversation,
    Record,
    ethernet,
    ipv4,
    pcap,
    pcap_record,
    pcapng,
    tcp,
)
from readback import collector, read

from smtpwire.analyzer.errors import InputError
from smtpwire.analyzer.frames.input_list import open_inputs
from smtpwire.analyzer.frames.inputs import Source, read_capture
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_000_000_000
TALK = Conversation().open()
TALK.server(b"220 mx ESMTP\r\n")
RECORDS = TALK.close().records


def one(seconds: int, text: bytes = b"") -> bytes:
    """Return a capture of one frame, ``seconds`` after the start."""
    return pcap([Record(ethernet(ipv4(tcp(1, 25, text))), START + seconds * SECOND)])


def refusal(path: Path | str) -> str:
    _, decoder = collector()
    (source,) = open_inputs([path])
    with pytest.raises(InputError) as caught:
        next(read_capture(source, decoder))
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_gzip_of_either_format_in_one_member_or_two(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    data = make(RECORDS)
    for number, compressed in enumerate((gzip.compress(data), gzip.compress(data[:100]) + gzip.compress(data[100:]))):
        path = tmp_path / f"{number}.gz"
        path.write_bytes(compressed)
        result = read(path)
        assert result.capture.frames == len(result.segments) == len(RECORDS)
        assert result.capture.format == make.__name__
        assert result.capture.problems == []


def test_truncated_gzip_is_read_up_to_its_end(tmp_path: Path) -> None:
    frames = [Record(os.urandom(200)) for _ in range(500)]
    compressed = gzip.compress(pcap(frames))
    path = tmp_path / "a.pcap.gz"
    path.write_bytes(compressed[: len(compressed) // 2])
    capture = read(path).capture
    assert 200 < capture.frames < 260
    assert capture.problems[0] == f"the gzip data is cut short at byte {len(compressed) // 2}"


def _compressed(data: bytes) -> bytes:
    """Compress without the time, which would give the test another name each second."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "the file is empty: {}: capture again: nothing was written to it"),
        (b"hello, world, this is text", "not a capture: {}: pcap and pcapng can be read, also compressed with gzip"),
        (b"\xd4\xc3\xb2\xa1\2\0", "the file is too short: {}: a pcap file starts with a header of 24 bytes"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "the file is compressed with zstd: {}: unpack it first: zstd -d"),
        (b"snoop\0\0\0" + bytes(99), "the file is a snoop capture: {}: convert it with editcap -F pcapng"),
        (_compressed(b"text"), "not a capture: {}: pcap and pcapng can be read, also compressed with gzip"),
        (_compressed(_compressed(pcap([]))), "the file is compressed twice: {}: unpack it first: gunzip"),
        (b"\x1f\x8b" + bytes(50), "the gzip data is damaged near byte 0: {}: fetch the file again: no capture can be "
         "unpacked from it"),
    ],
)  # fmt: skip
def test_an_input_that_is_not_a_capture_is_reported_in_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(content)
    assert refusal(path) == line.format(path)


def test_an_input_that_cannot_be_opened_is_reported_in_one_line(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.pcap") == f"no such file: {tmp_path}/none.pcap: check the path"
    assert refusal("a\0b").startswith("cannot be opened: a\\x00b: ")
    assert refusal(tmp_path / "x\x1b[2J").startswith(f"no such file: {tmp_path}/x\\x1b[2J: ")
    assert refusal(tmp_path) == (
        f"no captures in this folder: {tmp_path}: name a folder that holds pcap or pcapng files"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(one(0))
    path.chmod(0)
    assert refusal(path) == f"permission denied: {path}: get read permission for the file"


def test_the_other_inputs_are_still_read(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(one(0, b"a"))
    (tmp_path / "c.pcap").write_bytes(one(1, b"c"))
    seen, decoder = collector()
    refused = []
    for source in open_inputs([tmp_path / "a.pcap", tmp_path / "b.pcap", tmp_path / "c.pcap"]):
        try:
            list(read_capture(source, decoder))
        except InputError as error:
            refused.append(error.where)
    assert [segment.payload for segment in seen] == [b"a", b"c"]
    assert refused == [str(tmp_path / "b.pcap")]


def test_frames_are_numbered_file_by_file_and_problems_belong_to_their_file(tmp_path: Path) -> None:
    broken = ethernet(ipv4(tcp(1, 25)))[:40]
    (tmp_path / "a.pcap").write_bytes(pcap([Record(broken), RECORDS[0], RECORDS[1]]))
    (tmp_path / "b.pcap").write_bytes(pcap(RECORDS[2:4]))
    result = read(tmp_path / "a.pcap", tmp_path / "b.pcap")
    assert [segment.frame for segment in result.segments] == [2, 3, 1, 2]
    assert [len(capture.problems) for capture in result.captures] == [1, 0]


def test_a_folder_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.pcap").write_bytes(one(3, b"third"))
    (tmp_path / "b.pcap.gz").write_bytes(gzip.compress(one(1, b"first")))
    (tmp_path / "sub" / "no-ending").write_bytes(one(2, b"second"))
    (tmp_path / "z.pcap").write_bytes(one(0, b"zeroth"))
    (tmp_path / ".hidden.pcap").write_bytes(one(0, b"hidden"))
    (tmp_path / "notes.txt").write_text("no capture")
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path).payloads == [b"zeroth", b"first", b"second", b"third"]


def test_captures_with_the_same_time_are_read_by_age_then_by_name(tmp_path: Path) -> None:
    for name, changed in (("a", 200), ("b", 100), ("c", 200)):
        (tmp_path / f"{name}.pcap").write_bytes(one(0, name.encode()))
        os.utime(tmp_path / f"{name}.pcap", (changed, changed))
    assert read(tmp_path).payloads == [b"b", b"a", b"c"]


def test_a_file_named_like_a_capture_in_a_folder_is_reported_if_it_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(b"")
    (tmp_path / "trace.pcap3").write_bytes(b"garbage")
    (tmp_path / "b.pcapng").write_bytes(pcapng(RECORDS))
    sources = list(open_inputs([tmp_path]))
    assert [source.path.rsplit("/", 1)[1] for source in sources] == ["b.pcapng", "a.pcap", "trace.pcap3"]


def test_names_with_odd_bytes_are_read_and_shown_escaped(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9\n.pcap")  # noqa: PTH118
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(one(0))
    result = read(tmp_path)
    assert result.capture.path == f"{tmp_path}/caf\\xe9\\x0a.pcap"
    assert result.capture.frames == 1


def test_progress_gives_bytes_and_size(tmp_path: Path) -> None:
    data = pcap([Record(bytes(1000))] * 3000)
    for name, content in (("a.pcap", data), ("a.pcap.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        calls: list[tuple[int, int | None]] = []
        (source,) = open_inputs([tmp_path / name])
        for _ in read_capture(source, collector()[1], lambda *numbers, calls=calls: calls.append(numbers)):
            pass
        assert len(calls) >= 3
        assert calls == sorted(calls)
        assert calls[-1] == (len(content), len(content))


def test_reading_that_is_stopped_leaves_the_results_so_far(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap([Record(bytes(1000))] * 3000))
    (source,) = open_inputs([tmp_path / "a.pcap"])
    steps = read_capture(source, collector()[1])
    next(steps)
    steps.close()
    assert 1000 < source.capture.frames < 1100
    assert source.capture.first == "2026-01-02T03:04:05.123456Z"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")  # noqa: PTH112
def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(one(0))
    (tmp_path / "b.pcap").write_bytes(b"none")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    list(open_inputs([tmp_path]))
    read(tmp_path / "a.pcap")
    refusal(tmp_path / "b.pcap")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_named_pipe_is_read_as_its_data_arrives(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    data = pcap(RECORDS[:1])
    seen_first = threading.Event()
    late: list[bool] = []

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(data)
            late.append(seen_first.wait(10))  # the frame is seen although the pipe stays open and more may come
            pipe.write(pcap_record(RECORDS[1])[:20])
            pipe.write(pcap_record(RECORDS[1])[20:])

    writer = threading.Thread(target=write)
    writer.start()
    seen, decoder = collector()
    (source,) = open_inputs([path])
    for _ in read_capture(source, decoder):
        if seen:
            seen_first.set()
    writer.join()
    assert late == [True]
    assert [segment.frame for segment in seen] == [1, 2]


COUNT = """
from smtpwire.analyzer.frames.input_list import open_inputs
from smtpwire.analyzer.frames.inputs import read_capture
from smtpwire.analyzer.segments.decoder import SegmentDecoder
from smtpwire.analyzer.errors import InputError
count = []
for source in open_inputs(["-"]):
    try:
        for _ in read_capture(source, SegmentDecoder(lambda *segment: count.append(segment))): pass
    except InputError as error:
        print(error)
print(source.path, len(count), source.capture.problems)
"""


def from_stdin(**how: Any) -> str:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, check=True, **how)
    return str(done.stdout, "utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda data: data, gzip.compress])
def test_standard_input_may_be_a_pipe_or_a_file(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    data = make(pcap(RECORDS * 300))
    (tmp_path / "a.pcap").write_bytes(data)
    expected = f"- {len(RECORDS) * 300} []\n"
    assert from_stdin(input=data) == expected
    with (tmp_path / "a.pcap").open("rb") as file:
        assert from_stdin(stdin=file) == expected


@pytest.mark.slow
def test_empty_standard_input_is_reported() -> None:
    assert from_stdin(input=b"").startswith("the file is empty: -: ")


def test_a_file_that_shrinks_while_it_is_read_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Record(bytes(1000))] * 3000))
    source = Source(path)
    steps = read_capture(source, collector()[1])
    next(steps)
    os.truncate(path, 1_500_000)
    list(steps)
    assert source.capture.frames == (1_500_000 - 24) // 1016
    assert source.capture.problems == ["the last record is cut short at byte 1500000"]


def test_a_file_that_cannot_seek_is_read_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some below /proc and /sys, which have the mode of a regular file."""
    (tmp_path / "a.pcap").write_bytes(pcap([]))

    def refuse(*_: int) -> int:
        raise OSError(29, "Illegal seek")

    monkeypatch.setattr(os, "lseek", refuse)
    with Source(tmp_path / "a.pcap").open() as opened:
        assert opened.reader.format == "pcap"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_in_a_folder_only_regular_files_are_opened_and_others_with_such_a_name_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap([]))
    os.mkfifo(tmp_path / "b.pcap")
    os.mkfifo(tmp_path / "c")
    (tmp_path / "d.pcap").symlink_to("/dev/zero")
    reasons = {}
    for source in open_inputs([tmp_path]):
        try:
            for _ in read_capture(source, SegmentDecoder(lambda *_: None)):
                pass
        except InputError as error:
            reasons[source.path] = error.what
    assert reasons == {f"{tmp_path}/b.pcap": "a pipe, not a file", f"{tmp_path}/d.pcap": "a device, not a file"}

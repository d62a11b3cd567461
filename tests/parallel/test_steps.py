"""The parts of the steps: chunks, the sieve, offers, and blocks that are read again."""

from __future__ import annotations

import gzip
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from captures import START, flow, pcap
from repeats import dialogue
from scripts import WHOLE, records

from smtpwire.analyzer.files.storage import Storage
from smtpwire.analyzer.frames import inputs
from smtpwire.analyzer.frames.inputs import Source
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.parallel.chunks import ChunkFile, ChunkWriter
from smtpwire.analyzer.parallel.raw_blocks import RawBlocks
from smtpwire.analyzer.parallel.sieve import DROPPED, Row, Sieve, partition_of
from smtpwire.analyzer.segments.decoder import SegmentDecoder
from smtpwire.analyzer.streams.flow import reversed_key

if TYPE_CHECKING:
    from pathlib import Path

CLIENT, SERVER = "192.0.2.7", "192.0.2.25"


class TestChunks:
    def test_each_kind_in_order(self, tmp_path: Path) -> None:
        storage = Storage(str(tmp_path))
        with storage.write("a") as stream:
            chunks = ChunkWriter(stream)
            for number in range(3):
                chunks.add("odd" if number % 2 else "even", [number, number + 10])
            chunks.finish({"all": 3})
        file = ChunkFile(storage, "a")
        assert list(file.chunks("even", list[int])) == [[0, 10], [2, 12]]
        assert list(file.chunks("odd", list[int])) == [[1, 11]]
        assert not list(file.chunks("none", list[int]))
        assert file.about(dict[str, int]) == {"all": 3}

    def test_times_that_64_bits_cannot_hold(self, tmp_path: Path) -> None:
        storage = Storage(str(tmp_path))
        row: Row = (b"\0\xff", 1, 2, 3, b"payload\xc1", 0, 7, 1 << 70)
        with storage.write("a") as stream:
            chunks = ChunkWriter(stream)
            chunks.add("0", [row])
            chunks.finish({5: 1 << 65})
        file = ChunkFile(storage, "a")
        assert list(file.chunks("0", list[Row])) == [[row]]
        assert file.about(dict[int, int]) == {5: 1 << 65}


class TestStorage:
    def test_a_file_appears_when_it_is_complete_and_is_private(self, tmp_path: Path) -> None:
        storage = Storage(str(tmp_path / "spool"))
        storage.prepare()
        assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
        with storage.write("a") as stream:
            stream.write(b"abc")
            stream.flush()
            assert not storage.has("a")
        assert storage.has("a")
        assert storage.read("a", 1, 2) == b"bc"
        assert (tmp_path / "spool" / "a").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ZeroDivisionError), storage.write("b") as stream:
            stream.write(b"%d" % (1 // 0))
        assert [path.name for path in (tmp_path / "spool").iterdir()] == ["a"]

    def test_a_file_that_is_cut_short(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        with pytest.raises(OSError, match="cut short"):
            Storage(str(tmp_path)).read("a", 1, 9)


class TestSieve:
    def sieved(self, *sent: tuple[bytes, int, bytes], wanted: frozenset[bytes] | None = None) -> list[Row]:
        """Return the rows for segments: key, flags, payload."""
        rows: list[list[Row]] = [[]]
        sieve = Sieve(rows, frozenset({25}), DEFAULT_LIMITS, wanted)
        for frame, (key, flags, payload) in enumerate(sent, 1):
            if key not in sieve.ignored or flags & 2:
                sieve.segment(key, 1, 1, flags, payload, 0, frame, START)
        return rows[0]

    def test_everything_on_a_port_of_smtp(self) -> None:
        key = flow(CLIENT, SERVER, 40_000, 25)
        sent = [(key, 24, b"\x16\x03\x01 anything"), (reversed_key(key), 24, b"HTTP/1.1 200 OK\r\n"), (key, 16, b"")]
        assert [row[6] for row in self.sieved(*sent)] == [1, 2, 3]

    def test_another_protocol_ends_with_a_mark(self) -> None:
        key = flow(CLIENT, SERVER, 40_000, 80)
        page = [
            (key, 2, b""),
            (key, 24, b"GET / HTTP/1.1\r\n"),
            (reversed_key(key), 24, b"HTTP/1.1 200"),
            (key, 16, b""),
        ]
        found = self.sieved(*page, (key, 2, b""), (key, 24, b""))
        assert [(row[6], row[3]) for row in found] == [(1, 2), (2, 24), (2, DROPPED), (5, 2), (6, 24)]

    def test_a_session_on_another_port(self) -> None:
        key = flow(CLIENT, SERVER, 40_000, 2626)
        talk = [
            (reversed_key(key), 24, b"220 mx ESMTP\r\n"),
            *[(key, 24, b"EHLO x\r\n"), (key, 24, b"\x00\x01\x02")] * 9,
        ]
        assert len(self.sieved(*talk)) == 19

    def test_only_what_is_wanted(self) -> None:
        key, other = flow(CLIENT, SERVER, 40_000, 80), flow(CLIENT, SERVER, 40_001, 25)
        sent = [(key, 24, b"x"), (other, 24, b"y"), (reversed_key(key), 24, b"z")]
        assert [row[4] for row in self.sieved(*sent, wanted=frozenset({key, reversed_key(key)}))] == [b"x", b"z"]

    def test_both_directions_are_in_one_partition(self) -> None:
        keys = [flow(CLIENT, SERVER, port, 25) for port in range(40_000, 41_000)]
        found = [partition_of(key, 5) for key in keys]
        assert found == [partition_of(reversed_key(key), 5) for key in keys]
        assert min(map(found.count, range(5))) > 150


@pytest.mark.parametrize("packed", [False, True])
def test_blocks_that_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(inputs, "BLOCK", 300)
    data = pcap(list(records(dialogue(WHOLE))) * 20)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(data) if packed else data)
    seen: list[tuple[int, bytes]] = []
    with Source(str(path)).open() as opened:
        for _ in opened.reader.run(SegmentDecoder(lambda *_: None)):
            seen.append((opened.reader.window.base, opened.reader.window.data))
    assert len(seen) > 20
    blocks = RawBlocks()
    for base, block in [*seen, *seen[::-5], *seen[::7]]:
        assert blocks.load(str(path), base, len(block)) == block
    assert blocks.load(str(tmp_path / "missing"), 0, 100) == b""


def test_an_empty_file_of_chunks_is_not_taken_for_a_whole_one() -> None:
    stream = BytesIO()
    ChunkWriter(stream).finish(None)
    assert stream.getvalue()

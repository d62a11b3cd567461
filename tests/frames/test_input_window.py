from __future__ import annotations

import gzip
import tempfile
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.frames.input_window import FileWindow, Gunzip, StreamWindow, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def pieces(data: bytes, sizes: list[int]) -> Callable[[int], bytes]:
    """Return a read that behaves like a pipe: it returns more or fewer bytes, but never more than requested."""

    def cut() -> Iterator[bytes]:
        at, turn = 0, 0
        while at < len(data):
            size = sizes[turn % len(sizes)]
            yield data[at : at + size]
            at, turn = at + size, turn + 1

    chunks = cut()
    return lambda count: next(chunks, b"")[:count]


def walk(window: Window, steps: list[int]) -> bytes:
    """Read the whole input in steps of these sizes, as a reader of records does."""
    out, turn, at = b"", 0, 0
    while True:
        step = steps[turn % len(steps)]
        if at + step > window.size:
            window.advance(at, step)
            at = 0
            if window.size < step:
                return out + window.data[: window.size]
        assert window.base + at == len(out)
        out += window.data[at : at + step]
        at, turn = at + step, turn + 1


DATA = bytes(range(256)) * 5
STEPS = st.lists(st.integers(1, 300), min_size=1, max_size=5)


@given(st.integers(1, 2000), STEPS, STEPS)
def test_a_stream_is_read_completely_in_pieces_of_any_size(block: int, sizes: list[int], steps: list[int]) -> None:
    assert walk(StreamWindow(pieces(DATA, [min(s, block) for s in sizes]), block), steps) == DATA


@given(st.integers(1, 2000), STEPS)
def test_a_file_is_read_completely_with_any_block_size(block: int, steps: list[int]) -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(DATA)
        file.seek(0)
        assert walk(FileWindow(file.fileno(), block), steps) == DATA


def test_zeros_follow_the_data_for_structs_that_read_past_the_end(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    with (tmp_path / "x").open("rb") as file:
        for window in (FileWindow(file.fileno()), StreamWindow(pieces(b"abc", [2]))):
            window.advance(0, 3)
            assert window.size == 3
            assert window.data[:103] == b"abc" + bytes(100)


@pytest.mark.parametrize("skipped", [0, 1, 10, 99, 100, 1279, 1280])
def test_skipping_keeps_nothing_and_stops_at_the_right_byte(skipped: int) -> None:
    window = StreamWindow(pieces(DATA, [10]), 10)
    window.advance(0)
    assert window.skip(skipped)
    assert window.base == skipped
    assert window.data[: window.size] == DATA[skipped : skipped + window.size]
    assert window.size <= 20


def test_skipping_past_the_end_is_reported() -> None:
    assert not StreamWindow(pieces(DATA, [100])).skip(len(DATA) + 1)


def test_a_read_error_ends_the_reading_and_is_reported() -> None:
    def read(count: int) -> bytes:
        raise OSError(5, "Input/output error")

    window = StreamWindow(read)
    assert not window.advance(0)
    assert window.fault == "reading failed at byte 0: Input/output error"


def decompress(compressed: bytes, sizes: list[int] | None = None, count: int = 1 << 20) -> tuple[bytes, str | None]:
    gunzip = Gunzip(pieces(compressed, sizes or [1 << 16]))
    out = b""
    while chunk := gunzip(count):
        assert len(chunk) <= count
        out += chunk
    return out, gunzip.fault


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), STEPS, st.integers(1, 500))
def test_all_members_of_a_gzip_file_are_decompressed(members: list[bytes], sizes: list[int], count: int) -> None:
    compressed = b"".join(gzip.compress(member) for member in members)
    assert decompress(compressed, sizes, count) == (b"".join(members), None)


def test_zeros_after_gzip_data_are_padding_and_other_bytes_are_reported() -> None:
    compressed = gzip.compress(b"abc")
    assert decompress(compressed + bytes(5000)) == (b"abc", None)
    assert decompress(compressed + bytes(10) + gzip.compress(b"def"), [1]) == (b"abcdef", None)
    data, fault = decompress(compressed + b"trailer")
    assert data == b"abc"
    assert fault == f"what follows the gzip data at byte {len(compressed)} is not gzip"


NOISE = b"".join(zlib.crc32(bytes((i & 255, i >> 8))).to_bytes(4, "big") for i in range(20_000))  # hardly compresses


def test_a_truncated_gzip_file_is_decompressed_up_to_its_end() -> None:
    compressed = gzip.compress(NOISE)
    data, fault = decompress(compressed[: len(compressed) // 2])
    assert NOISE.startswith(data)
    assert len(data) > 0.45 * len(NOISE)
    assert fault == f"the gzip data is cut short at byte {len(compressed) // 2}"


def test_a_damaged_gzip_file_is_decompressed_up_to_the_damage() -> None:
    compressed = bytearray(gzip.compress(NOISE))
    middle = len(compressed) // 2
    compressed[middle : middle + 64] = bytes(64)
    data, fault = decompress(bytes(compressed))
    sound = next((i for i, (a, b) in enumerate(zip(data, NOISE, strict=False)) if a != b), len(data))
    assert sound > 0.45 * len(NOISE)
    assert fault is not None
    assert "damaged" in fault


def test_a_gzip_bomb_takes_no_more_memory_than_requested() -> None:
    compressed = gzip.compress(bytes(50_000_000))
    gunzip = Gunzip(pieces(compressed, [1 << 16]))
    assert len(gunzip(1000)) <= 1000
    assert sum(iter(lambda: len(gunzip(1 << 20)), 0)) == 50_000_000 - 1000

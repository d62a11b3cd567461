"""Mail data as blocks, for any pieces in which it comes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.blocks import MAX_PARTS, BlockCutter

PIECE = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\r\n."]), min_size=1, max_size=4).map(
    b"".join
)
PIECES = st.lists(PIECE, max_size=20)


@given(PIECES, st.booleans())
def test_blocks_are_the_data_up_to_its_end_mark(pieces: list[bytes], join: bool) -> None:
    cutter = BlockCutter(chunked=False)
    data, blocks, used = b"", b"", -1
    for piece in [*pieces, b"\r\n.\r\n"]:
        block, used = cutter.take(piece, join=join)
        blocks += block
        if used >= 0:
            data += piece[:used]
            break
        data += piece
    whole = b"\r\n" + data  # as if a CRLF came before the first line
    assert used > 0
    assert whole.index(b"\r\n.\r\n") == len(whole) - 5
    assert blocks == whole[:-3]


@given(PIECES, st.booleans())
def test_blocks_of_chunks_are_the_data(pieces: list[bytes], join: bool) -> None:
    cutter = BlockCutter(chunked=True)
    blocks = [cutter.take_chunk(piece, join=join) for piece in pieces]
    blocks += [cutter.settle(), cutter.finish()]
    assert b"".join(blocks) == b"".join(pieces)
    blocks = [block for block in blocks if block]
    assert not any(before.endswith(b"\r") and after.startswith(b"\n") for before, after in pairwise(blocks))


def test_pieces_wait_until_there_are_many() -> None:
    cutter = BlockCutter(chunked=True)
    blocks = [cutter.take_chunk(b"a", join=True) for _ in range(MAX_PARTS)]
    assert blocks == [*[b""] * (MAX_PARTS - 1), b"a" * MAX_PARTS]
    assert cutter.waiting == 0

"""Ends are found in mail data in pieces of any size, as in one piece."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from smtpwire.analyzer.content.lenient_readers import READERS, EndFinder, Ending, endings

PIECE = st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\n.\n", b".\r", b"\r\n\r\n", b"a", b"\0", b"a: b\r\n"])


@given(st.lists(PIECE, max_size=60))
@example([b".", b"\r", b"\r", b"\n"])
@example([b"\n", b"\r", b"\n", b".", b"\r", b"a"])
def test_any_pieces_give_the_same_result_as_the_whole(pieces: list[bytes]) -> None:
    finder = EndFinder()
    numbers: list[int] = []
    for piece in pieces:
        numbers += finder.feed(piece)
    numbers += finder.close()
    assert tuple(finder.endings) == endings(b"".join(pieces))
    assert sorted(numbers) == [n for n, ending in enumerate(finder.endings) if ending.end >= 0]


def found(finder: EndFinder) -> dict[str, Ending]:
    return {ending.reader: ending for ending in finder.endings if ending.end >= 0}


def test_a_mark_that_may_continue_is_not_accepted_at_once() -> None:
    finder = EndFinder()
    assert finder.feed(b"a: b\r\n\r\nx\r\n.\r") == []
    names = [READERS[number].name for number in finder.feed(b"M")]
    assert names == ["Zeek", "Suricata", "Arkime"]
    assert found(finder)["Zeek"].mark == b".\r"
    assert found(finder)["Zeek"].before == b"\r\n"


def test_no_mark_is_seen_across_missing_bytes() -> None:
    finder = EndFinder()
    finder.feed(b"x\r\n")
    finder.skip(10)
    finder.feed(b".\r\n")
    finder.close()
    assert not found(finder)


def test_offsets_count_missing_bytes() -> None:
    finder = EndFinder()
    finder.feed(b"x\r\n")
    finder.skip(10)
    finder.feed(b"y\r\n.\r\n")
    finder.close()
    assert {ending.at for ending in finder.endings} == {16}


def test_kept_bytes_are_bounded_for_any_number_of_crs() -> None:
    finder = EndFinder()
    finder.feed(b"x\n.")
    for _ in range(100):
        finder.feed(b"\r" * 100)
    finder.feed(b"\n")
    finder.close()
    assert "Postfix, lenient" not in found(finder)
    lenient = EndFinder()
    lenient.feed(b"x\n." + b"\r" * 900 + b"\n")
    assert found(lenient)["Postfix, lenient"].at == 2

"""Dots in mail data: doubled in chunks, and one that was meant as the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smtpwire.analyzer.content.chunk_dots import ChunkDots
from smtpwire.analyzer.content.glued_dot import GluedDot, find_glued_dot

if TYPE_CHECKING:
    from smtpwire.analyzer.content.line_lengths import Occurrence


def counted(text: bytes, size: int) -> Occurrence | None:
    """Count the dots of ``text``, which comes in blocks of ``size`` octets from offset 100 on."""
    dots = ChunkDots()
    for at in range(0, len(text), size):
        dots.feed(text[at : at + size], 100 + at, lambda _: (1, 2))
    return dots.stuffed()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"a\r\n..b\r\n..\r\nc\r\n", 2),
        (b"..a\r\n..b\r\n...c\r\n", 3),
        (b"a\r\n..b\r\n..", 2),
        (b"a\r\n..b\r\n", 0),  # one line only
        (b"a\r\n..b\r\n.c\r\n..d\r\n", 0),  # a dot that is not doubled
        (b"a\r\n..b\r\n..c\r\n.", 0),
        (b"a\r\n...b\r\n...c\r\n", 0),  # perhaps that is the text
        (b"a..b\r\nc..\r\n", 0),  # not at the start of a line
    ],
)
def test_dots_at_the_start_of_lines_in_chunks(size: int, text: bytes, lines: int) -> None:
    spot = counted(text, size)
    assert (0 if spot is None else spot.count) == lines
    if spot is not None:
        first = text.index(b"..") if text.startswith(b"..") else text.index(b"\r\n..") + 2
        assert spot.offset == 100 + first


TEXT = b"Subject: x\r\n\r\nhello."


@pytest.mark.parametrize(
    ("after", "commands"),
    [
        (b"\r\n", ()),
        (b"\r\nQUIT\r\n", ("QUIT",)),
        (b"\r\nrset\r\nQUIT\r\n", ("RSET", "QUIT")),
        (b"\r\nNOOP\r\nNOOP\r\nQU", ("NOOP",)),
    ],
)
def test_a_dot_before_commands_is_found(after: bytes, commands: tuple[str, ...]) -> None:
    last = TEXT + after
    assert find_glued_dot(last, 1000, ()) == GluedDot(1000 - len(after) - 1, "hello.", commands, bool(commands))


@pytest.mark.parametrize(
    "after",
    [b"", b"\r", b"\r\nmore text", b"\r\nmore text\r\n", b"\r\nmore text\r\nQUIT\r\n", b"\r\n\r\n"],
)
def test_a_sentence_may_end_with_a_dot(after: bytes) -> None:
    last = TEXT + after
    assert find_glued_dot(last, len(last), [len(TEXT) - 1]) is None


def test_other_commands_may_follow_only_a_dot_in_a_segment_of_its_own() -> None:
    last = TEXT + b"\r\nRSET\r\nMAIL FROM:<a@client.example>\r\n"
    assert find_glued_dot(last, len(last), [0, len(TEXT)]) is None
    found = find_glued_dot(last, len(last), [0, len(TEXT) - 1])
    assert found is not None
    assert found.commands == ("RSET", "MAIL")

"""Of several replies to one message (LMTP), the first that accepts it counts; faults of each are noted."""

from __future__ import annotations

import pytest

from smtpwire.analyzer.exchanges.exchange import MAX_REPLY_LINE, Exchange, Mark, ReplySeen
from smtpwire.analyzer.lines.acts import Act
from smtpwire.dissectors.lines.replies import parse_reply


def answered(*replies: bytes, due: int = 1) -> Exchange:
    """Return the end of a message for which ``due`` replies are expected, with these replies, each of 100 bytes."""
    x = Exchange(Act.END, 0, 0, 0, replies_due=due)
    for number, reply in enumerate(replies, 1):
        x.take_reply(ReplySeen(parse_reply(reply), 100 * number - 100, number, 0), 100 * number)
    return x


@pytest.mark.parametrize(
    ("codes", "counts"),
    [
        ((250, 250, 250), 1),
        ((452, 250, 250), 2),
        ((550, 452, 250), 3),
        ((250, 550, 550), 1),
        ((550, 452, 554), 1),  # all refuse: the first counts
    ],
)
def test_the_first_reply_that_accepts_counts(codes: tuple[int, ...], counts: int) -> None:
    x = answered(*(f"{code} ok\r\n".encode() for code in codes), due=3)
    assert (x.code, x.reply_frame) == (codes[counts - 1], counts)
    assert x.accepted is (x.code < 400)


def test_it_is_answered_when_all_replies_have_come() -> None:
    ok = b"250 ok\r\n"
    assert [answered(*(n * [ok]), due=3).reply_end for n in range(4)] == [-1, -1, -1, 300]
    assert [answered(*(n * [ok]), due=3).replies_due for n in range(4)] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("reply", "marks"),
    [
        (b"250 ok\r\n", 0),
        (b"250 ok\n", Mark.REPLY_DEVIATION),
        (b"250 \xe9\r\n", Mark.REPLY_DEVIATION | Mark.REPLY_EIGHT_BIT),
        (b"250 " + 600 * b"x" + b"\r\n", Mark.LONG_REPLY),
        (b"250 " + (MAX_REPLY_LINE - 6) * b"x" + b"\r\n", 0),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_fault_of_any_of_the_replies_is_noted(reply: bytes, marks: int, place: int) -> None:
    replies = 3 * [b"250 ok\r\n"]
    replies[place] = reply
    assert answered(*replies, due=3).marks == marks

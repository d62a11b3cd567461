"""What a reply says by itself, and the facts about the end of a connection: they decide which rules are asked."""

from __future__ import annotations

import pytest

from smtpwire.analyzer.exchanges.lifecycle import Lifecycle, SlowInput
from smtpwire.analyzer.rules import RULES, Ended, OnExchange
from smtpwire.analyzer.rules.end_facts import EndFact, end_facts
from smtpwire.analyzer.rules.reply_flaws import ReplyFlaw, reply_flaws
from smtpwire.dissectors.lines.replies import parse_reply

ALL = (1 << 10) - 1
LISTS = ReplyFlaw.KEYWORDS
NO_STATUS = ReplyFlaw.NO_STATUS


@pytest.mark.parametrize(
    ("raw", "flaws"),
    [
        (b"220 mx.example ESMTP\r\n", NO_STATUS),
        (b"220 [192.0.2.1] ESMTP\r\n", NO_STATUS),
        (b"220 *** ESMTP\r\n", NO_STATUS | ReplyFlaw.NO_HOST),
        (b"250-mx.example\r\n250 8BITMIME\r\n", NO_STATUS | LISTS),
        (b"250-mx.example\r\n250 AUTH=LOGIN\r\n", NO_STATUS | ReplyFlaw.BAD_EHLO_LINE),
        (b"250-mx.example\r\n250-\r\n250 SIZE\r\n", NO_STATUS | LISTS | ReplyFlaw.BAD_EHLO_LINE),
        (b"250-PIPELINING\r\n250 SIZE 1\r\n", NO_STATUS | LISTS | ReplyFlaw.KEYWORD_FIRST),
        (b"250-mx.example\r\n250 SMTPUTF8\r\n", NO_STATUS | LISTS | ReplyFlaw.LONE_SMTPUTF8),
        (b"250-mx.example\r\n250 BINARYMIME\r\n", NO_STATUS | LISTS | ReplyFlaw.LONE_BINARYMIME),
        (b"250-mx.example\r\n250 AUTH \r\n", NO_STATUS | LISTS | ReplyFlaw.BAD_EHLO_LINE),
        (b"250-mx.example\r\n250-SIZE 1\r\n250 size 2\r\n", NO_STATUS | LISTS | ReplyFlaw.KEYWORD_TWICE),
        (b"250-mx.example\r\n250-SIZE 1\r\n250 size 1\r\n", NO_STATUS | LISTS),
        (b"250 2.1.0 ok\r\n", 0),
        (b"250 2.1.0\r\n", NO_STATUS),
        (b"550 2.1.0 no\r\n", ReplyFlaw.STATUS_CLASS),
        (b"550-5.1.0 no\r\n550 5.1.1 no\r\n", ReplyFlaw.BAD_EHLO_LINE | ReplyFlaw.STATUS_DIFFERS),
        (b"354 go on\r\n", 0),
    ],
)
def test_the_flaws_of_a_reply(raw: bytes, flaws: int) -> None:
    assert reply_flaws(parse_reply(raw), ALL) == flaws


def test_only_the_wanted_flaws_are_returned() -> None:
    reply = parse_reply(b"220 *** ESMTP\r\n")
    assert reply_flaws(reply, ReplyFlaw.NO_HOST) == ReplyFlaw.NO_HOST
    assert reply_flaws(reply, NO_STATUS) == NO_STATUS
    assert reply_flaws(reply, 0) == 0


def test_the_facts_about_an_end() -> None:
    course = Lifecycle()
    assert end_facts(course) == 0
    course.slow_input = SlowInput(True, 1, 0, 1, 1)
    course.conflicts.append(("client", 0, 1, 1))
    assert end_facts(course) == EndFact.SLOW_INPUT | EndFact.CONFLICT


def test_some_rule_asks_for_each_bit() -> None:
    replies = ends = 0
    for one in RULES.values():
        if isinstance(one.on, OnExchange):
            replies |= one.on.reply
        elif isinstance(one.on, Ended):
            ends |= one.on.facts
    assert replies == ALL
    assert ends == (1 << 7) - 1

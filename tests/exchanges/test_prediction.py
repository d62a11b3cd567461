"""Predictions: the answer of a server that follows the RFC, and "unknown" if the RFC leaves it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import MESSAGE, envelope, hello, lines, play

from smtpwire.analyzer.exchanges.exchange import Exchange
from smtpwire.analyzer.exchanges.prediction import LAST_OPEN, predict
from smtpwire.analyzer.exchanges.state_table import NO_KEYWORDS, Hello, Phase, State, broken_rule
from smtpwire.analyzer.lines.command_line import read_line
from smtpwire.analyzer.model import CommandTurn

if TYPE_CHECKING:
    from scripts import Script

GREETED = lines("S 220 mx.example ESMTP")
CHUNK = [*hello("CHUNKING", "PIPELINING"), *envelope(), ("C", "BDAT 3\r\nabc"), *lines("S 250 ok")]
FAILED = [*CHUNK[:-1], *lines("S 452 full")]
REFUSED_DATA = [*hello(), *envelope(), *lines("C DATA", "S 451 later")]
DONE = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", f"{MESSAGE}.\r\n"), *lines("S 250 queued")]
LOGGED_IN = [*hello("AUTH PLAIN"), *lines("C AUTH PLAIN AGEAYg==", "S 235 ok")]


def predicted(script: Script, profile: str | None = None, *, midstream: bool = False) -> list[str]:
    """Return the predictions for the commands of the script, in order."""
    dialogue = play(script, profile=profile, midstream=midstream).dialogue
    return [turn.predicted for turn in dialogue if isinstance(turn, CommandTurn)]


def last(before: Script, command: str, code: int = 250, profile: str | None = None) -> str:
    return predicted([*before, *lines(f"C {command}", f"S {code} x")], profile)[-1]


@pytest.mark.parametrize(
    ("before", "command", "verdict"),
    [
        # in order
        (GREETED, "EHLO x.example", "accept"),
        (GREETED, "HELO x.example", "accept"),
        (GREETED, "NOOP", "accept"),
        (GREETED, "VRFY b", "accept"),
        (GREETED, "QUIT", "accept"),
        (hello(), "MAIL FROM:<a@x.example>", "accept"),
        (hello(), "MAIL FROM:<>", "accept"),
        (DONE, "MAIL FROM:<a@x.example>", "accept"),
        ([*hello(), *envelope()], "DATA", "accept"),
        ([*hello(), *envelope()], "RSET", "accept"),
        ([*hello(), *envelope()], "EHLO x.example", "accept"),
        (CHUNK, "BDAT 0 LAST", "accept"),
        (hello("AUTH PLAIN"), "AUTH PLAIN AGEAYg==", "accept"),
        (hello("STARTTLS"), "STARTTLS", "accept"),
        # out of order
        (GREETED, "MAIL FROM:<a@x.example>", "503"),
        (GREETED, "RCPT TO:<b@x.example>", "503"),
        (GREETED, "DATA", "503"),
        (hello(), "RCPT TO:<b@x.example>", "503"),
        (hello(), "DATA", "503"),
        ([*hello(), *envelope()], "MAIL FROM:<c@x.example>", "503"),
        (CHUNK, "DATA", "503"),
        (CHUNK, "RCPT TO:<b@x.example>", "503"),
        (FAILED, "BDAT 0 LAST", "503"),
        ([*hello("AUTH PLAIN"), *envelope()], "AUTH PLAIN AGEAYg==", "503"),
        (LOGGED_IN, "AUTH PLAIN AGEAYg==", "503"),
        # the order is checked before the syntax
        (GREETED, "MAIL FROM:a@x", "503"),
        (hello(), "RCPT TO:<>", "503"),
        # unknown, malformed, not implemented
        (hello(), "FOO", "500"),
        (hello(), "\xe9", "500"),
        (hello(), "MAIL FROM:<\xe9@x.example>", "500"),
        (hello(), "LHLO x.example", "500"),
        (GREETED, "EHLO", "501"),
        (hello(), "MAIL FROM:a@x", "501"),
        (hello(), "MAIL FROM: <a@x.example>", "501"),
        ([*hello(), *lines("C MAIL FROM:<a@x.example>", "S 250 ok")], "RCPT TO:<>", "501"),
        ([*hello(), *envelope()], "DATA now", "501"),
        (hello(), "TURN", "502"),
        (hello("AUTH PLAIN"), "AUTH FOO", "504"),
        # left open
        (hello(), "XFOO", "unknown"),
        (hello(), "STARTTLS", "unknown"),
        (hello(), "AUTH PLAIN AGEAYg==", "unknown"),
        (hello(), "MAIL FROM:<a@x.example> SIZE=1", "unknown"),
        ([*hello("STARTTLS"), *envelope()], "STARTTLS", "unknown"),
        (REFUSED_DATA, "MAIL FROM:<c@x.example>", "unknown"),
        (REFUSED_DATA, "DATA", "unknown"),
        (REFUSED_DATA, "RSET", "accept"),
        ([*hello(), *lines("C QUIT", "S 221 bye")], "NOOP", "unknown"),
        # service refused
        (lines("S 554 no service"), "EHLO x.example", "503"),
        (lines("S 554 no service"), "QUIT", "accept"),
    ],
)
def test_the_expected_reply(before: Script, command: str, verdict: str) -> None:
    assert last(before, command) == verdict


def test_the_reply_does_not_change_the_expected_reply_to_the_same_command() -> None:
    assert {last(hello(), "RCPT TO:<b@x.example>", code) for code in (250, 451, 503, 550)} == {"503"}
    assert {last(hello(), "MAIL FROM:<a@x.example>", code) for code in (250, 451, 503, 550)} == {"accept"}


def test_the_reply_changes_the_expected_reply_to_the_next_command() -> None:
    refused = [*hello(), *lines("C MAIL FROM:<a@x.example>", "S 550 no")]
    lenient = [*GREETED, *lines("C MAIL FROM:<a@x.example>", "S 250 ok")]
    assert last(refused, "RCPT TO:<b@x.example>") == "503"
    assert last(lenient, "RCPT TO:<b@x.example>") == "accept"


def test_a_pipelined_command_is_predicted_in_the_state_in_which_it_is_answered() -> None:
    script: Script = [
        *hello("PIPELINING"),
        ("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"),
        *lines("S 550 no", "S 503 no", "S 503 no"),
    ]
    assert predicted(script)[1:] == ["accept", "503", "503"]


def test_after_a_server_disputes_a_command_in_order_its_view_is_unknown() -> None:
    script = [*hello(), *lines("C MAIL FROM:<a@x.example>", "S 503 no", "C MAIL FROM:<a@x.example>", "S 503 no")]
    assert predicted(script)[1:] == ["accept", "unknown"]


def test_in_mid_stream_only_replies_that_never_vary_are_predicted() -> None:
    script = lines("C RCPT TO:<b@x.example>", "S 250 ok", "C NOOP", "S 250 ok", "C FOO", "S 500 what")
    assert predicted(script, midstream=True) == ["unknown", "accept", "500"]


def test_after_lost_bytes_nothing_is_guessed() -> None:
    script: Script = [*hello(), ("GC", "30"), ("GS", "8"), *lines("C RCPT TO:<b@x.example>", "S 250 ok")]
    assert predicted(script)[-1] == "unknown"


def test_submission_requires_a_login() -> None:
    mail = "MAIL FROM:<a@x.example>"
    assert last(hello("AUTH PLAIN"), mail, 530, "submission") == "530"
    assert last(LOGGED_IN, mail, 250, "submission") == "accept"
    assert last(hello("AUTH PLAIN"), mail, 250, "rfc5321") == "accept"


def test_lmtp_allows_only_lhlo() -> None:
    assert last(lines("S 220 mx LMTP"), "LHLO x.example", 250, "lmtp") == "accept"
    assert last(lines("S 220 mx LMTP"), "EHLO x.example", 500, "lmtp") == "500"


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase <= LAST_OPEN])
@pytest.mark.parametrize(
    "verb", ["EHLO x.example", "HELO x", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "RSET", "QUIT"]
)
def test_a_plain_command_in_order_is_accepted_so_it_need_not_be_predicted(verb: str, phase: Phase) -> None:
    line = read_line(verb.encode(), b"\r\n", len(verb) + 2)
    x = Exchange(line.act, 0, 1, 0, line, before=State(phase, Hello(keywords=NO_KEYWORDS)))
    assert line.plain
    assert x.before is not None
    if broken_rule(x.before, x.act) is None:
        assert predict(x, "rfc5321") == "accept"

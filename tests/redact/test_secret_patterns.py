"""Which parts of a line are hidden, and which stay."""

from __future__ import annotations

import base64
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import envelope, hello, lines, play

from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.model import AuthTurn, CommandTurn, ReplyTurn
from smtpwire.analyzer.redact.credentials import hide_secrets
from smtpwire.analyzer.redact.redactor import Redactor
from smtpwire.analyzer.redact.secret_patterns import SecretHider, hidden

PLAIN = base64.b64encode(b"\0alice\0hunter22").decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"AUTH PLAIN {PLAIN}", "AUTH PLAIN [20 bytes not shown]"),
        (f"AUTH PLAIN  {PLAIN} ", "AUTH PLAIN [20 bytes not shown]"),
        (f"AUTHPLAIN {PLAIN}", "AUTHPLAIN [20 bytes not shown]"),
        (f"AUTH {PLAIN}", "AUTH [20 bytes not shown]"),
        (f"AUTH:PLAIN {PLAIN}", "AUTH:PLAIN [20 bytes not shown]"),
        (f"NOOP {PLAIN}", "NOOP [20 bytes not shown]"),
        ("PASS hunter2", "PASS [7 bytes not shown]"),
        ("a01 LOGIN alice hunter2", "a01 LOGIN [13 bytes not shown]"),
        ("GET /?u=a&password=hunter2&x=1", "GET /?u=a&password=[7 bytes not shown]&x=1"),
        ("Authorization: Basic YTpi", "Authorization: [10 bytes not shown]"),
        ("imap://bob:hunter2@h/", "imap://bob:[7 bytes not shown]@h/"),
        ("AUTH PLAIN caf\\xc3\\xa9", "AUTH PLAIN [5 bytes not shown]"),
    ],
)
def test_a_secret_is_replaced_by_its_length(text: str, shown: str) -> None:
    assert SecretHider().client(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "MAIL FROM:<a@b.example> AUTH=<x@y.example> SIZE=1000",
        "MAIL FROM:<author@auth.example>",
        "EHLO auth.example.com",
        "EHLO basic.login-pass.example",
        "RCPT TO:<auth@x.example> ORCPT=rfc822;auth@x.example",
        "RCPT TO:<bounce+1234567890abcdef1234567890abcdef@x.example>",
        "AUTH LOGIN",
        "AUTH PLAIN =",
        "AUTH PLAIN",
        "AUTH X-UNKNOWN",
        "BDAT 123456789 LAST",
        "HELP AUTH",
        "ETRN passau.example",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert SecretHider().client(text) == text


@given(st.text(string.ascii_letters + string.digits + "+/", min_size=6, max_size=60), st.sampled_from(["", "=", "=="]))
def test_any_initial_response_is_hidden(secret: str, padding: str) -> None:
    for mechanism in ("PLAIN", "plain", "LOGIN", "SCRAM-SHA-256", "XOAUTH2"):
        shown = SecretHider().client(f"AUTH {mechanism} {secret}{padding}")
        assert secret not in shown
        assert mechanism in shown


def test_lengths_are_in_bytes_of_the_wire() -> None:
    assert hidden("\\x00a\\xff") == "[3 bytes not shown]"
    assert hidden("a") == "[1 byte not shown]"


@pytest.mark.parametrize(
    "unit", ["AUTH ", "password=", "://a:", "LOGIN ", "AAAAAAAA", "=A", "a@", "\\x41", "x:y@", "auth plain "]
)
def test_hostile_lines_take_linear_time(unit: str) -> None:
    def seconds(count: int) -> float:
        began = time.perf_counter()
        SecretHider().client(unit * count)
        return time.perf_counter() - began

    seconds(100)
    small, large = (min(seconds(size) for _ in range(3)) for size in (2000, 16000))
    assert large < 40 * small + 0.05


def test_clean_connections_are_not_changed() -> None:
    script = [*hello("SIZE"), *envelope(), *lines("C RSET", "S 250 ok", "C QUIT", "S 221 bye")]
    before, after = play(script), play(script)
    hide_secrets(after)
    assert after == before


def test_a_challenge_is_hidden_and_a_prompt_is_not() -> None:
    """A password can be guessed offline from the challenge and the last answer of SCRAM (RFC 5802 §9)."""
    script = [
        *hello("AUTH SCRAM-SHA-1 LOGIN"),
        *lines("C AUTH SCRAM-SHA-1", "S 334 cj1meWtvLHM9UVNYQ1IrUTZzZWs4YmY5MixpPTQwOTY=", "C *", "S 501 cancelled"),
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C *", "S 501 cancelled"),
    ]
    connection = play(script)
    hide_secrets(connection)
    challenges = [turn.lines for turn in connection.dialogue if isinstance(turn, ReplyTurn) and turn.code == 334]
    assert challenges == [["[44 bytes not shown]"], ["VXNlcm5hbWU6"]]


def test_server_words_stay_if_nothing_is_secret() -> None:
    script = [
        *hello("AUTH PLAIN"),
        *lines("C AUTH PLAIN", "S 334 ", "C AGEAYg==", "S 535 5.7.8 Authentication failed, username or password wrong"),
    ]
    connection = play(script)
    hide_secrets(connection)
    last = connection.dialogue[-1]
    assert isinstance(last, ReplyTurn)
    assert last.lines == ["5.7.8 Authentication failed, username or password wrong"]


def test_commands_after_a_refused_auth_are_still_commands() -> None:
    script = [
        *hello("AUTH PLAIN"),
        *lines("C AUTH PLAIN", "S 503 no", "C XFOO bar", "S 500 what", "C NOOP hi", "S 250 ok"),
    ]
    connection = play(script)
    hide_secrets(connection)
    shown = [(turn.verb, turn.argument) for turn in connection.dialogue if isinstance(turn, CommandTurn)]
    assert shown[2:] == [(None, "[8 bytes not shown]"), ("NOOP", "hi")]


def test_the_model_has_no_secret_unless_asked() -> None:
    script = [*hello("AUTH PLAIN"), *lines("C AUTH PLAIN", "S 334 ", f"C {PLAIN}", "S 235 ok")]
    (answer,) = [turn for turn in play(script).dialogue if isinstance(turn, AuthTurn)]
    assert answer.text is None
    assert answer.length == len(PLAIN) + 2


def test_pseudonyms_are_the_same_within_a_run_and_differ_between_runs() -> None:
    script = [*hello(), *envelope(), *lines("C QUIT", "S 221 bye")]

    def senders(redactor: Redactor) -> str:
        mail = [turn for turn in redactor(play(script)).dialogue if isinstance(turn, CommandTurn)][1]
        return str(mail.argument)

    one, other = Redactor(Redact.PII), Redactor(Redact.PII)
    assert senders(one) == senders(one) != senders(other)
    assert senders(one).endswith("@client.example>")
    assert senders(Redactor(Redact.PII, bytes(32))) == senders(Redactor(Redact.PII, bytes(32)))

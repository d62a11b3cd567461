"""Steps: what two segments may differ in and still say the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.fastpath.tokens import MAX_STEP, client_step, greeting_step, hello_step, is_varied, reply_step


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"MAIL FROM:<a@client.example>\r\n", b"MAIL FROM:<someone.else+tag@mail-7.other.example>\r\n"),
        (b"RCPT TO:<b@mx.example>\r\n", b"RCPT TO:<42@a.bc>\r\n"),
        (b"MAIL FROM:<a@x.example> SIZE=1\r\n", b"MAIL FROM:<b@y.example> SIZE=9999999\r\n"),
        (b"EHLO client.example\r\n", b"EHLO mail.other.example\r\n"),
        (
            b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n",
            b"MAIL FROM:<c@y.example>\r\nRCPT TO:<d@y.example>\r\nDATA\r\n",
        ),
    ],
)
def test_ordinary_names_do_not_tell_commands_apart(one: bytes, other: bytes) -> None:
    step = client_step(one)
    assert step is not None
    assert step == client_step(other)
    assert is_varied(step)


@pytest.mark.parametrize(
    ("plain", "odd"),
    [
        (b"MAIL FROM:<a@x.example>\r\n", b"MAIL FROM:<>\r\n"),
        (b"MAIL FROM:<a@x.example>\r\n", b"mail from:<a@x.example>\r\n"),
        (b"MAIL FROM:<a@x.example>\r\n", b"MAIL FROM: <a@x.example>\r\n"),
        (b"MAIL FROM:<a@x.example>\r\n", b"MAIL FROM:<a@x.example> BODY=8BITMIME\r\n"),
        (b"MAIL FROM:<a@x.example> SIZE=1\r\n", b"MAIL FROM:<a@x.example> SIZE=10000000\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<postmaster>\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b'RCPT TO:<"q s"@x.example>\r\n'),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<j\xf6@x.example>\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<b@[192.0.2.1]>\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<b@x_y.example>\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<" + b"b" * 65 + b"@x.example>\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<b@" + b"x" * 64 + b".example>\r\n"),
        (b"RCPT TO:<b@x.example>\r\n", b"RCPT TO:<b@x.example>\n"),
        (b"EHLO x.example\r\n", b"HELO x.example\r\n"),
        (b"EHLO x.example\r\n", b"EHLO [192.0.2.1]\r\n"),
        (b"EHLO x.example\r\n", b"EHLO localhost\r\n"),
        (b"EHLO x.example\r\n", b"EHLO x.example \r\n"),
    ],
)
def test_what_a_rule_may_look_at_does(plain: bytes, odd: bytes) -> None:
    assert client_step(plain) != client_step(odd)


@pytest.mark.parametrize(
    "data",
    [
        b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
        b"auth login\r\n",
        b"EHLO x.example\r\nAUTH LOGIN\r\n",
        b"MAIL FROM:<a@x.example> AUTH=<>\r\n",
    ],
)
def test_a_login_is_no_step(data: bytes) -> None:
    assert client_step(data) is None


@pytest.mark.parametrize("data", [b"NOOP", b"NOOP\r", b"NO\0OP\r\n", b"", b"NOOP " + b"x" * MAX_STEP + b"\r\n"])
def test_part_of_a_line_a_nul_and_a_long_text_are_no_step(data: bytes) -> None:
    assert client_step(data) is None


def test_the_text_behind_a_code_does_not_tell_answers_apart() -> None:
    assert reply_step(b"250 ok\r\n") == reply_step(b"250 queued as 4711\r\n") == b"250 \0\r\n"
    assert reply_step(b"250 2.1.0 ok\r\n") == reply_step(b"250 2.1.0 Sender <a@x.example> fine\r\n")
    assert reply_step(b"250 a\r\n354 b\r\n") == reply_step(b"250 c\r\n354 d\r\n") == b"250 \0\r\n354 \0\r\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"250 ok\r\n", b"251 ok\r\n"),
        (b"250 2.1.0 ok\r\n", b"250 2.1.5 ok\r\n"),
        (b"250 2.1.0 ok\r\n", b"250 ok\r\n"),
        (b"250 ok\r\n", b"250 5.7.1 ok\r\n"),
        (b"250 ok\r\n", b"250 2.1 ok\r\n"),
        (b"250 ok\r\n", b"250 4.1.x ok\r\n"),
        (b"250 ok\r\n", b"250 caf\xe9\r\n"),
        (b"250 ok\r\n", b"250 a\tb\r\n"),
        (b"250 ok\r\n", b"250 " + b"x" * 600 + b"\r\n"),
        (b"250 ok\r\n", b"250\r\n"),
        (b"250 ok\r\n", b"250-ok\r\n250 ok\r\n"),
        (b"550 no\r\n", b"550 never\r\n"),
        (b"421 a\r\n", b"421 b\r\n"),
    ],
)
def test_codes_status_codes_and_odd_bytes_do(one: bytes, other: bytes) -> None:
    assert reply_step(one) != reply_step(other)


def test_a_greeting_is_the_name_and_the_word_behind_it() -> None:
    assert greeting_step(b"220 mx.example ESMTP Postfix\r\n") == greeting_step(
        b"220 mx.example ESMTP at your service\r\n"
    )
    known = greeting_step(b"220 mx.example ESMTP\r\n")
    for other in (
        b"220 other.example ESMTP\r\n",
        b"220 mx.example SMTP\r\n",
        b"220-mx.example ESMTP\r\n",
        b"554 no\r\n",
    ):
        assert greeting_step(other) != known


def test_the_reply_to_a_hello_is_all_but_the_words_to_the_client() -> None:
    one = b"250-mx.example Hello a.example [192.0.2.1]\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"
    assert hello_step(one) == hello_step(one.replace(b"Hello a.example [192.0.2.1]", b"pleased to meet you"))
    for other in (one.replace(b"SIZE 1000", b"SIZE 1001"), one.replace(b"250-mx.", b"250-my."), one[:-2] + b" X\r\n"):
        assert hello_step(other) != hello_step(one)


@pytest.mark.parametrize("step", [greeting_step, hello_step, reply_step])
def test_a_nul_of_the_server_is_no_step(step: object) -> None:
    assert callable(step)
    assert step(b"250 a\0b\r\n") is None
    assert step(b"250 " + b"x" * MAX_STEP) is None


lines = st.lists(
    st.sampled_from(
        [b"MAIL FROM:<a@x.example>", b"RCPT TO:<a.b@y-z.example>", b"EHLO x.example", b"DATA", b"NOOP x", b"\xff", b""]
    )
    | st.binary(max_size=30),
    max_size=5,
)


@given(lines)
def test_a_step_keeps_the_lines_and_all_that_it_does_not_replace(parts: list[bytes]) -> None:
    data = b"".join(part + b"\r\n" for part in parts)
    step = client_step(data)
    if step is not None:
        pattern = re.escape(step).replace(re.escape(b"\0"), rb"[A-Za-z0-9@.=+_-]+")
        assert re.fullmatch(pattern, data)

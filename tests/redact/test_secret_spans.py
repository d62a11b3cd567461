"""Which parts of a client's line are shown, whatever came before it."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.lines.announced_secrets import announced_secrets, secrets_in_field, unknown_words
from smtpwire.analyzer.lines.command_line import read_line
from smtpwire.analyzer.lines.secret_spans import hidden_parts, shown_parameters
from smtpwire.analyzer.lines.shown_lines import shown_in_text, shown_line
from smtpwire.analyzer.lines.shown_text import joined, shown_text
from smtpwire.dissectors.lines.commands import parse_command
from smtpwire.dissectors.printable import printable
from smtpwire.dissectors.tables.verbs import VERBS

PLAIN = base64.b64encode(b"\0alice\0hunter22").decode()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"AUTH PLAIN {PLAIN}", "AUTH PLAIN [20 bytes not shown]"),
        (f"AUTH PLAIN  {PLAIN} ", "AUTH PLAIN  [20 bytes not shown] "),
        (f"AUTH\tPLAIN\t{PLAIN}", "AUTH\\x09PLAIN\\x09[20 bytes not shown]"),
        (f" AUTH PLAIN {PLAIN}", " AUTH PLAIN [20 bytes not shown]"),
        (f"AUTHPLAIN {PLAIN}", "AUTHPLAIN [20 bytes not shown]"),
        (f"AUTH {PLAIN}", "AUTH [20 bytes not shown]"),
        (f"AUTH=PLAIN {PLAIN}", "AUTH=[26 bytes not shown]"),
        ("AUTH hunter", "AUTH [6 bytes not shown]"),
        ("AUTH LOGIN alice hunter2", "AUTH LOGIN [13 bytes not shown]"),
        ("XAUTH LOGIN alice hunter2", "XAUTH LOGIN [13 bytes not shown]"),
        ("C: AUTH LOGIN alice hunter2", "C: [24 bytes not shown]"),
        ("NOOP\nAUTH LOGIN alice hunter2", "NOOP\\x0aAUTH LOGIN [13 bytes not shown]"),
        ("AUTH LOGIN\nalice\rhunter2", "AUTH LOGIN\\x0a[5 bytes not shown]\\x0d[7 bytes not shown]"),
        ("NOOP AUTH LOGIN alice hunter2", "NOOP [24 bytes not shown]"),
        ("HELP password hunter", "HELP [15 bytes not shown]"),
        ("DATA password=hunter2", "DATA [16 bytes not shown]"),
        ("PASS hunter2", "PASS [7 bytes not shown]"),
        ("PASS:hunter2", "PASS:[7 bytes not shown]"),
        ("contrasena=hunter2", "contrasena=[7 bytes not shown]"),
        ("a01 LOGIN alice hunter2", "a01 LOGIN [13 bytes not shown]"),
        ("GET /?u=a&password=hunter2 HTTP/1.1", "GET /[21 bytes not shown] HTTP/1.1"),
        ("Authorization: Basic YTpi", "Authorization: [10 bytes not shown]"),
        ("curl -u alice:hunter2 https://mx.example/", "curl [36 bytes not shown]"),
        ("<password>hunter2</password>", "[28 bytes not shown]"),
        ("Tr0ub4dor&3", "[11 bytes not shown]"),
        ("EHLO alice:hunter2", "EHLO alice[8 bytes not shown]"),
        ("EHLO client.example password=hunter2", "EHLO client.example [16 bytes not shown]"),
        ("MAIL FROM:<smtp://a:hunter2@mx.example>", "MAIL FROM:<smtp://a:[7 bytes not shown]@mx.example>"),
        ("MAIL FROM:<a@b.example> AUTH=hunter2", "MAIL FROM:<a@b.example> AUTH=[7 bytes not shown]"),
        ("MAIL FROM:<a@b.example> AUTH=LOGIN a b", "MAIL FROM:<a@b.example> AUTH=[9 bytes not shown]"),
        ("MAIL FROM:<a@b.example> PASSWORD=hunter2", "MAIL FROM:<a@b.example> PASSWORD=[7 bytes not shown]"),
        ("XCLIENT NAME=x LOGIN=a PASS=b", "XCLIENT NAME=x LOGIN=[1 byte not shown] PASS=[1 byte not shown]"),
        ("BURL imap://a@h/;urlauth=x:internal:abc LAST", "BURL imap://a@h[24 bytes not shown] LAST"),
        ("ETRN alice:hunter2@x.example", "ETRN alice[18 bytes not shown]"),
    ],
)  # fmt: skip
def test_a_secret_is_replaced_by_its_length(line: str, shown: str) -> None:
    assert shown_line(line.encode()) == shown


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<a@b.example> AUTH=<> SIZE=1000 BODY=8BITMIME",
        "MAIL FROM:<a@b.example> AUTH=x@y.example",
        "MAIL FROM:<author@auth.example>",
        "MAIL FROM: a@b.example SMTPUTF8",
        "RCPT TO:<@relay.example:a@b.example>",
        "RCPT TO:<a@b.example>,<c@d.example>",
        'RCPT TO:<"John: Smith"@b.example>',
        "EHLO auth.example.com",
        "EHLO [IPv6:2001:db8::1]",
        "EHLO basic.login-pass.example",
        "RCPT TO:<auth@x.example> ORCPT=rfc822;auth@x.example NOTIFY=NEVER",
        "AUTH LOGIN",
        "AUTH PLAIN =",
        "AUTH PLAIN",
        "BDAT 123456789 LAST",
        "BDAT -1 LAST",
        "HELP AUTH",
        "NOOP are you there?",
        "STARTTLS now",
        "VRFY John Smith",
        "ETRN passau.example",
        "HELLO client.example",
        "MAILFROM:<a@b.example>",
        "GET /index.html HTTP/1.1",
        "Host: mx.example",
        "250 OK",
        "XYZZY mail",
        "HELP password",
        "NOOP compass",
    ],
)
def test_other_text_stays(line: str) -> None:
    assert hidden_parts(parse_command(line.encode())) == ()
    assert shown_line(line.encode()) == line


@given(st.text(string.ascii_letters + string.digits + "+/", min_size=1, max_size=60), st.sampled_from(["", "=", "=="]))
def test_any_initial_response_is_hidden(secret: str, padding: str) -> None:
    for mechanism in ("PLAIN", "plain", "LOGIN", "SCRAM-SHA-256", "XOAUTH2"):
        shown = shown_line(f"AUTH {mechanism} {secret}{padding}".encode())
        assert shown.startswith(f"AUTH {mechanism} [")
        assert shown.endswith(" not shown]")


LINES = st.one_of(
    st.binary(max_size=80),
    st.builds(
        b" ".join,
        st.tuples(st.sampled_from([*VERBS, b"PASS", b"a1 LOGIN", b"Cookie:"]), st.binary(max_size=60)),
    ),
)


@given(LINES)
def test_spans_lie_in_the_line_in_order(line: bytes) -> None:
    at = 0
    for start, end in hidden_parts(parse_command(line)):
        assert at <= start < end <= len(line)
        at = end + 1


@given(LINES)
def test_what_is_shown_stands_in_the_line(line: bytes) -> None:
    spans = hidden_parts(parse_command(line))
    shown = shown_line(line)
    rest = shown
    for start, end in spans:
        mark = f"[{end - start} {'byte' if end - start == 1 else 'bytes'} not shown]"
        before, found, rest = rest.partition(mark)
        assert found
        assert before in printable(line)
    assert rest in printable(line)


@given(st.binary(max_size=80), st.sampled_from([b"\r\n", b"\n", b""]))
def test_the_value_of_a_line_shows_what_the_line_shows(raw: bytes, end: bytes) -> None:
    line = read_line(raw, end, len(raw) + len(end))
    assert line.command is not None
    raw = line.command.raw  # without one CR of CR CR LF
    if line.secrets and line.secrets[0][0] < len(raw) - len(line.command.argument or b""):
        assert line.argument == shown_text(raw, line.secrets)
    elif line.command.argument is not None:
        assert line.argument == shown_text(raw, line.secrets, len(raw) - len(line.command.argument))


def test_lengths_are_in_bytes_of_the_wire() -> None:
    assert shown_text(b"a\0\xff!", ((1, 3),)) == "a[2 bytes not shown]!"
    assert shown_text(b"abcdef", ((1, 5),), 2, 4) == "[4 bytes not shown]"
    assert joined(((4, 6),), ((0, 2), (2, 4))) == ((0, 6),)


def test_parameters_of_an_envelope() -> None:
    command = parse_command(b"MAIL FROM:<a@b.example> SIZE=10 AUTH=hunter2 XPASS=tr0ub4dor FLAG")
    assert shown_parameters(command) == {
        "SIZE": "10", "AUTH": "[7 bytes not shown]", "XPASS": "[9 bytes not shown]", "FLAG": None,
    }  # fmt: skip


def test_commands_in_mail_data_show_no_text() -> None:
    assert shown_in_text(b"MAIL FROM:<a@b.example>") == "MAIL FROM:<a@b.example>"
    assert shown_in_text(b"HELP the merger") == "HELP"
    assert shown_in_text(b"the merger") == "[10 bytes not shown]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("220 mx.example ESMTP password=hunter2", "220 mx.example ESMTP password=[7 bytes not shown]"),
        ("250 ok access_token=abc", "250 ok access_token=[3 bytes not shown]"),
        ("250 debug: PASS hunter2", "250 debug: PASS [7 bytes not shown]"),
        (f"214 example: AUTH PLAIN {PLAIN}", "214 example: AUTH PLAIN [20 bytes not shown]"),
        ("550 see http://a:hunter2@mx.example/", "550 see http://a:[7 bytes not shown]@mx.example/"),
    ],
)
def test_a_secret_that_a_server_announces(text: str, shown: str) -> None:
    raw = text.encode()
    assert shown_text(raw, announced_secrets(raw)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 AUTH=LOGIN PLAIN",
        "334 UGFzc3dvcmQ6",
        "501 5.5.4 AUTH LOGIN takes one word",
        "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
        "535 Incorrect password: try again",
        "250 2.0.0 Ok: queued as 4F2A9C00",
    ],
)
def test_other_replies_stay(text: str) -> None:
    assert announced_secrets(text.encode()) == ()


def test_secrets_in_the_header_of_a_message() -> None:
    for text, shown in (
        (b"password: hunter2", "password: [7 bytes not shown]"),
        (b"X-Debug: AUTH LOGIN a b", "X-Debug: AUTH [9 bytes not shown]"),
        (b"Authorization: Basic YTpi", "Authorization: [10 bytes not shown]"),
        (
            b"from x (smtp://a:b@c.example) by mx.example",
            "from x (smtp://a:[1 byte not shown]@c.example) by mx.example",
        ),
        (PLAIN.encode(), "[20 bytes not shown]"),
    ):
        assert shown_text(text, secrets_in_field(text)) == shown
    assert secrets_in_field(b"Your login page and a new password") == ()


def test_only_known_words_of_a_reply_to_a_login_that_was_not_captured() -> None:
    raw = b"5.7.8 Error: authentication failed for hunter2 at mx.example: UGFzc3dvcmQ6"
    assert shown_text(raw, unknown_words(raw)) == (
        "5.7.8 Error: authentication failed for [7 bytes not shown] at mx.example: UGFzc3dvcmQ6"
    )

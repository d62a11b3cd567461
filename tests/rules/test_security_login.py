"""Passwords in plain text, and servers that trust the claims of a client."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from scripts import Script, hello, lines, play, rules, talk

if TYPE_CHECKING:
    from smtpwire.analyzer import model


def security(script: Script, *, port: int = 25, profile: str | None = None) -> list[str]:
    return [rule for rule in rules(script, port=port, profile=profile) if rule.startswith("SEC")]


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


SECRET = "opensesame"
USER, PASSWORD = base64("user"), base64(SECRET)
PLAIN = base64(f"\0user\0{SECRET}")
BEARER = base64(f"user=u@x.example\x01auth=Bearer {SECRET}\x01\x01")
LOGIN = hello("AUTH LOGIN XOAUTH2 CRAM-MD5 GSSAPI")  # SEC610 fires too

EXCHANGES = {
    "plain at once": ["C AUTH PLAIN " + PLAIN, "S 235 ok"],
    "plain asked for": ["C AUTH PLAIN", "S 334 ", "C " + PLAIN, "S 535 no"],
    "login": ["C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C " + USER, "S 334 UGFzc3dvcmQ6", "C " + PASSWORD, "S 235 ok"],
    "login, name at once": ["C AUTH LOGIN " + USER, "S 334 UGFzc3dvcmQ6", "C " + PASSWORD, "S 235 ok"],
    "token": ["C AUTH XOAUTH2 " + BEARER, "S 235 ok"],
}
LENGTHS = {"token": 11}


def credentials(connection: model.Connection) -> list[model.Finding]:
    return [f for f in connection.findings if f.rule == "SEC609"]


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_password_in_the_clear(name: str) -> None:
    connection = play([*LOGIN, *lines(*EXCHANGES[name])])
    (finding,) = credentials(connection)
    assert (finding.severity, finding.side) == ("error", "client")
    assert f"user name of {LENGTHS.get(name, 4)} bytes" in finding.message
    assert ("valid" in finding.message) == (connection.dialogue[-1].code == 235)  # type: ignore[union-attr]
    shown = repr(connection)
    assert not any(secret in shown for secret in (SECRET, PLAIN, PASSWORD, USER, BEARER))


@pytest.mark.parametrize(
    "exchange",
    [
        ["C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C *", "S 501 cancelled"],
        ["C AUTH PLAIN =", "S 501 no"],
        ["C AUTH CRAM-MD5", "S 334 PDFAbXg+", "C " + base64("user 0123456789abcdef"), "S 235 ok"],
        ["C AUTH GSSAPI " + PASSWORD, "S 535 no"],
    ],
    ids=["cancelled", "empty", "cram", "gssapi"],
)
def test_no_password_was_sent(exchange: list[str]) -> None:
    assert credentials(play([*LOGIN, *lines(*exchange)])) == []


def test_an_invalid_password_line_is_a_password_too() -> None:
    (finding,) = credentials(play([*LOGIN, *lines("C AUTH PLAIN not!base64", "S 501 no")]))
    assert "not!base64" not in finding.message + finding.evidence


def test_a_password_inside_tls_is_not_reported() -> None:
    inside = [*hello("AUTH PLAIN")[1:], *lines("C AUTH PLAIN " + PLAIN, "S 235 ok")]
    script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("TLS", ""), *inside]
    assert [f.rule for f in talk(script).findings if f.rule.startswith("SEC")] == []


def test_a_cancelled_exchange_is_reported() -> None:
    asked = ["C AUTH CRAM-MD5", "S 334 PDFAbXg+"]
    assert security([*hello("AUTH CRAM-MD5"), *lines(*asked, "C *", "S 501 cancelled")]) == ["SEC628"]
    assert security([*hello("AUTH CRAM-MD5"), *lines(*asked, "C dXNlcg==", "S 535 no")]) == []


@pytest.mark.parametrize(("reply", "expected"), [("220 mx", ["SEC629"]), ("250 ok", ["SEC629"]), ("550 no", [])])
def test_xclient(reply: str, expected: list[str]) -> None:
    assert security([*hello("XCLIENT NAME ADDR"), *lines("C XCLIENT ADDR=192.0.2.9", f"S {reply}")]) == expected


def test_xforward() -> None:
    assert security([*hello("XFORWARD NAME"), *lines("C XFORWARD NAME=a.example", "S 250 ok")]) == ["SEC629"]
    assert security([*hello("XFORWARD NAME"), *lines("C XFORWARD NAME=a.example", "S 501 no")]) == []


MAIL = ["C MAIL FROM:<a@client.example>", "S 250 ok"]
TAKEN = [*MAIL, "C RCPT TO:<b@mx.example>", "S 250 ok"]


def test_submission_without_login() -> None:
    assert security([*hello(), *lines(*TAKEN)], port=587) == ["SEC634"]
    assert security([*hello(), *lines("C MAIL FROM:<a@client.example>", "S 530 5.7.0 log in")], port=587) == []
    logged_in = lines("C AUTH CRAM-MD5", "S 334 PDFAbXg+", "C dXNlcg==", "S 235 ok")
    assert security([*hello("AUTH CRAM-MD5"), *logged_in, *lines(*TAKEN)], port=587) == []
    assert security([*hello(), *lines(*TAKEN)]) == []


@pytest.mark.parametrize(
    ("reply", "severity"),
    [
        ("250 ok", "warning"),
        ("251 forwarded", "warning"),
        ("530 5.7.0 log in", "info"),
        ("550 5.7.1 no relaying", "info"),
        ("554 no", "info"),
        ("450 later", None),
        ("501 5.1.3 no address", None),
    ],
)
def test_the_recipient_shows_whether_submission_needs_a_login(reply: str, severity: str | None) -> None:
    script = [*hello(), *lines(*MAIL, "C RCPT TO:<b@mx.example>", f"S {reply}")]
    assert [f.severity for f in talk(script, port=587).findings if f.rule == "SEC634"] == [severity] * (
        severity is not None
    )


def test_a_server_that_takes_one_recipient_refuses_another_one_for_another_reason() -> None:
    more = lines("C RCPT TO:<c@mx.example>", "S 550 no such user")
    found = [f for f in play([*hello(), *lines(*TAKEN), *more], port=587).findings if f.rule == "SEC634"]
    assert [f.severity for f in found] == ["warning"]


def test_recipients_without_a_login_are_one_fact() -> None:
    more = lines("C RCPT TO:<c@mx.example>", "S 250 ok", "C RCPT TO:<d@mx.example>", "S 250 ok")
    (finding,) = [f for f in play([*hello(), *lines(*TAKEN), *more], port=587).findings if f.rule == "SEC634"]
    assert finding.message.endswith("It is the first of 3 such recipients.")
    assert finding.count == 3


def test_a_recipient_after_a_refused_sender_says_nothing_about_the_login() -> None:
    script = lines("C MAIL FROM:<a@client.example>", "S 530 5.7.0 log in", "C RCPT TO:<b@mx.example>", "S 530 log in")
    assert security([*hello("PIPELINING"), *script], port=587) == []


def test_inside_tls_a_certificate_may_identify_the_client() -> None:
    inside = [*hello()[1:], *lines(*TAKEN)]
    script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("TLS", ""), *inside]
    (finding,) = [f for f in talk(script, port=587).findings if f.rule == "SEC634"]
    assert finding.certainty == "indeterminate"

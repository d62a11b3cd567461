"""Known secrets pass through the whole audit and every registered writer, and no report contains them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from scripts import GREETING, Script, envelope, hello, lines
from written import STYLES, capture_of, everything, forms_of_secret, written

from smtpwire.analyzer.enums import Redact, ReportFormat

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "tr0ub4dor+3/Zq9x"
USER = "correcthorse"
BODY = "the-merger-is-on-friday"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = b64(f"\0{USER}\0{PASSWORD}")
LOGIN = [b64(USER), b64(PASSWORD)]
OFFERS = hello("AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2", "XCLIENT LOGIN", "PIPELINING", "BURL imap")
BYE = lines("C QUIT", "S 221 bye")

SCRIPTS: dict[str, Script] = {
    "initial response": [*OFFERS, *lines(f"C AUTH PLAIN {PLAIN}", "S 235 ok"), *BYE],
    "exchange": [
        *OFFERS,
        *lines(
            "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", f"C {LOGIN[0]}", "S 334 UGFzc3dvcmQ6", f"C {LOGIN[1]}", "S 535 no"
        ),
        *BYE,
    ],
    "answer not base64": [*OFFERS, *lines("C AUTH PLAIN", "S 334 ", f"C {PASSWORD}", f"S 501 bad: {PASSWORD}"), *BYE],
    "mechanism refused and sent on": [
        *OFFERS,
        *lines("C AUTH LOGIN", "S 504 no such mechanism", f"C {LOGIN[0]}", f"S 500 unknown command {LOGIN[0]}"),
        *lines(f"C {LOGIN[1]}", f'S 500 unknown command "{LOGIN[1].upper()}"'),
        *BYE,
    ],
    "pipelined before the refusal": [
        *OFFERS,
        ("C", f"AUTH LOGIN\r\n{LOGIN[0]}\r\n{LOGIN[1]}\r\n"),
        *lines("S 503 no", "S 500 what", "S 500 what"),
        *BYE,
    ],
    "glued": [*OFFERS, *lines(f"C AUTHPLAIN {PLAIN}", f"S 500 unknown: AUTHPLAIN {PLAIN}"), *BYE],
    "no mechanism": [*OFFERS, *lines(f"C AUTH {PLAIN}", "S 504 what"), *BYE],
    "leading blank": [*OFFERS, *lines(f"C  AUTH PLAIN {PLAIN}", "S 500 what"), *BYE],
    "tabs": [*OFFERS, *lines(f"C AUTH\tPLAIN\t{PLAIN}", "S 500 what"), *BYE],
    "lower case": [*OFFERS, *lines(f"C auth plain {PLAIN}", "S 235 ok"), *BYE],
    "in plain words": [*OFFERS, *lines(f"C AUTH PLAIN {USER} {PASSWORD}", "S 501 what"), *BYE],
    "after another verb": [
        *OFFERS,
        *lines(f"C NOOP AUTH PLAIN {PLAIN}", "S 250 ok", f"C NOOP {PLAIN}", "S 250 ok"),
        *BYE,
    ],
    "after EHLO": [("S", GREETING), *lines(f"C EHLO AUTH PLAIN {PLAIN}", "S 501 what"), *BYE],
    "after a bare line feed": [*OFFERS, ("C", f"RSET\nAUTH PLAIN {PLAIN}\r\n"), *lines("S 500 what"), *BYE],
    "xclient": [*OFFERS, *lines(f"C XCLIENT ADDR=192.0.2.9 LOGIN={PASSWORD}", "S 220 ok"), *BYE],
    "pop3": [
        *OFFERS,
        *lines(f"C USER {USER}", "S 500 what", f"C PASS {PASSWORD}", f"S 500 what is PASS {PASSWORD}"),
        *BYE,
    ],
    "imap": [*OFFERS, *lines(f"C a1 LOGIN {USER} {PASSWORD}", "S 500 what"), *BYE],
    "http": [
        *OFFERS,
        *lines(
            f"C GET /?user=x&password={PASSWORD} HTTP/1.1",
            "S 500 what",
            f"C Authorization: Basic {b64(USER + ':' + PASSWORD)}",
        ),
        *lines("S 500 what"),
        *BYE,
    ],
    "burl": [
        *OFFERS,
        *envelope(),
        *lines(f"C BURL imap://u@imap.example/x;uid=1;urlauth=submit+u:internal:{PASSWORD} LAST", "S 554 no"),
        *BYE,
    ],
    "token": [*OFFERS, *lines(f"C AUTH XOAUTH2 {b64(f'user=x auth=Bearer {PASSWORD}')}", "S 235 ok"), *BYE],
    "message": [
        *OFFERS,
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", f"Subject: x\r\n\r\n{PASSWORD} {BODY}\xe9\x00\n{BODY}\r\n.\r\n"),
        *lines("S 250 ok"),
        *BYE,
    ],
    "message without an empty line": [
        *OFFERS,
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", f"{BODY}\xe9 {PASSWORD}\r\n {BODY}\r\nnot a field {BODY}\r\n.\r\n"),
        *lines("S 250 ok"),
        *BYE,
    ],
    "text after a refused DATA": [
        *OFFERS,
        *lines("C DATA", "S 503 no"),
        *lines(f"C Dear {BODY} {PASSWORD}", "S 500 unknown", f"C use {PASSWORD}", "S 500 what", "C .", "S 500 what"),
        *BYE,
    ],
    "malformed server line": [
        *OFFERS,
        *lines(f"C AUTH PLAIN {PLAIN}", f"S you sent AUTH PLAIN {PLAIN}", "S 235 ok"),
        *BYE,
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_secret_in_any_report(name: str, tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "x.pcap", SCRIPTS[name])
    wanted = {PASSWORD, PLAIN, LOGIN[1], BODY}
    # In ordinary mail a subject can be anything; no subject in these scripts contains a secret.
    forms = {secret: forms_of_secret(secret) for secret in wanted}
    for which, text in everything(capture, tmp_path, Redact.SECRETS).items():
        lowered = text.lower()
        for secret, variants in forms.items():
            for form in variants:
                assert form not in lowered, f"{which} tells {secret} as {form}"


def test_a_capture_that_starts_inside_an_exchange(tmp_path: Path) -> None:
    script = lines(f"C {LOGIN[0]}", "S 334 UGFzc3dvcmQ6", f"C {LOGIN[1]}", "S 235 ok", "C QUIT", "S 221 bye")
    capture = capture_of(tmp_path / "x.pcap", script, midstream=True)
    for which, text in everything(capture, tmp_path, Redact.SECRETS).items():
        for form in forms_of_secret(PASSWORD) | forms_of_secret(LOGIN[1]):
            assert form not in text.lower(), which


def test_the_search_finds_secrets_that_are_not_hidden(tmp_path: Path) -> None:
    """The tests above prove nothing if a report without redaction has no secrets."""
    capture = capture_of(tmp_path / "x.pcap", SCRIPTS["exchange"])
    text = written(capture, ReportFormat.JSON, tmp_path, redact=Redact.NONE)
    assert any(form in text.lower() for form in forms_of_secret(LOGIN[1]))
    assert f'"text":"{LOGIN[1]}"' in text


NAMES = {"mailbox": "jane.roe", "other": "johnroe77", "subject": "divorce papers", "message id": "20260102.77x"}


def test_no_name_in_any_report(tmp_path: Path) -> None:
    script = [
        *lines("S 220 mx.example ESMTP, hello 192.0.2.1", "C EHLO janes-laptop", "S 250 mx.example hello janes-laptop"),
        *lines(f"C VRFY {NAMES['other']}", f"S 250 Jane Roe <{NAMES['other']}@mx.example>"),
        *lines(f"C MAIL FROM:<{NAMES['mailbox']}@client.example> AUTH={NAMES['mailbox']}@client.example", "S 250 ok"),
        *lines(f"C RCPT TO:<{NAMES['other']}>", f"S 250 {NAMES['other']} is fine", "C DATA", "S 354 go"),
        (
            "C",
            f"From: Jane Roe\xe9 <{NAMES['mailbox']}@client.example>\r\nTo: {NAMES['other']}@mx.example\r\n"
            f"Received: from janes-laptop ([192.0.2.1])\r\n"
            f"Message-ID: <{NAMES['message id']}@client.example>\r\nSubject: {NAMES['subject']}\r\n\r\nx\r\n.\r\n",
        ),
        *lines(f"S 250 queued for {NAMES['mailbox']}@client.example", "C QUIT", "S 221 bye 192.0.2.1"),
    ]
    capture = capture_of(tmp_path / "x.pcap", script)
    wanted = {*NAMES.values(), "Jane Roe", "janes-laptop", "192.0.2.1"}
    for which, text in everything(capture, tmp_path, Redact.PII).items():
        for name in wanted:
            for form in forms_of_secret(name):
                assert form not in text.lower(), f"{which} tells {name} as {form}"
    assert NAMES["subject"] in written(capture, ReportFormat.JSON, tmp_path, redact=Redact.SECRETS)


def test_every_registered_format_is_searched() -> None:
    assert {form for form, _ in STYLES} == set(ReportFormat)

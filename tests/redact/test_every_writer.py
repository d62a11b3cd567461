"""Known secrets pass through the whole audit and every registered writer, and no report contains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import lines
from secret_dialogues import BODY, LOGIN, PASSWORD, PLAIN, SCRIPTS
from written import STYLES, capture_of, everything, forms_of_secret, written

from smtpwire.analyzer.enums import Redact, ReportFormat

if TYPE_CHECKING:
    from pathlib import Path


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

"""EHLO keywords, their parameters and line lengths."""

from __future__ import annotations

import pytest

from smtpwire.dissectors.tables.keywords import KEYWORDS, LINE_INCREMENTS, PARAMETER_KEYWORDS, keyword_for


@pytest.mark.parametrize(
    ("parameter", "value", "keyword"),
    [
        ("SIZE", b"1", "SIZE"),
        ("BODY", b"8BITMIME", "8BITMIME"),
        ("BODY", b"7BIT", "8BITMIME"),
        ("BODY", b"binarymime", "BINARYMIME"),
        ("BODY", None, "8BITMIME"),
        ("RET", b"FULL", "DSN"),
        ("NOTIFY", b"NEVER", "DSN"),
        ("BY", b"1;N", "DELIVERBY"),
        ("HOLDUNTIL", None, "FUTURERELEASE"),
        ("TRANSID", b"<1>", "CHECKPOINT"),
        ("SOLICIT", None, "NO-SOLICITING"),
        ("FOO", None, None),
    ],
)
def test_parameters_need_a_keyword(parameter: str, value: bytes | None, keyword: str | None) -> None:
    assert keyword_for(parameter, value) == keyword


def test_every_named_keyword_is_registered() -> None:
    assert set(PARAMETER_KEYWORDS.values()) <= set(KEYWORDS)
    assert len(KEYWORDS) == 34
    for increments in LINE_INCREMENTS.values():
        assert set(increments) - {"XCLIENT", "XFORWARD"} <= set(KEYWORDS)


def test_increments_of_the_rfcs() -> None:
    assert LINE_INCREMENTS["MAIL"]["SIZE"] == 26  # RFC 1870 §3 (5)
    assert LINE_INCREMENTS["MAIL"]["AUTH"] == 500  # RFC 4954 §3 (6)
    assert LINE_INCREMENTS["MAIL"]["CHECKPOINT"] == 88  # RFC 1845 §2 (5)
    assert LINE_INCREMENTS["MAIL"]["MTRK"] == 40  # RFC 3885 §2 (5)
    assert LINE_INCREMENTS["MAIL"]["NO-SOLICITING"] == 1007  # RFC 3865 §4.1
    assert LINE_INCREMENTS["MAIL"]["UTF8SMTP"] == LINE_INCREMENTS["RCPT"]["UTF8SMTP"] == 460  # RFC 5336 §3.1 (10)
    assert LINE_INCREMENTS["RCPT"]["DSN"] > 500  # RFC 3461 §5.4: ORCPT alone up to 500

"""MSG and LEN003: the form of a message. examples.toml has two dialogues for each rule too."""

from __future__ import annotations

import pytest
from scripts import MESSAGE, Script, by_byte, envelope, findings, hello, lines, rules

FAMILY = ("MSG", "LEN003")
HEADER = "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@client.example\r\nMessage-ID: <1@client.example>\r\n"


def sent(message: str, *, keywords: tuple[str, ...] = (), parameters: str = "", chunked: bool = False) -> Script:
    """A session that sends ``message``."""
    start = [*hello("CHUNKING", "BINARYMIME", "8BITMIME", *keywords), *envelope(parameters)]
    if chunked:
        start += [("C", f"BDAT {len(message)} LAST\r\n{message}")]
    else:
        start += [*lines("C DATA", "S 354 go"), ("C", f"{message}.\r\n")]
    return [*start, *lines("S 250 queued", "C QUIT", "S 221 bye")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (MESSAGE, []),
        ("From: a@client.example\r\n\r\nhello\r\n", ["MSG701", "MSG713"]),
        ("Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nFrom: in the body\r\n", ["MSG702", "MSG713"]),
        (f"{HEADER}Resent-Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n", []),
        (f"{HEADER}SUBJECT: a\r\nSubject: b\r\n\r\nx\r\n", ["MSG703"]),
        (f"{HEADER}Received: a\r\nReceived: b\r\n\r\nx\r\n", []),
        (f"{HEADER}Hello Bob\r\n\r\nx\r\n", ["MSG704"]),
        (f"{HEADER}X-A: 1\r\n folded\r\n\r\nx\r\n", []),
        ("hello\r\n", ["MSG701", "MSG702", "MSG704", "MSG713"]),
        ("", ["MSG705"]),
        ("\r\nhello\r\n", ["MSG701", "MSG702", "MSG713"]),
        (f"{HEADER}\r\n.hidden\r\n", ["MSG706"]),
        (f"{HEADER}\r\n..hidden\r\n", []),
        ("Date: yesterday\r\nFrom: a@client.example\r\n\r\n", ["MSG707", "MSG713"]),
        (f"{HEADER}MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n####\r\n", ["MSG712"]),
        (f"{HEADER}MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n", []),
        (f"{HEADER}\r\n{'x' * 999}\r\n", ["LEN003"]),
        (f"{HEADER}\r\n{'x' * 998}\r\n..{'x' * 997}\r\n", []),
        (f"{HEADER}X: {'x' * 1200}\r\n\r\n", ["LEN003"]),
    ],
)
def test_messages(message: str, expected: list[str]) -> None:
    assert rules(sent(message), select=FAMILY) == expected
    assert rules(sent(message), select=FAMILY, cut=by_byte) == expected
    if "\r\n." not in message:
        assert rules(sent(message, chunked=True), select=FAMILY) == expected


def test_offsets_are_those_of_the_stream() -> None:
    body = f"{HEADER}Hello Bob\r\n\r\n..stuffed\r\n.hidden\r\n{'x' * 1200}\r\n"
    script = sent(body)
    wire = "".join(str(text) for who, text in script if who == "C")
    found = {finding.rule: finding for finding in findings(script, select=FAMILY)}
    assert found["MSG704"].offset == wire.index("Hello Bob")
    assert found["MSG704"].evidence == "[9 bytes not shown]"  # it is text of the message
    assert found["MSG706"].offset == wire.index(".hidden")
    assert found["LEN003"].offset == wire.index("xxx")
    assert "1202" in found["LEN003"].message


def test_an_encoding_fault_after_stuffed_dots_has_its_offset() -> None:
    encoding = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    script = sent(f"{HEADER}{encoding}..a\r\n..b=zz\r\n")
    wire = "".join(str(text) for who, text in script if who == "C")
    (finding,) = findings(script, select=FAMILY)
    assert (finding.rule, finding.offset) == ("MSG712", wire.index("=zz"))


def test_an_empty_message_without_recipients_is_required_by_rfc_2920() -> None:
    script = [*hello(), *lines("C MAIL FROM:<a@c.example>", "S 250 ok", "C RCPT TO:<b@mx.example>", "S 550 no")]
    assert rules([*script, *lines("C DATA", "S 354 go", "C .", "S 554 nobody")], select=FAMILY) == []


def test_lines_do_not_count_in_binarymime() -> None:
    message = f"{HEADER}\r\n{'x' * 3000}\r\n"
    assert rules(sent(message, parameters="BODY=BINARYMIME", chunked=True), select=FAMILY) == []
    assert rules(sent(message, parameters="BODY=8BITMIME", chunked=True), select=FAMILY) == ["LEN003"]


def test_an_incomplete_message_is_not_judged() -> None:
    start = [*hello(), *envelope(), *lines("C DATA", "S 354 go")]
    script = [*start, ("C", "X: 1\r\n"), ("GC", "1460"), ("C", "tail\r\n.\r\n"), ("S", "250 queued\r\n")]
    assert rules(script, select=FAMILY) == []
    assert rules([*start, ("C", "X: 1\r\n"), ("FC", "")], select=FAMILY) == []


def test_octets_for_a_server_without_chunking_are_not_a_message() -> None:
    script = [*hello(), *envelope(), ("C", "BDAT 5 LAST\r\nhello"), ("S", "502 no\r\n")]
    assert rules(script, select=FAMILY) == []


def test_severities_of_profiles() -> None:
    script = sent("From: a@client.example\r\n\r\n.hidden\r\n")
    severities = {
        profile: {finding.rule: finding.severity for finding in findings(script, profile=profile, select=FAMILY)}
        for profile in ("rfc5321", "submission", "lmtp")
    }
    assert severities["rfc5321"] == {"MSG701": "warning", "MSG706": "error", "MSG713": "info"}
    assert severities["submission"] == {"MSG701": "info", "MSG706": "error"}
    assert severities["lmtp"] == {"MSG706": "error"}

"""The header section: its fields, what is malformed, and whether the date is possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content import header as header_module
from smtpwire.analyzer.content.header import MAX_REMEMBERED_OCTETS, date_fault, read_header
from smtpwire.analyzer.content.octet_checks import Flaw

GOOD = b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@client.example\r\nSubject: a\r\n folded line\r\n"
GOOD += b"Message-ID: <1@client.example>\r\n"


def test_a_usual_header_has_no_fault() -> None:
    report = read_header(GOOD)
    assert report.flaws == 0
    assert (report.repeated, report.malformed, report.bad_date) == (None, None, None)
    assert report.subject == b"a folded line"


def test_field_names_are_case_insensitive() -> None:
    report = read_header(b"DATE: Mon, 2 Nov 2026 10:00:00 +0000\r\nfrom: a@b.example\r\nMessage-Id: <1@x>\r\n")
    assert report.flaws == 0
    assert report.message_id == b"<1@x>"


def test_a_header_without_date_and_author() -> None:
    assert read_header(b"Subject: x\r\n").flaws == Flaw.NO_DATE | Flaw.NO_FROM | Flaw.NO_MESSAGE_ID


def test_a_name_in_a_folded_line_is_not_a_field() -> None:
    report = read_header(b"Subject: x\r\n Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@b.example\r\n")
    assert report.flaws == Flaw.NO_DATE | Flaw.NO_MESSAGE_ID


def test_repeated_fields_are_named_with_the_offset_of_the_second() -> None:
    header = GOOD + b"subject: b\r\nReceived: x\r\nReceived: y\r\nMESSAGE-ID: 2\r\n"
    repeated = read_header(header).repeated
    assert repeated is not None
    assert (repeated.times, repeated.what) == (2, "Message-ID, Subject")
    assert header[repeated.at :].startswith(b"subject: b")
    assert repeated.text == "subject: b"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"Hello Bob", "the line has no field name"),
        (b"From a@b.example Mon Nov  2 10:00:00 2026", "the line has no field name"),
        (b"X-A : 1", "there is white space before the colon"),
        (b": no name", "the line has no field name"),
    ],
)
def test_a_malformed_line_is_quoted(line: bytes, what: str) -> None:
    header = b"X-First: 1\r\n" + line + b"\r\n" + GOOD
    fault = read_header(header).malformed
    assert fault is not None
    assert (fault.what, fault.times, fault.at) == (what, 1, 12)
    assert fault.text.encode() == line


def test_a_header_cannot_start_with_a_continuation() -> None:
    fault = read_header(b" folded\r\n" + GOOD).malformed
    assert fault is not None
    assert fault.what == "the first line is a continuation"


def test_bytes_above_127_in_a_value_are_not_malformed() -> None:
    assert read_header(GOOD + "X-Name: Ł".encode() + b"\r\n").malformed is None


def test_mime_fields_are_unfolded() -> None:
    header = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary="a b"\r\n'
    assert read_header(header).content_type == b'multipart/mixed;\tboundary="a b"'


@pytest.mark.parametrize(
    ("fields", "encoded"),
    [
        (b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: Base64\r\n", True),
        (b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n", False),
        (b"MIME-Version: 1.0\r\nContent-Type: Multipart/mixed; boundary=b\r\n", True),
        (b"Content-Transfer-Encoding: base64\r\n", False),  # no MIME-Version: no MIME
    ],
)
def test_which_bodies_are_encoded(fields: bytes, encoded: bool) -> None:
    assert read_header(fields).encoded is encoded


@pytest.mark.parametrize(
    "value",
    [
        b"Mon, 2 Nov 2026 10:00:00 +0000",
        b"2 Nov 2026 10:00 -0330",
        b"Mon,  2 Nov 2026 10:00:00 +0000 (UTC)",
        b"Mon, 2 Nov 2026 10:00:00 (a (nested) comment) +0000",
        b"Mon, 2 Nov 26 10:00:00 GMT",
        b"tue, 01 feb 94 08:15:00 EST",
        b"Sat, 29 Feb 2020 23:59:60 Z",
        b"Mon, 2 Nov 2026 10 : 00 : 00 MESZ",
    ],
)
def test_valid_dates(value: bytes) -> None:
    assert date_fault(value) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"2026-11-02 10:00", "not a date and time"),
        (b"", "not a date and time"),
        (b"Mon, 2 Nov 2026 10:00:00", "not a date and time"),
        (b"Tue, 2 Nov 2026 10:00:00 +0000", "a Mon, not a Tue"),
        (b"30 Feb 2026 10:00:00 +0000", "day does not exist"),
        (b"29 Feb 2027 10:00:00 +0000", "day does not exist"),
        (b"2 Nov 2026 24:00:00 +0000", "time does not exist"),
        (b"2 Nov 2026 10:00:00 +0090", "time does not exist"),
        (b"Montag, 2 Nov 2026 10:00:00 +0000", "not a date and time"),
    ],
)
def test_invalid_dates(value: bytes, why: str) -> None:
    assert why in (date_fault(value) or "")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    report = read_header(data)
    for fault in (report.repeated, report.malformed, report.bad_date):
        assert fault is None or (0 <= fault.at <= len(data) and fault.times > 0)


LINE = st.sampled_from(
    [
        *(b"Date: 1", b"date: 2", b"From: a", b"Message-Id: <1@x>", b"Subject: \xe4", b"Content-Type: text/plain"),
        *(b"X:", b"X: \r", b"X: a\rb", b" folded", b"\tfolded", b"X-A : 1", b"text", b":", b"\r", b""),
    ]
)
LINES = st.lists(LINE, max_size=8)


@given(LINES)
def test_a_line_is_a_field_or_continues_one(lines: list[bytes]) -> None:
    count = 0
    for number, line in enumerate(lines):
        text = line.rstrip(b"\r")
        name, colon, _ = text.partition(b":")
        is_field = bool(colon and name) and all(33 <= octet <= 126 for octet in name)
        continues = number > 0 and text[:1] in {b" ", b"\t"}
        count += bool(text) and not (is_field or continues)
    fault = read_header(b"\r\n".join(lines)).malformed
    assert (0 if fault is None else fault.times) == count


@given(LINES)
def test_a_remembered_header_says_the_same(lines: list[bytes]) -> None:
    header = b"\r\n".join(lines)
    filler = b"\r\nX-Filler: " + b"x" * MAX_REMEMBERED_OCTETS  # too long to be remembered
    first, second, long = read_header(header), read_header(bytes(bytearray(header))), read_header(header + filler)
    assert first == second
    assert first == long


def test_long_headers_are_not_remembered() -> None:
    remembered = header_module._read_remembered
    remembered.cache_clear()
    read_header(GOOD)
    read_header(GOOD + b"X-Filler: " + b"x" * MAX_REMEMBERED_OCTETS)
    assert remembered.cache_info().currsize == 1

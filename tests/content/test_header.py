"""The header section: its fields, what is malformed, and whether the date is possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.header import date_fault, read_header

GOOD = b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@client.example\r\nSubject: a\r\n folded line\r\n"


def test_a_usual_header_has_no_fault() -> None:
    report = read_header(GOOD)
    assert (report.has_date, report.has_from) == (True, True)
    assert (report.repeated, report.malformed, report.bad_date) == (None, None, None)


def test_field_names_are_case_insensitive() -> None:
    report = read_header(b"DATE: Mon, 2 Nov 2026 10:00:00 +0000\r\nfrom: a@b.example\r\n")
    assert report.has_date
    assert report.has_from


def test_a_name_in_a_folded_line_is_not_a_field() -> None:
    report = read_header(b"Subject: x\r\n Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@b.example\r\n")
    assert not report.has_date


def test_repeated_fields_are_named_with_the_offset_of_the_second() -> None:
    header = GOOD + b"subject: b\r\nReceived: x\r\nReceived: y\r\nMESSAGE-ID: 1\r\nMessage-Id: 2\r\n"
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
    assert read_header(header).mime[b"content-type"] == b'multipart/mixed;\tboundary="a b"'


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

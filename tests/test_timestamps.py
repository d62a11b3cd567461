from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.timestamps import format_time


@pytest.mark.parametrize(
    ("ns", "digits", "text"),
    [
        (1_767_323_045_123_456_000, 6, "2026-01-02T03:04:05.123456Z"),
        (1_767_323_045_123_456_789, 9, "2026-01-02T03:04:05.123456789Z"),
        (1_767_323_045_999_999_999, 6, "2026-01-02T03:04:05.999999Z"),  # never rounded into the next second
        (1_767_323_045_000_000_001, 9, "2026-01-02T03:04:05.000000001Z"),
        (1_767_323_045_999_999_999, 0, "2026-01-02T03:04:05Z"),
        (0, 6, "1970-01-01T00:00:00.000000Z"),
        (-1, 9, "1969-12-31T23:59:59.999999999Z"),
        (-(10**30), 6, "0001-01-01T00:00:00.000000Z"),
        (10**30, 9, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_rfc_3339_with_the_requested_digits(ns: int, digits: int, text: str) -> None:
    assert format_time(ns, digits) == text


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_text_reads_back_as_the_same_microsecond(when: datetime) -> None:
    when = when.replace(tzinfo=UTC)
    delta = when - datetime(1970, 1, 1, tzinfo=UTC)
    ns = ((delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000
    assert datetime.fromisoformat(format_time(ns, 6)) == when

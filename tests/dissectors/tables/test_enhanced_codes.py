"""Enhanced status codes: class, subject and detail, and how they are described."""

from __future__ import annotations

import pytest

from smtpwire.dissectors.tables.codes import SEVERITIES, SUBJECTS
from smtpwire.dissectors.tables.enhanced_codes import DETAILS, STATUS_SUBJECTS, describe_status


@pytest.mark.parametrize(
    ("status", "described"),
    [
        ("5.1.1", "5.1.1: permanent failure, addressing: the mailbox does not exist (RFC 3463 §3.2)"),
        ("4.2.2", "4.2.2: persistent transient failure, mailbox: the mailbox is full (RFC 3463 §3.3)"),
        ("5.7.8", "5.7.8: permanent failure, security or policy: the credentials are not valid (RFC 4954 §6)"),
        ("2.6.99", "2.6.99: success, message content or media"),
        ("4.99.0", "4.99.0: persistent transient failure, subject not defined"),
        ("3.0.0", "3.0.0: class not defined, other or undefined: nothing but the class is known (RFC 3463 §3.1)"),
    ],
)
def test_status_codes_are_described_to_a_reader(status: str, described: str) -> None:
    assert describe_status(status) == described


def test_each_subject_has_its_details_without_a_hole() -> None:
    for subject in STATUS_SUBJECTS:
        details = sorted(detail for of, detail in DETAILS if of == subject)
        assert details == list(range(len(details)))
    assert len([key for key in DETAILS if key[0] == 7]) == 31


def test_the_reply_codes_of_a_detail_are_reply_codes() -> None:
    named = {code for detail in DETAILS.values() for code in detail.codes}
    assert {550, 250, 421} <= named
    assert all(code // 100 in SEVERITIES and code // 10 % 10 in SUBJECTS for code in named)

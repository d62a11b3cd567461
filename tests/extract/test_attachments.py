"""Attachments as Python's email package parses them, and messages that are not parsed."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.extract import attachments
from smtpwire.analyzer.extract.attachments import AttachmentsUnlisted, attachments_of

PDF = b"%PDF-1.4\n" + bytes(range(256)) * 20


def mail() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "a@client.example"
    message["Subject"] = "with papers"
    message.set_content("see below\n")
    return message


def test_a_message_of_text_has_none() -> None:
    assert attachments_of(mail().as_bytes()) == []


def test_type_name_size_and_digests_are_those_of_the_attachment() -> None:
    message = mail()
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="bill.pdf")
    message.add_attachment("näh\n", subtype="csv", filename="tabelle ä.csv")
    pdf, table = attachments_of(message.as_bytes())
    assert (pdf.type, pdf.name, pdf.size) == ("application/pdf", "bill.pdf", len(PDF))
    assert pdf.sha256 == hashlib.sha256(PDF).hexdigest()
    assert pdf.sha1 == hashlib.sha1(PDF, usedforsecurity=False).hexdigest()
    assert pdf.md5 == hashlib.md5(PDF, usedforsecurity=False).hexdigest()
    assert table.type == "text/csv"
    assert table.size == len("näh\r\n".encode()) or table.size == len("näh\n".encode())


def test_an_attached_message_and_its_parts_are_listed() -> None:
    inner = mail()
    inner.add_attachment(PDF, maintype="application", subtype="pdf", filename="inner.pdf")
    outer = mail()
    outer.add_attachment(inner)
    found = attachments_of(outer.as_bytes())
    assert [(one.type, one.name) for one in found] == [("message/rfc822", None), ("application/pdf", "inner.pdf")]
    assert found[0].sha256 is None
    assert found[1].sha256 == hashlib.sha256(PDF).hexdigest()


def test_a_name_cannot_move_a_cursor() -> None:
    header = b'Content-Type: application/pdf; name="a\x1b[2J\xe2\x80\xaefdp.exe"\r\n\r\nx'
    (one,) = attachments_of(header)
    assert one.name is not None
    assert one.name.isprintable()


@given(st.binary(max_size=300), st.sampled_from([b"", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"]))
def test_no_bytes_raise_another_exception(data: bytes, before: bytes) -> None:
    with suppress(AttachmentsUnlisted):
        assert isinstance(attachments_of(before + data), list)


def nested(depth: int) -> bytes:
    parts = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)]
    return b"".join(parts) + b"\r\nhi\r\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (nested(1000), "1,000 multipart or message headers"),
        (b"Content-Type: text/plain" + b";" * 100_000 + b"\r\n\r\nx", "has 100,024 octets"),
        (b"Content-Type: text/plain;" + b"\r\n x=y;" * 1000 + b"\r\n\r\nx", "octets"),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * 2000, "more than 1,000 parts"),
    ],
    ids=["depth", "one long field", "a folded field", "parts"],
)
def test_a_message_that_needs_too_much_work_is_not_parsed(data: bytes, why: str) -> None:
    start = time.process_time()
    with pytest.raises(AttachmentsUnlisted, match=why):
        attachments_of(data)
    assert time.process_time() - start < 5


def test_a_large_message_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MAX_LISTED", 100)
    with pytest.raises(AttachmentsUnlisted, match="larger than 100 octets"):
        attachments_of(b"x" * 101)


def test_the_deepest_allowed_nesting_is_parsed_in_time() -> None:
    start = time.process_time()
    assert attachments_of(nested(attachments.MAX_NESTED) + b"line\r\n" * 10_000) == []
    assert time.process_time() - start < 10

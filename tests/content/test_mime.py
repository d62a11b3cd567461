"""Transfer encodings and boundaries of MIME, checked block by block."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.content.header import HeaderReport, read_header
from smtpwire.analyzer.content.mime import EncodingFault, MimeBody


def fields(kind: bytes = b"text/plain", encoding: bytes = b"") -> HeaderReport:
    """Return a header with these MIME fields."""
    return read_header(
        b"MIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n"
    )


def watched(head: HeaderReport, body: bytes, size: int = 0) -> EncodingFault | None:
    """Return the fault of ``body``, fed in blocks of ``size`` bytes. Its offsets start at 1000, its frames at 1."""
    mime = MimeBody(head, (1000, 1, 0))
    for frame, at in enumerate(range(0, len(body), size or len(body) or 1), 1):
        mime.feed(body[at : at + (size or len(body))], 1000 + at, [(1000 + at, frame, frame)])
    mime.finish()
    return mime.fault


def offset(fault: EncodingFault | None) -> int:
    assert fault is not None
    return fault.offset - 1000


MULTIPART = (
    b"preamble = is not judged\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n"
    b"--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: BASE64\r\n\r\nYWJj\r\nZGU=\r\n"
    b"--b--\r\nepilogue ===\r\n"
)


def test_a_body_that_is_neither_encoded_nor_multipart_is_not_watched() -> None:
    assert not MimeBody(fields(encoding=b"8bit"), (0, 1, 0)).watched
    without_version = read_header(b"Content-Transfer-Encoding: base64\r\n")
    assert not MimeBody(without_version, (0, 1, 0)).watched  # no MIME-Version: no MIME


@pytest.mark.parametrize("size", [0, 1, 7, 1460])
@given(data=st.binary(max_size=400))
def test_valid_encoded_bodies_have_no_fault(size: int, data: bytes) -> None:
    text = base64.encodebytes(data).replace(b"\n", b"\r\n")
    assert watched(fields(encoding=b"base64"), text, size) is None
    text = quopri.encodestring(data).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert watched(fields(encoding=b"quoted-printable"), text, size) is None


@pytest.mark.parametrize("size", [0, 1, 5])
def test_base64_faults(size: int) -> None:
    head = fields(encoding=b"base64")
    assert offset(watched(head, b"aGVs\r\n####\r\n", size)) == 6
    assert offset(watched(head, b"aGVsbG8\r\n", size)) == 0
    assert "padding" in (watched(head, b"aGU=\r\naGVs\r\n", size) or ("",))[0]


def test_an_unnecessary_stuffed_dot_is_removed_by_the_receiver() -> None:
    assert watched(fields(encoding=b"base64"), b"aGVs\r\n.aGVs\r\n") is None


@pytest.mark.parametrize("size", [0, 1, 5])
def test_quoted_printable_faults(size: int) -> None:
    head = fields(encoding=b"quoted-printable")
    assert offset(watched(head, b"ab\r\na=ZZb\r\n", size)) == 5
    assert watched(head, b"a=c3=B6 =  \r\nb=\r\n=3d", size) is None


@pytest.mark.parametrize("size", [0, 1, 9, 64])
def test_parts_of_a_multipart(size: int) -> None:
    head = fields(b'multipart/mixed; boundary="b"')
    assert watched(head, MULTIPART, size) is None
    for good, bad in ((b"a=3Db", b"a=3xb"), (b"ZGU=", b"Z*U=")):
        broken = MULTIPART.replace(good, bad)
        fault = watched(head, broken, size)
        assert fault is not None
        assert bad[1:].find(broken[fault.offset - 1000 :][:1]) >= 0


def test_a_multipart_within_a_multipart_ends_with_the_outer() -> None:
    inner = b"--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nX: 1\r\n\r\n==\r\n"
    last = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--c\r\n--b--\r\n"
    fault = watched(fields(b"multipart/mixed; boundary=b"), inner + last)
    assert fault is not None
    assert "outside the alphabet" in fault.what  # the delimiter of the inner one no longer counts


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (b"multipart/mixed", "no boundary"),
        (b'multipart/mixed; boundary=""', "has 0 characters"),
        (b"multipart/mixed; boundary=" + b"x" * 71, "has 71 characters"),
    ],
)
def test_invalid_boundaries(kind: bytes, what: str) -> None:
    fault = watched(fields(kind), b"x\r\n")
    assert fault is not None
    assert what in fault.what


@pytest.mark.parametrize("kind", [b"multipart/mixed; boundary=" + b"x" * 70, b"multipart/mixed; boundary*0=a"])
def test_valid_boundaries(kind: bytes) -> None:
    assert watched(fields(kind), b"x\r\n") is None


def test_a_big_attachment_is_watched_to_its_end() -> None:
    text = base64.encodebytes(bytes(200_000)).replace(b"\n", b"\r\n")
    assert watched(fields(encoding=b"base64"), text, 1460) is None
    fault = watched(fields(encoding=b"base64"), text + b"!", 1460)
    assert offset(fault) == len(text)
    assert fault is not None
    assert fault.frame == len(text) // 1460 + 1


@given(st.lists(st.sampled_from([b"--b", b"--b--", b"--c", b"", b"=", b"=3D", b"YWJj", b".", b"X: 1"]), max_size=12))
def test_cuts_change_nothing(lines: list[bytes]) -> None:
    head = fields(b"multipart/mixed; boundary=b")
    part = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    body = part + b"".join(line + b"\r\n" for line in lines)
    whole = watched(head, body)
    one_by_one = watched(head, body, 1)
    assert (whole and (whole.what, whole.offset)) == (one_by_one and (one_by_one.what, one_by_one.offset))

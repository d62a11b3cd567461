"""Transfer encodings and boundaries of MIME, checked block by block."""

from __future__ import annotations

import base64
import quopri
from time import perf_counter

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


# -- delimiters that are only the start of a line ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("rest", [b"", b"--", b" \t", b"---", b"-- and more", b"\t--"])
def test_a_line_that_begins_with_the_delimiter_ends_the_part(rest: bytes, size: int) -> None:
    part = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b" + rest + b"\r\n\r\n###\r\n"
    assert watched(fields(b"multipart/mixed; boundary=b"), part, size) is None


@pytest.mark.parametrize("line", [b"x--b", b" --b", b"-- b", b"-b"])
def test_a_delimiter_is_at_the_start_of_a_line(line: bytes) -> None:
    part = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n" + line + b"\r\n"
    assert watched(fields(b"multipart/mixed; boundary=b"), part) is not None


@pytest.mark.parametrize(("outer", "inner"), [(b"b", b"b_1"), (b"b_1", b"b")])
def test_of_two_delimiters_the_longer_one_counts(outer: bytes, inner: bytes) -> None:
    """Whichever of them is around the other: the part after the inner multipart is base64, and wrong."""
    head = fields(b"multipart/mixed; boundary=" + outer)
    nested = b"--%b\r\nContent-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n\r\nx\r\n--%b--\r\n"
    last = b"--%b\r\nContent-Transfer-Encoding: base64\r\n\r\n###\r\n--%b--\r\n"
    body = nested % (outer, inner, inner, inner) + last % (outer, outer)
    assert offset(watched(head, body)) == body.index(b"###")


# -- labels ------------------------------------------------------------------------------------------------------------


def labels(head: HeaderReport, body: bytes, size: int = 0) -> tuple[str, int] | None:
    """Return the untrue label in ``body``, and the offset of the octet in it."""
    mime = MimeBody(head, (1000, 1, 0))
    for frame, at in enumerate(range(0, len(body), size or len(body)), 1):
        mime.feed(body[at : at + (size or len(body))], 1000 + at, [(1000 + at, frame, frame)])
    mime.finish()
    found = mime.untrue_label
    return None if found is None else (found.label, found.offset - 1000)


def part(*header: bytes) -> bytes:
    return b"--b\r\n" + b"".join(field + b"\r\n" for field in header) + b"\r\ngr\xc3\xbc\xc3\x9fe\r\n--b--\r\n"


@pytest.mark.parametrize("size", [0, 1, 9])
@pytest.mark.parametrize(
    ("body", "label"),
    [
        (part(), ""),
        (part(b"Content-Transfer-Encoding: 7bit"), "7bit"),
        (part(b"Content-Transfer-Encoding: Quoted-Printable"), "quoted-printable"),
        (part(b"Content-Transfer-Encoding: 8bit"), None),
        (part(b"Content-Transfer-Encoding: binary"), None),
        (part(b"Content-Transfer-Encoding: x-own"), None),
        (b"gr\xc3\xbc\xc3\x9fe\r\n--b--\r\ngr\xc3\xbc\xc3\x9fe\r\n", None),  # around the parts
        (part(b"Content-Type: message/rfc822") + b"--b--\r\n", None),  # the header of a message: no body
        (part(b"Content-Type: message/rfc822", b"", b"Subject: no MIME"), None),
        (part(b"Content-Type: message/rfc822", b"", b"MIME-Version: 1.0"), ""),
        (part(b"Content-Type: message/rfc822", b"", b"MIME-Version: 1.0", b"Content-Transfer-Encoding: 8bit"), None),
        (part(b"Content-Type: text/plain; name=\xfc", b"Content-Transfer-Encoding: 8bit"), None),
    ],
)
def test_labels_of_parts(body: bytes, label: str | None, size: int) -> None:
    head = fields(b"multipart/mixed; boundary=b", b"8bit")
    assert labels(head, body, size) == (None if label is None else (label, body.index(b"\xc3")))


def test_the_parts_of_a_digest_are_messages() -> None:
    head = fields(b"multipart/digest; boundary=b")
    assert labels(head, part()) is None
    assert labels(head, part(b"", b"MIME-Version: 1.0")) == ("", 30)


def test_a_label_is_judged_after_an_encoding_fault() -> None:
    wrong = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n###\r\n"
    assert labels(fields(b"multipart/mixed; boundary=b"), wrong + part()) == ("", len(wrong) + 9)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (b"multipart/mixed; boundary=b", part(b"Content-Transfer-Encoding: 8bit"), False),
        (b"multipart/mixed; boundary=b", part(b"Content-Type: text/plain; name=\xfc"), True),
        (b"multipart/mixed; boundary=b", part(b"Content-Type: message/rfc822", b"", b"Subject: \xfc"), True),
        (b"message/rfc822", b"Subject: \xfc\r\n\r\n", True),
        (b"multipart/mixed", part(), True),  # nobody knows where its parts are
    ],
)
def test_octets_above_127_in_the_headers_of_parts(kind: bytes, body: bytes, expected: bool) -> None:
    mime = MimeBody(fields(kind), (0, 1, 0))
    mime.feed(body, 0, [(0, 1, 0)])
    mime.finish()
    assert mime.header_8bit is expected


@pytest.mark.parametrize("size", [1460, 1 << 16])
@pytest.mark.parametrize(
    "line", [b"=\r\n", b"=" * 70 + b"\r\n", b"--b\r\n\r\n", b"--b\r\n", b"Content-Type: message/rfc822\r\n\r\n"]
)
def test_the_time_grows_no_faster_than_the_body(line: bytes, size: int) -> None:
    start = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" if b"-" not in line[:2] + line[-6:] else b""
    times = []
    for count in (100_000, 400_000):
        body = start + line * (count // len(line))
        begun = perf_counter()
        watched(fields(b"multipart/mixed; boundary=b"), body, size)
        times.append(perf_counter() - begun)
    assert times[1] < max(8 * times[0], 1.0)

"""A whole message in one segment: what is said of it at once is what the long way says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scripts import MESSAGE

from smtpwire.analyzer.content.end_of_data import Content
from smtpwire.analyzer.fastpath.small_message import letter
from smtpwire.analyzer.fastpath.trie import content_step

LIMIT = 1 << 18
OFFSET = 200
PLAIN = MESSAGE.encode() + b".\r\n"


def long_way(data: bytes) -> tuple[Content, int]:
    content = Content(OFFSET, 7, 99, chunked=False, header_limit=LIMIT)
    return content, content.feed(data, 7, 99)


def facts(data: bytes) -> bool:
    """Whether ``letter`` says something of ``data``; then it must be what ``Content`` says."""
    found = letter(data, OFFSET, 7, 99, LIMIT)
    if found is None:
        return False
    (one, used), (content, behind) = found, long_way(data)
    assert used == behind
    assert content.complete
    for name in ("offset", "frame", "time_ns", "size", "lines", "sha256", "subject", "message_id", "flaws"):
        assert getattr(one, name) == getattr(content, name), name
    assert content_step(one) == content_step(content) is not None
    return True


def test_a_plain_message_is_read_at_once() -> None:
    assert facts(PLAIN)
    found = letter(PLAIN + b"QUIT\r\n", OFFSET, 7, 99, LIMIT)
    assert found is not None
    assert found[1] == len(PLAIN)


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("it goes on", PLAIN[:-3]),
        ("nothing in it", b".\r\n"),
        ("no header", b"\r\nhello\r\n.\r\n"),
        ("no empty line", b"Subject: x\r\n.\r\n"),
        ("a stuffed dot", PLAIN.replace(b"hello", b"..hello")),
        ("a bare LF", PLAIN.replace(b"hello", b"hel\nlo")),
        ("a bare CR", PLAIN.replace(b"hello", b"hel\rlo")),
        ("a bare LF and a bare CR", PLAIN.replace(b"hello", b"h\nel\rlo")),
        ("NUL", PLAIN.replace(b"hello", b"hel\0lo")),
        ("eight bits", PLAIN.replace(b"hello", b"h\xe9llo")),
        ("a long line", PLAIN.replace(b"hello", b"x" * 999)),
        ("a field twice", PLAIN.replace(b"Subject:", b"Subject: a\r\nSUBJECT:")),
        ("a bad date", PLAIN.replace(b"Mon, 2 Nov", b"Tue, 2 Nov")),
        ("no field", PLAIN.replace(b"Subject:", b"Subject")),
        ("parts", PLAIN.replace(b"Subject:", b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\nSubject:")),
        ("base64", PLAIN.replace(b"Subject:", b"Content-Transfer-Encoding: base64\r\nSubject:")),
    ],
)
def test_what_needs_a_closer_look_is_left_to_others(what: str, data: bytes) -> None:
    assert letter(data, OFFSET, 7, 99, LIMIT) is None, what


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b"hello", b"x" * 998),
        PLAIN.replace(b"Date:", b"X-Date:"),
        PLAIN.replace(b"From:", b"X-From:"),
        PLAIN.replace(b"Subject: test", b"Subject: a\r\n folded one"),
        PLAIN.replace(b"Subject:", b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nSubject:"),
        PLAIN.replace(b"hello", b"a.b\r\n\r\nc"),
    ],
)
def test_what_is_only_unusual_is_read_at_once(data: bytes) -> None:
    assert facts(data)


def test_a_header_beyond_the_limit_is_left_to_others() -> None:
    assert letter(PLAIN, OFFSET, 7, 99, 20) is None
    assert letter(PLAIN, OFFSET, 7, 99, 0) is not None


FIELDS = st.sampled_from(
    [
        *(b"Date: Mon, 2 Nov 2026 10:00:00 +0000", b"Date: today", b"From: a@b.example", b"Subject: x", b"Subject:"),
        *(b" fold", b"Content-Type: text/plain", b"Content-Type: multipart/mixed; boundary=a", b"MIME-Version: 1.0"),
        *(b"Message-ID: <1>", b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding: base64", b"no field"),
        *(b"", b"\xe9: x", b"a:b\x00"),
    ]
)
TEXT = st.sampled_from(
    [b"hello", b"", b".", b"..", b".x", b"x" * 998, b"x" * 999, b"--a", b"--a--", b"a=b", b"\xff", b"a\0"]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n.\r\n"])


@given(st.lists(st.tuples(FIELDS | TEXT, ENDS), max_size=12))
@example([(b"Subject: x", b"\r\n"), (b"", b"\r\n"), (b".x", b"\r\n")])
def test_it_never_differs_from_the_long_way(parts: list[tuple[bytes, bytes]]) -> None:
    facts(b"".join(text + end for text, end in parts) + b".\r\n")


@given(st.binary(max_size=60))
def test_any_bytes_are_taken(data: bytes) -> None:
    facts(data)
    facts(PLAIN[:-3] + data + b"\r\n.\r\n")

"""Replies: their content and deviations; a built reply parses back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ehlo_lines, hostile_lines, replies

from smtpwire.dissectors.deviations import DeviationKind as Kind
from smtpwire.dissectors.grammar.constructs import EHLO_LINE, REPLY, SyntaxFault, build_reply
from smtpwire.dissectors.lines.replies import MAX_OFFERS, begins_reply, parse_reply

EHLO = b"250-mx.example greets you\r\n250-PIPELINING\r\n250-size 10240000\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"


@pytest.mark.parametrize("line", [b"250 ok\r\n", b"250-ok\r\n", b"250\r\n", b"250\n", b"250", b"250-", b"999 x"])
def test_lines_that_start_a_reply(line: bytes) -> None:
    assert begins_reply(line)


@pytest.mark.parametrize(
    "line", [b"", b"25", b"25 0", b"2500 x", b"250x", b"250\tx", b" 250 x", b"OK ready", b"\xb2\xb250 x"]
)
def test_lines_that_do_not(line: bytes) -> None:
    assert not begins_reply(line)


@pytest.mark.parametrize(
    ("raw", "code", "texts", "enhanced"),
    [
        (b"250 OK\r\n", 250, (b"OK",), None),
        (b"250 2.1.0 Ok\r\n", 250, (b"2.1.0 Ok",), "2.1.0"),
        (b"250 2.1.0\r\n", 250, (b"2.1.0",), "2.1.0"),
        (b"550 4.1.1 no\r\n", 550, (b"4.1.1 no",), "4.1.1"),
        (b"250 2.00.0 OK\r\n", 250, (b"2.00.0 OK",), None),
        (b"250 2.1.0, ok\r\n", 250, (b"2.1.0, ok",), None),
        (b"250 3.1.0 ok\r\n", 250, (b"3.1.0 ok",), None),
        (b"354 2.1.0 ok\r\n", 354, (b"2.1.0 ok",), None),
        (b"250 \r\n", 250, (b"",), None),
        (b"550-5.1.1 a\r\n550 5.1.2 b\r\n", 550, (b"5.1.1 a", b"5.1.2 b"), "5.1.1"),
        (b"550-5.1.1\r\n550 b\r\n", 550, (b"5.1.1", b"b"), "5.1.1"),
        (b"550-a\r\n550 5.1.2 b\r\n", 550, (b"a", b"5.1.2 b"), None),
        (b"354-2.1.0 a\r\n354 b\r\n", 354, (b"2.1.0 a", b"b"), None),
        (b"250 2.1.1234 x\r\n", 250, (b"2.1.1234 x",), None),
        (b"250-\r\n250 x", 250, (b"", b"x"), None),
        (b"334 \r\n", 334, (b"",), None),
    ],
)
def test_the_fields_of_a_reply(raw: bytes, code: int, texts: tuple[bytes, ...], enhanced: str | None) -> None:
    reply = parse_reply(raw)
    assert (reply.raw, reply.code, reply.texts, reply.enhanced) == (raw, code, texts, enhanced)
    assert reply.deviations == ()
    assert reply.ascii


def test_lines_are_printable_and_shared() -> None:
    reply = parse_reply(b"250-a\x1b[2J\r\n250 Gr\xfc\xdfe\r\n")
    assert reply.lines == ["a\\x1b[2J", "Gr\\xfc\\xdfe"]
    assert reply.lines is reply.lines
    assert not reply.ascii


@pytest.mark.parametrize(
    ("raw", "code", "expected"),
    [
        (b"250-a\r\nhello there\r\n250 b\r\n", 250, [(Kind.MALFORMED_LINE, 7, 11)]),
        (b"OK ready\r\n", 0, [(Kind.MALFORMED_LINE, 0, 8)]),
        (b"", 0, [(Kind.MALFORMED_LINE, 0, 0)]),
        (b"150 wait\r\n", 150, [(Kind.CODE_OUT_OF_RANGE, 0, 3)]),
        (b"260 odd\r\n", 260, [(Kind.CODE_OUT_OF_RANGE, 0, 3)]),
        (b"650 odd\r\n", 650, [(Kind.CODE_OUT_OF_RANGE, 0, 3)]),
        (b"250-mx\r\n251 SIZE\r\n", 251, [(Kind.CODE_MISMATCH, 8, 3)]),
        (b"250\r\n", 250, [(Kind.BARE_CODE, 0, 3)]),
        (b"250-a\r\n250\r\n", 250, [(Kind.BARE_CODE, 7, 3)]),
        (b"250", 250, []),  # the rest may not have been captured
        (b"250-a\r\n250-b\r\n", 250, []),  # nor the rest of this one
        (b"250 OK\n", 250, [(Kind.BARE_NEWLINE, 6, 1)]),
        (b"250-a\n250 b\r\n", 250, [(Kind.BARE_NEWLINE, 5, 1)]),
        (b"250 a\rb\r\n", 250, [(Kind.BARE_NEWLINE, 5, 1)]),
        (b"250 a\r\r\n", 250, [(Kind.BARE_NEWLINE, 5, 1)]),
        (b"250 a\r", 250, []),
        (b"250 Gr\xfc\xdf Gott\r\n", 250, [(Kind.EIGHT_BIT, 6, 1)]),
        (b"250-\xe9\n251 b\r\n", 251, [(Kind.EIGHT_BIT, 4, 1), (Kind.BARE_NEWLINE, 5, 1), (Kind.CODE_MISMATCH, 6, 3)]),
    ],
)  # fmt: skip
def test_deviations_and_their_places(raw: bytes, code: int, expected: list[tuple[Kind, int, int]]) -> None:
    reply = parse_reply(raw)
    assert reply.code == code
    assert [(deviation.kind, deviation.at, deviation.length) for deviation in reply.deviations] == expected


def test_each_line_is_reported_separately() -> None:
    parts = parse_reply(b"550-5.1.1 a\r\njunk\r\n551\r\n").parts()
    assert [(part.code, part.separator, part.text, part.enhanced, part.at) for part in parts] == [
        (550, b"-", b"5.1.1 a", "5.1.1", 0),
        (None, b"", b"junk", None, 13),
        (551, b"", b"", None, 19),
    ]


def test_the_keywords_that_ehlo_lists() -> None:
    reply = parse_reply(EHLO)
    assert reply.keywords() == {"PIPELINING": (), "SIZE": ("10240000",), "AUTH": ("PLAIN", "LOGIN"), "8BITMIME": ()}
    assert reply.keywords() is reply.keywords()


def test_the_old_form_of_auth_counts_and_both_are_joined() -> None:
    both = b"250-mx\r\n250-AUTH=LOGIN PLAIN\r\n250-AUTH PLAIN CRAM-MD5\r\n250 STARTTLS\r\n"
    assert parse_reply(both).keywords() == {"AUTH": ("LOGIN", "PLAIN", "CRAM-MD5"), "STARTTLS": ()}
    assert parse_reply(b"250-mx\r\n250 auth=\r\n").keywords() == {"AUTH": ()}


def test_the_first_line_lists_nothing() -> None:
    assert parse_reply(b"250-SIZE 1000\r\n250 mx.example\r\n").keywords() == {"MX.EXAMPLE": ()}
    assert parse_reply(b"250 SIZE\r\n").keywords() == {}
    assert parse_reply(b"250-mx\r\n250-\r\njunk\r\n250 HELP\r\n").keywords() == {"HELP": ()}


@given(replies())
def test_a_reply_survives_building_and_parsing(drawn: tuple[int, list[bytes]]) -> None:
    code, texts = drawn
    raw = build_reply(code, texts)
    reply = parse_reply(raw)
    assert (reply.code, list(reply.texts), reply.deviations) == (code, texts, ())
    assert REPLY.parse(raw) == {"code": code, "texts": texts}
    assert REPLY.build(REPLY.parse(raw)) == raw
    assert all(begins_reply(line) for line in raw.splitlines() if line[:3].isdigit())


def test_status_codes_are_on_each_line() -> None:
    assert build_reply(550, [b"no", b"such user"], "5.1.1") == b"550-5.1.1 no\r\n550 5.1.1 such user\r\n"


def test_bare_codes_are_parsed_and_built_again() -> None:
    assert REPLY.build(REPLY.parse(b"250-a\r\n250\r\n")) == b"250-a\r\n250\r\n"


@pytest.mark.parametrize(
    ("code", "lines", "enhanced"),
    [(250, [], None), (250, [b"a\r\n250 b"], None), (199, [b"a"], None), (1250, [b"a"], None), (250, [b"a"], "2.x.0")],
)
def test_no_other_reply_is_built(code: int, lines: list[bytes], enhanced: str | None) -> None:
    with pytest.raises(SyntaxFault):
        build_reply(code, lines, enhanced)


@pytest.mark.parametrize("raw", [b"250 a", b"250 a\n", b"250-a\r\n", b"250-a\r\n251 b\r\n", b"250 a\r\n250 b\r\n"])
def test_an_incomplete_reply_is_a_fault(raw: bytes) -> None:
    assert not REPLY.check(raw)


@given(ehlo_lines())
def test_ehlo_lines_survive_building_and_parsing(drawn: tuple[bytes, list[bytes]]) -> None:
    keyword, parameters = drawn
    line = EHLO_LINE.todata({"keyword": keyword, "parameters": [{"text": parameter} for parameter in parameters]})
    parsed = EHLO_LINE.fromdata(line)
    assert (parsed.keyword, [parameter.text for parameter in parsed.parameters]) == (keyword, parameters)
    listed = parse_reply(build_reply(250, [b"mx.example", line])).keywords()
    assert list(listed) == [keyword.decode().upper()]


@pytest.mark.parametrize("line", [b"AUTH=LOGIN PLAIN", b"", b"-X", b"X_Y", b"SIZE \x01"])
def test_invalid_ehlo_lines(line: bytes) -> None:
    assert not EHLO_LINE.check(line)


@given(st.one_of(hostile_lines(), st.lists(hostile_lines(), max_size=4).map(b"\r\n250-".join)))
def test_no_reply_raises(raw: bytes) -> None:
    reply = parse_reply(raw)
    assert reply.raw == raw
    assert len(reply.texts) == len(reply.lines) == len(reply.parts()) >= 1
    assert all(line.isprintable() for line in reply.lines)
    assert all(name.isprintable() for name in reply.keywords())
    assert reply.ascii == raw.isascii()
    for deviation in reply.deviations:
        assert 0 <= deviation.at <= deviation.at + deviation.length <= len(raw)
    for part in reply.parts():
        assert raw.startswith(part.text, part.at + (0 if part.code is None else 3 + len(part.separator)))


@pytest.mark.parametrize("unit", [b"250-\r\n", b"250-a\n", b"\n", b"\r", b"\r\n", b"a", b"250 ", b"\xe9"])
def test_hostile_replies_take_linear_time(unit: bytes) -> None:
    raw = b"250-" + unit * 20_000
    began = time.perf_counter()
    reply = parse_reply(raw)
    assert len(reply.keywords()) < 20_000
    assert time.perf_counter() - began < 1.5  # a quadratic one takes minutes


def test_offers_are_read_up_to_a_bound() -> None:
    reply = parse_reply(b"250-mx\r\n" + b"".join(b"250-X%d\r\n" % n for n in range(5000)) + b"250 X\r\n")
    assert len(reply.keywords()) == MAX_OFFERS
    reply = parse_reply(b"250-mx\r\n250 AUTH " + b" ".join(b"M%d" % n for n in range(5000)) + b"\r\n")
    assert len(reply.keywords()["AUTH"]) == MAX_OFFERS


def test_a_keyword_in_many_lines_has_each_parameter_once() -> None:
    reply = parse_reply(b"250-mx\r\n250-AUTH A B\r\n250-AUTH=B C\r\n250 auth a\r\n")
    assert reply.keywords() == {"AUTH": ("A", "B", "C", "a")}

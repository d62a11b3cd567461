"""The construct classes: parsing and building; nothing is built that does not parse back."""

from __future__ import annotations

from io import BytesIO

import pytest
from construct import Bytes, ConstructError, FixedSized, SizeofError, Struct

from smtpwire.dissectors.grammar.construct_types import RegexStruct, Separated, SyntaxFault
from smtpwire.dissectors.grammar.productions import Production

NUMBER = RegexStruct(Production(rb"(?P<digits>[0-9]+)", lambda parts: parts["digits"] or b"", digits=None))
PAIR = RegexStruct(
    Production(
        rb"(?P<left>[a-z]+)-(?P<right>[a-z0-9-]+)",
        lambda parts: (parts["left"] or b"") + b"-" + (parts["right"] or b""),
        left=None,
        right=None,
    )
)
NUMBERS = Separated(NUMBER, b",")


def test_it_parses_and_builds_like_any_construct() -> None:
    assert PAIR.parse(b"ab-12").right == b"12"
    assert PAIR.build({"left": b"ab", "right": b"12"}) == b"ab-12"
    inside = Struct("length" / Bytes(1), "pair" / FixedSized(5, PAIR))
    assert inside.parse(b"\x05ab-12").pair.left == b"ab"
    assert PAIR.parse_stream(BytesIO(b"a-b")).left == b"a"


def test_bytes_that_do_not_match_are_a_construct_error() -> None:
    with pytest.raises(SyntaxFault):
        PAIR.fromdata(b"ab")
    with pytest.raises(ConstructError):
        PAIR.parse(b"ab")
    assert not PAIR.check(b"ab")
    assert PAIR.check(b"ab-c")


def test_nothing_is_built_that_does_not_parse() -> None:
    with pytest.raises(SyntaxFault):
        PAIR.todata({"left": b"AB", "right": b"c"})
    with pytest.raises(SyntaxFault):
        NUMBERS.todata([{"digits": b"1,2"}])


def test_no_field_runs_into_the_next_one() -> None:
    # "a-b" and "c" would be written as a-b-c, which reads back as "a" and "b-c".
    with pytest.raises(SyntaxFault):
        PAIR.todata({"left": b"a-b", "right": b"c"})


def test_list_items_have_a_separator_before_each() -> None:
    assert [item.digits for item in NUMBERS.fromdata(b",1,22")] == [b"1", b"22"]
    assert NUMBERS.fromdata(b"") == []
    assert NUMBERS.todata([{"digits": b"1"}, {"digits": b"22"}]) == b",1,22"
    assert not NUMBERS.check(b"1,2")


def test_the_size_is_not_known_in_advance() -> None:
    with pytest.raises(SizeofError):
        PAIR.sizeof()

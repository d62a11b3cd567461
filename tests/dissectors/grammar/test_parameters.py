"""Parameters of MAIL and RCPT, their values, and xtext."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import parameter_lists

from smtpwire.dissectors.deviations import DeviationKind
from smtpwire.dissectors.grammar.constructs import PARAMETERS
from smtpwire.dissectors.grammar.parameters import (
    PARAMETER,
    find_parameter,
    is_legal_value,
    scan_parameters,
    xtext_decode,
    xtext_encode,
)

LEGAL = [
    (b"SIZE", b"0"),
    (b"SIZE", b"18446744073709551616"),
    (b"BODY", b"8bitmime"),
    (b"BODY", b"BINARYMIME"),
    (b"RET", b"HDRS"),
    (b"NOTIFY", b"NEVER"),
    (b"NOTIFY", b"SUCCESS,delay"),
    (b"ENVID", b"QQ+3D1"),
    (b"ORCPT", b"rfc822;a+2Bb@mx.example"),
    (b"ORCPT", b"utf-8;\xc3\xa9@mx.example"),
    (b"AUTH", b"<>"),
    (b"AUTH", b"e+3Dmc2@example.com"),
    (b"BY", b"120;R"),
    (b"BY", b"-120;NT"),
    (b"BY", b"0;N"),
    (b"HOLDFOR", b"999999999"),
    (b"MT-PRIORITY", b"-9"),
    (b"MT-PRIORITY", b"0"),
    (b"RRVS", b"2026-04-03T23:01:00Z"),
    (b"RRVS", b"2026-04-03T23:01:00+02:00;C"),
    (b"HOLDUNTIL", b"2026-04-03T23:01:00.5Z"),
    (b"SMTPUTF8", None),
    (b"REQUIRETLS", None),
    (b"FOO", None),
    (b"FOO", b"anything"),
    (b"HOLDUNTIL", b"2026-11-03T00:00:00Z"),
]
ILLEGAL = [
    (b"SIZE", b"ten"),
    (b"SIZE", b"-1"),
    (b"SIZE", b"123456789012345678901"),
    (b"SIZE", None),
    (b"BODY", b"9BIT"),
    (b"BODY", None),
    (b"RET", b"BOTH"),
    (b"NOTIFY", b"NEVER,DELAY"),
    (b"NOTIFY", b"SUCCESS,"),
    (b"NOTIFY", b"LATER"),
    (b"ENVID", b"a+3d"),
    (b"ENVID", b"a+"),
    (b"ORCPT", b"a@mx.example"),
    (b"ORCPT", b"rfc822;a+2xb@mx.example"),
    (b"ORCPT", b";a@mx.example"),
    (b"AUTH", b"a+zz"),
    (b"BY", b"0;R"),
    (b"BY", b"-5;R"),
    (b"BY", b"00;RT"),
    (b"BY", b"1234567890;N"),
    (b"BY", b"10;X"),
    (b"HOLDFOR", b"1234567890"),
    (b"HOLDFOR", b"0"),
    (b"HOLDFOR", b"060"),
    (b"HOLDUNTIL", b"tomorrow"),
    (b"HOLDUNTIL", b"2026-04-03T23:01:00+00:00"),
    (b"RRVS", b"2026-04-03T23:01:00.5Z"),
    (b"MT-PRIORITY", b"10"),
    (b"MT-PRIORITY", b"-10"),
    (b"MT-PRIORITY", b"-0"),
    (b"RRVS", b"2026-13-03T23:01:00Z"),
    (b"RRVS", b"yesterday"),
    (b"SMTPUTF8", b"yes"),
    (b"REQUIRETLS", b"1"),
]


@pytest.mark.parametrize(("keyword", "value"), LEGAL)
def test_legal_values(keyword: bytes, value: bytes | None) -> None:
    assert is_legal_value(keyword, value)
    text = b" " + keyword + (b"" if value is None else b"=" + value)
    found, wrong = scan_parameters(text, 0, len(text))
    assert found == {keyword.decode(): value}
    assert wrong == ()


@pytest.mark.parametrize(("keyword", "value"), ILLEGAL)
def test_illegal_values(keyword: bytes, value: bytes | None) -> None:
    assert not is_legal_value(keyword, value)
    text = b" " + keyword.lower() + (b"" if value is None else b"=" + value)
    found, wrong = scan_parameters(text, 0, len(text))
    assert found == {keyword.decode(): value}
    assert [(deviation.kind, deviation.at, deviation.length) for deviation in wrong] == [
        (DeviationKind.BAD_PARAMETER_VALUE, 1, len(text) - 1)
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (b" SIZE=1 BODY=7BIT", []),
        (b" size=1", []),
        (b" TRANSID=<a=b@x.example>", []),
        (b" X-P=\xc3\xa9", []),
        (b" SIZE=1 SIZE=2", [(DeviationKind.DUPLICATE_PARAMETER, 8, 6)]),
        (b" SIZE=1 size=1", [(DeviationKind.DUPLICATE_PARAMETER, 8, 6)]),
        (b" SIZE=", [(DeviationKind.BAD_PARAMETER_SYNTAX, 1, 5)]),
        (b" X=1=2", [(DeviationKind.BAD_PARAMETER_SYNTAX, 1, 5)]),
        (b" -X=1", [(DeviationKind.BAD_PARAMETER_SYNTAX, 1, 4)]),
        (b" X_Y=1", [(DeviationKind.BAD_PARAMETER_SYNTAX, 1, 5)]),
        (b" =1", [(DeviationKind.BAD_PARAMETER_SYNTAX, 1, 2)]),
        (b" X=\x01", [(DeviationKind.BAD_PARAMETER_SYNTAX, 1, 3)]),
        (b"SIZE=1", [(DeviationKind.BAD_PARAMETER_SYNTAX, 0, 6)]),
        (b"\tSIZE=1", [(DeviationKind.BAD_PARAMETER_SYNTAX, 0, 7)]),
        (b" SIZE=1  BODY=7BIT", [(DeviationKind.STRAY_WHITESPACE, 8, 1)]),
        (b" HOLDFOR=1 HOLDUNTIL=2026-04-03T23:01:00Z", [(DeviationKind.BAD_PARAMETER_VALUE, 1, 40)]),
        (b" SIZE=1 HOLDUNTIL=2026-04-03T23:01:00Z HOLDFOR=1", [(DeviationKind.BAD_PARAMETER_VALUE, 8, 40)]),
        (b" HOLDFOR=1 HOLDUNTIL=x", [(DeviationKind.BAD_PARAMETER_VALUE, 11, 11)]),
        (b" SIZE=a BODY=b", [(DeviationKind.BAD_PARAMETER_VALUE, 1, 6)]),
    ],
)
def test_deviations_are_located(text: bytes, kinds: list[tuple[DeviationKind, int, int]]) -> None:
    raw = b"<a@b>" + text
    _, wrong = scan_parameters(raw, 5, len(raw))
    assert [(deviation.kind, deviation.at - 5, deviation.length) for deviation in wrong] == kinds


def test_the_first_of_two_counts_and_readable_ones_are_kept() -> None:
    text = b"SIZE=1 SIZE=2 BODY= X_Y=1 SMTPUTF8"
    found, _ = scan_parameters(text, 0, len(text))
    assert found == {"SIZE": b"1", "BODY": b"", "SMTPUTF8": None}


@given(parameter_lists())
def test_parameters_survive_building_and_parsing(fields: list[dict[str, bytes | None]]) -> None:
    raw = PARAMETERS.todata(fields)
    assert PARAMETERS.fromdata(raw) == fields
    found, wrong = scan_parameters(raw, 0, len(raw))
    assert DeviationKind.BAD_PARAMETER_SYNTAX not in {deviation.kind for deviation in wrong}
    assert len(found) == len({(field["keyword"] or b"").upper() for field in fields})


@given(st.binary(max_size=40))
def test_xtext_gives_back_any_bytes(data: bytes) -> None:
    encoded = xtext_encode(data)
    assert xtext_decode(encoded) == data
    assert is_legal_value(b"ENVID", encoded)


def test_xtext_by_the_book() -> None:
    assert xtext_encode(b"e=mc2@example.com") == b"e+3Dmc2@example.com"
    for wrong in (b"+3d", b"a=b", b"a b", b"+4"):
        with pytest.raises(ValueError, match="xtext"):
            xtext_decode(wrong)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"MAIL FROM:<a@b> Size=1 X", b"Size=1"),
        (b"MAIL FROM:<a@b> size", b"size"),
        (b"MAIL FROM:<a@b> X=SIZE", None),
        (b"MAIL FROM:<a@b> SIZEX=2 SIZE=1", b"SIZE=1"),
        (b"MAIL FROM:<a@b>", None),
    ],
)
def test_find_parameter(line: bytes, found: bytes | None) -> None:
    place = find_parameter(line, "SIZE")
    assert (None if place is None else line[slice(*place)]) == found


@pytest.mark.parametrize("valid", [b"TRANSID=<a=b>", b"transid=<", b"TRANSID=x", b"TRANSID", b"XTRANSID=<a"])
def test_the_identifier_of_a_transaction_may_hold_an_equals_sign(valid: bytes) -> None:
    assert PARAMETER.check(valid)


@pytest.mark.parametrize("wrong", [b"TRANSID=", b"TRANSID=a=b", b"XTRANSID=<a=b>", b"TRANSID=<a b>"])
def test_no_other_parameter_may_hold_one(wrong: bytes) -> None:
    assert not PARAMETER.check(wrong)

"""Reverse-path and forward-path."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import paths

from smtpwire.dissectors.grammar.constructs import FORWARD_PATH, REVERSE_PATH, SyntaxFault
from smtpwire.dissectors.grammar.paths import Path, parse_path, parse_user


@pytest.mark.parametrize(
    ("raw", "route", "local", "domain"),
    [
        (b"<a@x.example>", (), b"a", b"x.example"),
        (b"<>", (), None, None),
        (b"<Postmaster>", (), b"Postmaster", None),
        (b"<postmaster@x.example>", (), b"postmaster", b"x.example"),
        (b"<@r.example,@s.example:b@mx.example>", (b"r.example", b"s.example"), b"b", b"mx.example"),
        (b'<"a b"@x.example>', (), b'"a b"', b"x.example"),
        (b'<"a\\"@>"@x.example>', (), b'"a\\"@>"', b"x.example"),
        (b"<a@[192.0.2.1]>", (), b"a", b"[192.0.2.1]"),
        (b"<a@[IPv6:2001:db8::1]>", (), b"a", b"[IPv6:2001:db8::1]"),
        (b"<\xc3\xa9@x.example>", (), b"\xc3\xa9", b"x.example"),
        (b"<e=mc2%y!z@x.example>", (), b"e=mc2%y!z", b"x.example"),
    ],
)
def test_paths(raw: bytes, route: tuple[bytes, ...], local: bytes | None, domain: bytes | None) -> None:
    assert parse_path(raw) == Path(raw, route, local, domain)


@pytest.mark.parametrize(
    "raw",
    [b"", b"a@x.example", b"<a>", b"<a@>", b"<@x>", b"<a..b@x>", b"<a@x", b"a@x>", b'<"a@x>', b"<a@b@c>", b"<a b@x>",
     b"<@r.example:>", b"<@r.example b@x>", b"<a@x_y.example>", b"<a@x.example.>", b"< a@x>", b"<a\0@x>",
     b"<a@[192.0.2.300]>"],
)  # fmt: skip
def test_invalid_paths(raw: bytes) -> None:
    assert parse_path(raw) is None


def test_addresses_have_no_brackets_and_no_route() -> None:
    for raw, address in [(b"<@r:b@x>", b"b@x"), (b"<>", b""), (b"<Postmaster>", b"Postmaster")]:
        path = parse_path(raw)
        assert path is not None
        assert path.address == address


def test_the_null_path_is_for_senders_and_postmaster_for_recipients() -> None:
    assert REVERSE_PATH.check(b"<>")
    assert not FORWARD_PATH.check(b"<>")
    assert FORWARD_PATH.check(b"<POSTMASTER>")
    assert not REVERSE_PATH.check(b"<Postmaster>")


@given(paths())
def test_a_path_survives_building_and_parsing(fields: dict[str, bytes | None]) -> None:
    raw = REVERSE_PATH.todata(fields)
    assert REVERSE_PATH.fromdata(raw) == fields
    assert REVERSE_PATH.parse(REVERSE_PATH.build(fields)) == fields
    path = parse_path(raw)
    assert path is not None
    assert (path.local, path.domain) == (fields["local"], fields["domain"])


@pytest.mark.parametrize("local", [b"a@b", b"a> SIZE=1", b"a\r\nRSET", b"@r:a"])
def test_no_path_is_built_that_parses_differently(local: bytes) -> None:
    with pytest.raises(SyntaxFault):
        REVERSE_PATH.todata({"local": local, "domain": b"x.example"})


def test_users_that_vrfy_may_name() -> None:
    assert parse_user(b"smith") == Path(b"smith", (), b"smith", None)
    assert parse_user(b"smith@x.example") == Path(b"smith@x.example", (), b"smith", b"x.example")
    assert parse_user(b"<smith@x.example>") == Path(b"<smith@x.example>", (), b"smith", b"x.example")
    assert parse_user(b"John Smith") is None

"""Every deviation of a command line where it must be found, and similar lines where it must not."""

from __future__ import annotations

import time

import pytest

from smtpwire.dissectors.deviations import DeviationKind as Kind
from smtpwire.dissectors.lines.commands import parse_command

WELL_FORMED = [
    b"EHLO client.example",
    b"EHLO localhost",
    b"EHLO 192.0.2.1",
    b"EHLO [192.0.2.1]",
    b"HELO [IPv6:2001:db8::1]",
    b"HELO x.example",
    b"EHLO caf\xe9.example",
    b"EHLO x.example with more text",
    b"MAIL FROM:<a@client.example>",
    b"MAIL FROM:<>",
    b'MAIL FROM:<"a b"@x.example>',
    b"MAIL FROM:<a@x.example> SIZE=10",
    b"MAIL FROM:<a@x.example> SIZE=1 BODY=7BIT",
    b"MAIL FROM:<a@x.example> MT-PRIORITY=-9",
    b"MAIL FROM:<a@x.example> TRANSID=<a=b>",
    b"MAIL FROM:<\xe9@x.example>",
    b"SOML FROM:<a@x.example>",
    b"RCPT TO:<Postmaster>",
    b"RCPT TO:<@r.example:b@mx.example>",
    b"RCPT TO:<b@mx.example> NOTIFY=SUCCESS,DELAY",
    b"RCPT TO:<b@mx.example> RRVS=2026-04-03T23:01:00Z",
    b"rcpt to:<b%y.example@mx.example>",
    b"BDAT 0 LAST",
    b"BDAT 0",
    b"BDAT 18446744073709551616 LAST",
    b"AUTH PLAIN =",
    b"AUTH CRAM-MD5",
    b"HELP",
    b"HELP GET",
    b"NOOP",
    b"NOOP text  with \t blanks ",
    b"NOOP x\0y",
    b"NOOP a\rb",
    b"NOOP \xff",
    b"XFOO bar",
    b"XFOO bar ",
    b"xclient ADDR=192.0.2.1",
    b"ATRN",
    b"ATRN x.example",
    b"VRFY b",
    b"VRFY \xc3\xa9 SMTPUTF8",
    b"ETRN @x.example",
    b"DATA",
    b"quit",
    b"STARTTLS",
    b"TURN",
    b"N\xd6OP",  # eight-bit verbs are judged as such, not as unknown
]


@pytest.mark.parametrize("line", WELL_FORMED)
def test_lines_without_deviations(line: bytes) -> None:
    assert parse_command(line).deviations == ()


MALFORMED = [
    (b"FOO bar", [(Kind.UNKNOWN_VERB, b"FOO")]),
    (b"MAILFROM:<a@b>", [(Kind.UNKNOWN_VERB, b"MAILFROM:<a@b>")]),
    (b"EHLO", [(Kind.BAD_HELLO_ARGUMENT, b"")]),
    (b"EHLO my_pc.example", [(Kind.BAD_HELLO_ARGUMENT, b"my_pc.example")]),
    (b"EHLO -bad.example", [(Kind.BAD_HELLO_ARGUMENT, b"-bad.example")]),
    (b"EHLO x.example.", [(Kind.BAD_HELLO_ARGUMENT, b"x.example.")]),
    (b"HELO a..b rest", [(Kind.BAD_HELLO_ARGUMENT, b"a..b")]),
    (b"EHLO [192.0.2.300]", [(Kind.BAD_ADDRESS_LITERAL, b"[192.0.2.300]")]),
    (b"EHLO [2001:db8::1]", [(Kind.BAD_ADDRESS_LITERAL, b"[2001:db8::1]")]),
    (b"EHLO [192.0.2.1", [(Kind.BAD_ADDRESS_LITERAL, b"[192.0.2.1")]),
    (b"MAIL FROM:a@x.example", [(Kind.MALFORMED_PATH, b"a@x.example")]),
    (b"MAIL FROM:<a..b@x.example>", [(Kind.MALFORMED_PATH, b"<a..b@x.example>")]),
    (b'MAIL FROM:<"a@x.example>', [(Kind.MALFORMED_PATH, b'<"a@x.example>')]),
    (b"MAIL FROM <a@x.example>", [(Kind.MALFORMED_PATH, b"FROM <a@x.example>")]),
    (b"MAIL FROM:", [(Kind.MALFORMED_PATH, b"")]),
    (b"MAIL FROM:<a\0@x.example>", [(Kind.MALFORMED_PATH, b"<a\0@x.example>")]),
    (b"MAIL FROM:<Postmaster>", [(Kind.MALFORMED_PATH, b"<Postmaster>")]),
    (b"RCPT TO:<bob>", [(Kind.MALFORMED_PATH, b"<bob>")]),
    (b"RCPT TO:bob smith", [(Kind.MALFORMED_PATH, b"bob")]),
    (b"RCPT TO:<b@[192.0.2.300]>", [(Kind.BAD_ADDRESS_LITERAL, b"[192.0.2.300]")]),
    (b"MAIL FROM: <a@x.example>", [(Kind.SPACE_AROUND_COLON, b" ")]),
    (b"MAIL FROM :<a@x.example>", [(Kind.SPACE_AROUND_COLON, b" ")]),
    (b"RCPT TO:\t<b@x.example> NOTIFY=NEVER", [(Kind.SPACE_AROUND_COLON, b"\t")]),
    (b"MAIL FROM: <>", [(Kind.SPACE_AROUND_COLON, b" ")]),
    (b"MAIL FROM: a@x.example", [(Kind.SPACE_AROUND_COLON, b" "), (Kind.MALFORMED_PATH, b"a@x.example")]),
    (b"RCPT TO: bob", [(Kind.SPACE_AROUND_COLON, b" "), (Kind.MALFORMED_PATH, b"bob")]),
    (b"RCPT TO:<a@x.example>, <b@x.example>", [(Kind.MALFORMED_PATH, b"<a@x.example>, <b@x.example>")]),
    (b"MAIL FROM:<a@x.example>,SIZE=1", [(Kind.BAD_PARAMETER_SYNTAX, b",SIZE=1")]),
    (b"RCPT TO:<>", [(Kind.NULL_RECIPIENT, b"<>")]),
    (b"RCPT TO: <>", [(Kind.SPACE_AROUND_COLON, b" "), (Kind.NULL_RECIPIENT, b"<>")]),
    (b"MAIL FROM:<a@x.example> SIZE=", [(Kind.BAD_PARAMETER_SYNTAX, b"SIZE=")]),
    (b"MAIL FROM:<a@x.example>SIZE=1", [(Kind.BAD_PARAMETER_SYNTAX, b"SIZE=1")]),
    (b"MAIL FROM:<a@x.example> SIZE=1,BODY=7BIT", [(Kind.BAD_PARAMETER_SYNTAX, b"SIZE=1,BODY=7BIT")]),
    (b"MAIL FROM:<a@x.example> BODY=9BIT", [(Kind.BAD_PARAMETER_VALUE, b"BODY=9BIT")]),
    (b"MAIL FROM:<a@x.example> SIZE=1 SIZE=2", [(Kind.DUPLICATE_PARAMETER, b"SIZE=2")]),
    (b"MAIL FROM:<a@x.example>  SIZE=1", [(Kind.STRAY_WHITESPACE, b" ")]),
    (
        b"MAIL FROM:<a..b@x.example> BODY=9BIT",
        [(Kind.MALFORMED_PATH, b"<a..b@x.example>"), (Kind.BAD_PARAMETER_VALUE, b"BODY=9BIT")],
    ),
    (b"RSET now", [(Kind.ARGUMENT_NOT_ALLOWED, b"now")]),
    (b"STARTTLS now", [(Kind.ARGUMENT_NOT_ALLOWED, b"now")]),
    (b"VRFY", [(Kind.ARGUMENT_MISSING, b"")]),
    (b"AUTH", [(Kind.ARGUMENT_MISSING, b"")]),
    (b"ETRN ", [(Kind.ARGUMENT_MISSING, b""), (Kind.STRAY_WHITESPACE, b" ")]),
    (b"MAIL", [(Kind.ARGUMENT_MISSING, b"")]),
    (b"MAIL <a@x.example>", [(Kind.ARGUMENT_MISSING, b"<a@x.example>")]),
    (b"RCPT FROM:<a@x.example>", [(Kind.ARGUMENT_MISSING, b"FROM:<a@x.example>")]),
    (b"BDAT", [(Kind.BAD_BDAT_SYNTAX, b"")]),
    (b"BDAT ten LAST", [(Kind.BAD_BDAT_SYNTAX, b"ten LAST")]),
    (b"BDAT 0 FINAL", [(Kind.BAD_BDAT_SYNTAX, b"0 FINAL")]),
    (b"BDAT 10 LAST x", [(Kind.BAD_BDAT_SYNTAX, b"10 LAST x")]),
    (b"BDAT +1", [(Kind.BAD_BDAT_SYNTAX, b"+1")]),
    (b"BDAT 0x10", [(Kind.BAD_BDAT_SYNTAX, b"0x10")]),
    (b"BDAT 10  LAST", [(Kind.STRAY_WHITESPACE, b"  ")]),
    (b"AUTH PLAIN not!base64", [(Kind.BAD_AUTH_ENCODING, b"not!base64")]),
    (b"AUTH PLAIN AGEAYg=", [(Kind.BAD_AUTH_ENCODING, b"AGEAYg=")]),
    (b"AUTH PLAIN *", [(Kind.BAD_AUTH_ENCODING, b"*")]),
    (b"RSET ", [(Kind.STRAY_WHITESPACE, b" ")]),
    (b" RSET", [(Kind.STRAY_WHITESPACE, b" ")]),
    (b"EHLO\tx.example", [(Kind.STRAY_WHITESPACE, b"\t")]),
    (b"EHLO  x.example", [(Kind.STRAY_WHITESPACE, b"  ")]),
    (b"EHLO x.example\tmore", [(Kind.STRAY_WHITESPACE, b"\t")]),
    (b"EHLO x.example  more", [(Kind.STRAY_WHITESPACE, b"  ")]),
    (b"NOOP\tx", [(Kind.STRAY_WHITESPACE, b"\t")]),
    (b"NOOP ", [(Kind.STRAY_WHITESPACE, b" ")]),
    (b"MAIL FROM:<a@x.example> ", [(Kind.STRAY_WHITESPACE, b" ")]),
    (b"MAIL FROM:<a@x.example> SIZE=1 ", [(Kind.STRAY_WHITESPACE, b" ")]),
    (b"VRFY b ", [(Kind.STRAY_WHITESPACE, b" ")]),
    (b"", [(Kind.EMPTY_COMMAND, b"")]),
    (b" \t", [(Kind.EMPTY_COMMAND, b" \t")]),
    (b"\xef\xbb\xbfEHLO x.example", [(Kind.BOM_BEFORE_COMMAND, b"\xef\xbb\xbf")]),
    (
        b"\xef\xbb\xbfEHLO my_pc",
        [(Kind.BOM_BEFORE_COMMAND, b"\xef\xbb\xbf"), (Kind.BAD_HELLO_ARGUMENT, b"my_pc")],
    ),
]


@pytest.mark.parametrize(("line", "expected"), MALFORMED)
def test_deviations_and_their_places(line: bytes, expected: list[tuple[Kind, bytes]]) -> None:
    found = [(d.kind, line[d.at : d.at + d.length]) for d in parse_command(line).deviations]
    assert found == expected


def test_every_kind_of_a_command_has_a_case() -> None:
    cases = {kind for _, expected in MALFORMED for kind, _ in expected}
    assert cases == set(list(Kind)[: list(Kind).index(Kind.MALFORMED_LINE)])


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"MAIL FROM: <a@x.example>", b"a@x.example"),
        (b"MAIL FROM:a@x.example SIZE=5", b"a@x.example"),
        (b"MAIL FROM:<a@[192.0.2.300]> SIZE=5", b"a@[192.0.2.300]"),
        (b"RCPT TO:<@r.example:a@[bad]>", b"a@[bad]"),
        (b"  RCPT  TO:<a@x.example> ", b"a@x.example"),
        (b"RCPT TO:<>", b""),
    ],
)
def test_readable_paths_are_read(line: bytes, address: bytes) -> None:
    path = parse_command(line).path
    assert path is not None
    assert path.address == address


def test_parameters_after_a_malformed_path_are_read() -> None:
    assert parse_command(b"MAIL FROM:a@x.example BODY=8BITMIME").parameters == {"BODY": b"8BITMIME"}
    assert parse_command(b"MAIL FROM:<a..b@x.example> BODY=8BITMIME").parameters == {"BODY": b"8BITMIME"}
    assert parse_command(b"RCPT TO:bob smith").parameters == {}


def test_secrets_are_never_quoted() -> None:
    for line in (b"AUTH PLAIN hunter2!", b"AUTH  LOGIN\thunter2! "):
        assert not any("hunter2" in deviation.detail for deviation in parse_command(line).deviations)


@pytest.mark.parametrize(
    "start", [b"MAIL FROM:<", b"RCPT TO:<@", b"MAIL FROM:<a@b>", b"EHLO ", b"BDAT ", b"AUTH X ", b"VRFY ", b"", b"NOOP"]
)
@pytest.mark.parametrize(
    "unit",
    [b"a", b" ", b"\t", b" \t", b"a.", b"a-", b'"', b'"\\', b"<", b">", b"@a,", b" A=1", b"[", b"=", b"AAAA", b"\xe9"],
)
def test_hostile_lines_take_linear_time(start: bytes, unit: bytes) -> None:
    line = start + unit * 20_000 + b"\0"
    began = time.perf_counter()
    command = parse_command(line)
    assert command.raw == line
    command.path, command.parameters, command.fields  # noqa: B018  # read for the time they take
    assert time.perf_counter() - began < 1.0  # a quadratic one takes minutes

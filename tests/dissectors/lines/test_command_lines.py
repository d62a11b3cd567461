"""The content of command lines, well-formed or not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from strategies import hostile_lines

from smtpwire.dissectors.grammar.constructs import COMMAND
from smtpwire.dissectors.grammar.paths import Path
from smtpwire.dissectors.lines.commands import DeviationKind, is_base64, parse_command
from smtpwire.dissectors.tables.verbs import VERBS


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"MAIL FROM:<a@b>", b"MAIL", b"FROM:<a@b>"),
        (b"mail from:<a@b>", b"MAIL", b"from:<a@b>"),
        (b"MAILFROM:<a@b>", b"MAILFROM:<A@B>", None),
        (b"DATA", b"DATA", None),
        (b"RSET ", b"RSET", None),
        (b"RSET now ", b"RSET", b"now "),
        (b"NOOP\tx", b"NOOP", b"x"),
        (b"  NOOP   x  ", b"NOOP", b"x  "),
        (b"XFOO bar", b"XFOO", b"bar"),
        (b"", b"", None),
        (b" \t ", b"", None),
        (b"\xef\xbb\xbfEHLO x.example", b"EHLO", b"x.example"),
        (b"N\xd6OP", b"N\xd6OP", None),
    ],
)
def test_verb_and_argument(line: bytes, verb: bytes, argument: bytes | None) -> None:
    command = parse_command(line)
    assert (command.raw, command.verb, command.argument) == (line, verb, argument)
    assert command.spec is VERBS.get(verb)


def test_names_are_printable() -> None:
    assert parse_command(b"quit").name == "QUIT"
    assert parse_command(b"n\xd6\x1bop").name == "N\\xd6\\x1bOP"
    assert parse_command(b"  ").name is None


def test_path_and_parameters() -> None:
    command = parse_command(b"MAIL FROM:<@r.example:a@x.example> size=100 BODY=8BITMIME SMTPUTF8")
    assert command.path == Path(b"<@r.example:a@x.example>", (b"r.example",), b"a", b"x.example")
    assert command.parameters == {"SIZE": b"100", "BODY": b"8BITMIME", "SMTPUTF8": None}
    assert parse_command(b"RCPT TO:<Postmaster>").path == Path(b"<Postmaster>", (), b"Postmaster", None)
    assert parse_command(b"MAIL FROM:<>").path == Path(b"<>", (), None, None)
    assert parse_command(b"RCPT TO:<b@x>").parameters == {}
    assert parse_command(b"DATA").path is None


def test_the_user_that_vrfy_names() -> None:
    command = parse_command(b"VRFY \xc3\xa9@x.example SMTPUTF8")
    assert command.path == Path(b"\xc3\xa9@x.example", (), b"\xc3\xa9", b"x.example")
    assert command.parameters == {"SMTPUTF8": None}
    assert parse_command(b"EXPN staff").path == Path(b"staff", (), b"staff", None)
    assert parse_command(b"VRFY John Smith").path is None


def test_hello_names() -> None:
    assert parse_command(b"EHLO x.example and more").hello_name == b"x.example"
    assert parse_command(b"HELO my_pc").hello_name == b"my_pc"
    assert parse_command(b"EHLO").hello_name is None
    assert parse_command(b"NOOP x").hello_name is None


@pytest.mark.parametrize(
    ("line", "size", "last"),
    [
        (b"BDAT 10", 10, False),
        (b"BDAT 10 LAST", 10, True),
        (b"bdat 10 last", 10, True),
        (b"BDAT  10\tLAST ", 10, True),
        (b"BDAT 00000000000000000005 LAST", 5, True),
        (b"BDAT 18446744073709551616", 2**64, False),
        (b"BDAT 0", 0, False),
        (b"BDAT 10 FINAL", 10, False),
        (b"BDAT -1", None, False),
        (b"BDAT 0x10 LAST", None, True),
        (b"BDAT ten", None, False),
        (b"BDAT", None, False),
        (b"NOOP 10 LAST", None, False),
        (b"BURL imap://u@x.example/m LAST", None, True),
    ],
)
def test_chunks(line: bytes, size: int | None, last: bool) -> None:
    command = parse_command(line)
    assert (command.chunk_size, command.last) == (size, last)


def test_a_size_of_ten_thousand_digits_is_huge_and_can_be_printed() -> None:
    size = parse_command(b"BDAT 1" + b"0" * 10_000).chunk_size
    assert size is not None
    assert size > 2**128
    assert len(str(size)) < 50


@pytest.mark.parametrize(
    ("line", "mechanism", "initial"),
    [
        (b"AUTH PLAIN AGEAYg==", "PLAIN", b"AGEAYg=="),
        (b"AUTH external =", "EXTERNAL", b"="),
        (b"AUTH CRAM-MD5", "CRAM-MD5", None),
        (b"AUTH LOGIN ", "LOGIN", None),
        (b"AUTH PLAIN not base64 ", "PLAIN", b"not base64"),
        (b"AUTH", None, None),
        (b"NOOP PLAIN x", None, None),
    ],
)
def test_authentication(line: bytes, mechanism: str | None, initial: bytes | None) -> None:
    command = parse_command(line)
    assert (command.mechanism, command.initial) == (mechanism, initial)


def test_fields_of_the_well_formed_and_of_the_rest() -> None:
    assert parse_command(b"bdat 10 LAST").fields == {"verb": b"bdat", "size": b"10", "last": b"LAST"}
    assert parse_command(b"Data").fields == {"verb": b"Data"}
    assert parse_command(b"MAIL FROM:<a@x> SIZE=1").fields.parameters[0].keyword == b"SIZE"
    assert parse_command(b"RSET now").fields == {"verb": b"RSET", "argument": b"now"}
    assert parse_command(b"").fields == {"verb": b"", "argument": None}


def test_base64() -> None:
    for good in (b"", b"AGEAYg==", b"YWI=", b"YWJj", b"+/+/"):
        assert is_base64(good)
    for bad in (b"YWI", b"YW=I", b"Y===", b"====", b"YWJj\n", b"YW Jj", b"YWJ!", b"-_-_"):
        assert not is_base64(bad)


@given(hostile_lines())
@example(b"BDAT " + b"9" * 5000)
@example(b"AUTH \r")
def test_no_line_raises(line: bytes) -> None:
    command = parse_command(line)
    assert command.raw == line
    assert (command.name is None) == (command.verb == b"")
    seen = (command.fields, command.path, command.parameters, command.chunk_size, command.last, command.hello_name)
    assert len(seen) == 6
    assert repr(command).isprintable()
    assert command.mechanism is None or command.mechanism.isprintable()
    assert command.initial is None or command.verb == b"AUTH"
    for deviation in command.deviations:
        assert 0 <= deviation.at <= deviation.at + deviation.length <= len(line)
        assert deviation.detail.isprintable()
    kinds = [deviation.kind for deviation in command.deviations]
    assert len(kinds) == len(set(kinds))


@given(hostile_lines().map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")))
@example(b"MAIL FROM:<a@x> SIZE=1 TRANSID=<=>")
@example(b"AUTH X ")
def test_a_line_has_no_deviations_exactly_if_the_grammar_allows_it(line: bytes) -> None:
    kinds = {deviation.kind for deviation in parse_command(line).deviations}
    if COMMAND.check(line + b"\r\n"):
        assert kinds <= {DeviationKind.BAD_PARAMETER_VALUE, DeviationKind.DUPLICATE_PARAMETER}
    else:
        assert kinds or not parse_command(line).verb.isascii()

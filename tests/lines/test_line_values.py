"""What a line says by itself is a pure function of its bytes, and is remembered within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.lines.acts import Act
from smtpwire.analyzer.lines.command_line import KNOWN_LINES, read_line, remember_line
from smtpwire.analyzer.lines.marks import Mark
from smtpwire.dissectors.lines.commands import parse_command

LINES = [b"DATA", b"EHLO x.example", b"NOOP x", b"RSET ", b"EHLO my_pc", b"MAIL FROM:<a@x.example> SIZE=1", b"\xe9 x"]


@given(st.lists(st.sampled_from(LINES) | st.binary(max_size=60), max_size=6))
def test_a_remembered_line_is_read_like_a_new_one(lines: list[bytes]) -> None:
    for raw in lines:
        whole = raw.replace(b"\r\n", b"") + b"\r\n"
        remembered = KNOWN_LINES.get(whole) or remember_line(whole)
        fresh = read_line(whole[:-2], b"\r\n", len(whole))
        for name in ("raw", "act", "argument", "deviations", "marks", "needs", "plain", "secrets"):
            assert getattr(remembered, name) == getattr(fresh, name), name


@given(st.binary(max_size=80))
def test_the_value_of_a_line_agrees_with_the_dissector(raw: bytes) -> None:
    line = read_line(raw, b"\r\n", len(raw) + 2)
    command = parse_command(raw.rstrip(b"\r"))  # CR CR LF is a wrong line end, and no part of the command
    assert line.command is not None
    assert (line.command.verb, line.command.argument) == (command.verb, command.argument)
    assert bool(line.marks & Mark.DEVIATION) == bool(command.deviations)
    if not line.marks & (Mark.BARE_LF | Mark.BARE_CR):
        assert line.deviations == command.deviations


def test_secrets_are_not_remembered() -> None:
    secret = b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
    line = remember_line(secret)
    assert line.act is Act.AUTH
    assert secret not in KNOWN_LINES
    assert [secret[start:end] for start, end in line.secrets] == [b"AGFsaWNlAHNlY3JldA=="]
    assert "AGFs" not in (line.argument or "")


def test_the_table_is_bounded() -> None:
    for number in range(9000):
        remember_line(b"RCPT TO:<user%d@x.example>\r\n" % number)
    assert 0 < len(KNOWN_LINES) <= 4096
    long = b"NOOP " + b"x" * 200 + b"\r\n"
    remember_line(long)
    assert long not in KNOWN_LINES

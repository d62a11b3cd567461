"""Complete command lines: a parsed line is built again byte by byte, and no other line is built."""

from __future__ import annotations

import re
from typing import Any

import pytest
from construct import GreedyRange
from hypothesis import given
from hypothesis import strategies as st
from strategies import command_fields

from smtpwire.dissectors.deviations import DeviationKind
from smtpwire.dissectors.grammar.arguments import ARGUMENTS, form_of
from smtpwire.dissectors.grammar.constructs import COMMAND, SyntaxFault, build_command
from smtpwire.dissectors.lines.commands import parse_command

# Deviations of parameter values; COMMAND checks only the syntax.
MEANING = {DeviationKind.BAD_PARAMETER_VALUE, DeviationKind.DUPLICATE_PARAMETER}


@given(command_fields())
def test_fields_survive_building_and_parsing(fields: dict[str, Any]) -> None:
    line = build_command(fields)
    assert line.endswith(b"\r\n")
    assert COMMAND.fromdata(line) == fields
    assert COMMAND.parse(COMMAND.build(fields)) == fields
    command = parse_command(line[:-2])
    assert {deviation.kind for deviation in command.deviations} <= MEANING
    if not command.deviations:
        assert command.fields == fields


@pytest.mark.parametrize(
    "line",
    [
        b"EHLO client.example\r\n",
        b"ehlo [IPv6:2001:db8::1]\r\n",
        b"HELO x.example and more\r\n",
        b"Mail From:<a@x.example> SIZE=100 BODY=8BITMIME\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<@r.example:b@mx.example> NOTIFY=NEVER\r\n",
        b"rcpt to:<postmaster>\r\n",
        b"BDAT 0010 last\r\n",
        b"AUTH PLAIN AGEAYg==\r\n",
        b"AUTH EXTERNAL =\r\n",
        b"NOOP  \r\n"[:4] + b"\r\n",
        b"NOOP anything  \t at all \r\n",
        b"XFOO\r\n",
        b"DATA\r\n",
        b"VRFY \xc3\xa9 SMTPUTF8\r\n",
    ],
)
def test_lines_survive_parsing_and_building(line: bytes) -> None:
    assert build_command(COMMAND.parse(line)) == line


@given(command_fields(), st.integers(0, 60), st.sampled_from([b"", b"x", b"[", b">", b'"', b" ", b":", b"@", b","]))
def test_the_common_pattern_gives_the_fields_of_the_whole_production(
    fields: dict[str, Any], at: int, odd: bytes
) -> None:
    line = build_command(fields)[:-2]
    verb, space, argument = (line[:at] + odd + line[at:]).partition(b" ")
    form = form_of(verb.upper())
    production = None if form is None else ARGUMENTS.get(form)
    if not space or production is None or production.common is None:
        return
    common = re.fullmatch(production.common, argument, re.DOTALL)
    whole = re.fullmatch(production.pattern, argument, re.DOTALL)
    if common is not None:
        assert whole is not None
        assert production.fields.keys() <= common.groupdict().keys()
        assert common.groupdict().items() <= whole.groupdict().items()
    assert (production.fullmatch(argument) is None) == (whole is None)


def test_the_word_before_the_path_may_be_omitted() -> None:
    assert build_command({"verb": b"MAIL", "path": {"local": b"a", "domain": b"x.example"}, "parameters": []}) == (
        b"MAIL FROM:<a@x.example>\r\n"
    )
    assert build_command({"verb": b"RCPT", "path": {"postmaster": b"Postmaster"}}) == b"RCPT TO:<Postmaster>\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": b"NOOP", "text": b"x\r\nRSET"},
        {"verb": b"NOOP", "text": b"x\nRSET"},
        {"verb": b"NOOP\r\nRSET"},
        {"verb": b"NOOP x"},
        {"verb": b"FOO"},
        {"verb": b"EHLO"},
        {"verb": b"EHLO", "name": b"my_pc"},
        {"verb": b"DATA", "text": b"now"},
        {"verb": b"MAIL", "path": {"local": b"a"}},
        {"verb": b"RCPT", "path": {}},
        {"verb": b"MAIL", "path": {}, "parameter": []},
        {"verb": b"MAIL", "path": {}, "parameters": [{"keyword": b"SIZE", "value": b"1 BODY=7BIT"}]},
        {"verb": b"BDAT", "size": b"-1"},
        {"verb": b"AUTH", "mechanism": b"PLAIN", "initial": b"no!"},
        {"verb": b"VRFY", "text": b"smith "},
    ],
)
def test_no_other_line_is_built(fields: dict[str, Any]) -> None:
    with pytest.raises(SyntaxFault):
        build_command(fields)


@pytest.mark.parametrize(
    "line", [b"NOOP", b"NOOP\n", b"\r\n", b" NOOP\r\n", b"NOOP x\r\nRSET\r\n", b"NOOP a\rb\r\n", b"FOO\r\n"]
)
def test_an_invalid_line_is_a_fault(line: bytes) -> None:
    with pytest.raises(SyntaxFault):
        COMMAND.fromdata(line)


def test_a_dialogue_is_a_range_of_commands() -> None:
    dialogue = b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"
    commands = GreedyRange(COMMAND).parse(dialogue)
    assert [command.verb for command in commands] == [b"EHLO", b"MAIL", b"RCPT", b"DATA"]
    assert GreedyRange(COMMAND).build(commands) == dialogue

"""Targets of the grammar: lines of both sides; bytes that parse must build back to the same bytes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from construct import ConstructError
from material import Material

from smtpwire.dissectors.grammar.constructs import (
    COMMAND,
    EHLO_LINE,
    FORWARD_PATH,
    MAILBOX,
    PARAMETERS,
    REPLY,
    REVERSE_PATH,
)
from smtpwire.dissectors.grammar.parameters import scan_parameters, xtext_decode, xtext_encode
from smtpwire.dissectors.grammar.paths import parse_path, parse_user
from smtpwire.dissectors.lines.commands import parse_command
from smtpwire.dissectors.lines.replies import begins_reply, parse_reply
from smtpwire.dissectors.printable import printable

if TYPE_CHECKING:
    from smtpwire.dissectors.deviations import Deviation

__all__ = ["command", "parts", "reply"]


def _shown(text: str | None) -> None:
    assert text is None or (text.isascii() and text.isprintable())


def _deviations(found: tuple[Deviation, ...], size: int) -> None:
    """Check that the deviations are sorted by place, inside the bytes, and printable."""
    places = [deviation.at for deviation in found]
    assert places == sorted(places)
    for deviation in found:
        assert 0 <= deviation.at <= size
        assert deviation.at + deviation.length <= size
        _shown(deviation.detail)


def command(data: bytes) -> None:
    """The input is one command line."""
    line = data.split(b"\r\n", 1)[0]
    found = parse_command(line)
    _deviations(found.deviations, len(line))
    _shown(found.name)
    _shown(found.mechanism)
    for value in (found.path, found.parameters, found.fields, found.hello_name, found.initial, found.last):
        repr(value)
    size = found.chunk_size
    assert size is None or size >= 0
    try:
        fields = COMMAND.parse(line + b"\r\n")
    except ConstructError:
        return
    assert COMMAND.build(fields) == line + b"\r\n"
    assert found.spec is not None or found.verb.startswith(b"X")


def reply(data: bytes) -> None:
    """The input is a whole reply, or bytes that a server sent instead."""
    found = parse_reply(data)
    _deviations(found.deviations, len(data))
    assert begins_reply(data) or found.deviations
    for line in found.lines:
        _shown(line)
    for keyword, values in found.keywords().items():
        _shown(keyword)
        for value in values:
            _shown(value)
    _shown(found.enhanced)
    for part in found.parts():
        assert data[part.at :].startswith((b"%03d" % part.code if part.code is not None else part.text)[:3])
    try:
        fields = REPLY.parse(data)
    except ConstructError:
        return
    assert REPLY.build(fields) == data


_PRODUCTIONS = (MAILBOX, REVERSE_PATH, FORWARD_PATH, PARAMETERS, EHLO_LINE)


def parts(data: bytes) -> None:
    """The input is a path, parameters, or text around them."""
    take = Material(data)
    production = take.choice(_PRODUCTIONS)
    text = take.rest()
    _shown(printable(text))
    parse_path(text)
    parse_user(text)
    end = len(text.rstrip(b" \t"))  # trailing blanks are checked before
    found, wrong = scan_parameters(text, 0, end)
    _deviations(tuple(sorted(wrong, key=lambda deviation: deviation.at)), end)
    for keyword in found:
        _shown(keyword)
    assert xtext_decode(xtext_encode(text)) == text
    with suppress(ValueError):
        xtext_decode(text)
    try:
        fields = production.parse(text)
    except ConstructError:
        return
    assert production.build(fields) == text

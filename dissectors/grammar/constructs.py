"""The grammar as constructs: complete command lines and replies, and their parts; each one parses and builds."""

# Code that reads captures uses only the productions, to check a line and find its parts. This module parses lines into
# containers and builds lines; loading construct takes extra time.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from construct import Container, ListContainer

from . import parameters, paths
from .abnf import ESMTP_KEYWORD, EXTENDED_STATUS, REPLY_CODE
from .arguments import ARGUMENTS, MAY_BE_ABSENT, form_of
from .construct_types import Grammar, RegexStruct, Separated, SyntaxFault
from .productions import Parts, Production, Repeated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

__all__ = [
    "COMMAND",
    "EHLO_LINE",
    "FORWARD_PATH",
    "MAILBOX",
    "PARAMETERS",
    "REPLY",
    "REPLY_LINE",
    "REVERSE_PATH",
    "Container",
    "SyntaxFault",
    "build_command",
    "build_reply",
]

MAILBOX = RegexStruct(paths.MAILBOX)
REVERSE_PATH = RegexStruct(paths.REVERSE_PATH)
FORWARD_PATH = RegexStruct(paths.FORWARD_PATH)
PARAMETERS = Separated(RegexStruct(parameters.PARAMETER), b" ")

# -- commands ----------------------------------------------------------------------------------------------------------

_FORMS = {form: RegexStruct(production) for form, production in ARGUMENTS.items()}

_is_line = re.compile(rb"([^ \t\r\n]++)(?: ([^\r\n]++))?\r\n").fullmatch


class CommandLine(Grammar):
    """A well-formed command line with its CRLF.

    Fields: ``verb`` as sent, and the fields of the argument's production (ARGUMENTS), None if the argument is absent.
    Unknown verbs, stray blanks and bare CR or LF are faults; ``parse_command`` accepts such lines.
    """

    def fromdata(self, data: bytes) -> Container:
        match = _is_line(data)
        if match is None:
            raise SyntaxFault("not a command line")
        return self.fields(match[1], match[2])

    def fields(self, verb: bytes, argument: bytes | None) -> Container:
        """Return the fields of a line that is already split. Raises SyntaxFault like ``fromdata``."""
        form = form_of(verb.upper())
        if form is None:
            raise SyntaxFault("unknown verb")
        production = _FORMS.get(form)
        if argument is None:
            if form not in MAY_BE_ABSENT:
                raise SyntaxFault("the argument is missing")
            names = () if production is None else tuple(production.fields)
            return Container(verb=verb, **dict.fromkeys(names))
        if production is None:
            raise SyntaxFault("no argument is allowed")
        return Container(verb=verb, **production.fromdata(argument))

    def todata(self, obj: Mapping[str, Any]) -> bytes:
        verb = obj["verb"]
        rest = {name: value for name, value in obj.items() if name != "verb"}
        form = form_of(verb.upper())
        production = None if form is None else _FORMS.get(form)
        if rest.keys() - (set() if production is None else production.fields.keys()):
            raise SyntaxFault("fields that this verb does not have")
        data: bytes = verb
        if production is not None and not (form in MAY_BE_ABSENT and all(value is None for value in rest.values())):
            data += b" " + production.todata(rest)
        data += b"\r\n"
        if self.fromdata(data).verb != verb:
            raise SyntaxFault("invalid verb")
        return data

    def _parse(self, stream: BinaryIO, context: Any, path: str) -> Container:
        # Only one line, so that COMMAND can be applied repeatedly to a dialogue.
        return self.fromdata(stream.readline())


COMMAND = CommandLine()


def build_command(fields: Mapping[str, Any]) -> bytes:
    """Build the command line, CRLF included, of ``fields`` as parsed by COMMAND: ``{"verb": b"BDAT", "size": b"10"}``.

    Raises SyntaxFault if the grammar does not allow the line, so that no field can inject another command.
    """
    return COMMAND.todata(fields)


# -- replies -----------------------------------------------------------------------------------------------------------


def _render_line(parts: Parts) -> bytes:
    return (parts["code"] or b"") + (parts["separator"] or b"") + (parts["text"] or b"") + b"\r\n"


# RFC 5321 §4.2:  Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
# This is one line. Fields: code (three digits), separator (b" ", b"-", None for a bare code), text (None likewise).
REPLY_LINE = RegexStruct(
    Production(
        rb"(?P<code>" + REPLY_CODE + rb")(?:(?P<separator>[ -])(?P<text>[^\r\n]*+))?\r\n",
        _render_line,
        code=None,
        separator=None,
        text=None,
    )
)


class WholeReply(Grammar):
    """A complete reply. Fields: ``code`` (a number) and ``texts``, of which the last is None if the code is bare."""

    def fromdata(self, data: bytes) -> Container:
        if not data.endswith(b"\n"):
            raise SyntaxFault("not a reply")
        lines = [REPLY_LINE.fromdata(line + b"\n") for line in data[:-1].split(b"\n")]
        if any(line.code != lines[0].code for line in lines):
            raise SyntaxFault("the code changes within the reply")
        *others, last = (line.separator == b"-" for line in lines)
        if last or not all(others):
            raise SyntaxFault("not one complete reply")
        return Container(code=int(lines[0].code), texts=ListContainer(line.text for line in lines))

    def todata(self, obj: Mapping[str, Any]) -> bytes:
        code = b"%03d" % obj["code"]
        *others, last = obj["texts"]
        fields = [{"code": code, "separator": b"-", "text": text} for text in others]
        fields.append({"code": code, "separator": None if last is None else b" ", "text": last})
        return b"".join(REPLY_LINE.todata(line) for line in fields)


REPLY = WholeReply()

# RFC 5321 §4.1.1.1: ehlo-param = 1*(%d33-126)
_EHLO_PARAM = rb"[!-~\x80-\xff]++"


def _render_ehlo(parts: Parts) -> bytes:
    return (parts["keyword"] or b"") + (parts["parameters"] or b"")


# RFC 5321 §4.1.1.1: ehlo-line = ehlo-keyword *( SP ehlo-param )
# The text of a line after the first of the reply to EHLO. Fields: keyword as sent, parameters (a list of {text}).
EHLO_LINE = RegexStruct(
    Production(
        rb"(?P<keyword>" + ESMTP_KEYWORD + rb")(?P<parameters>(?: " + _EHLO_PARAM + rb")*)",
        _render_ehlo,
        keyword=None,
        parameters=Repeated(
            Production(rb"(?P<text>" + _EHLO_PARAM + rb")", lambda parts: parts["text"] or b"", text=None), b" "
        ),
    )
)


_is_status = re.compile(EXTENDED_STATUS).fullmatch


def build_reply(code: int, lines: Sequence[bytes], enhanced: str | None = None) -> bytes:
    """Build the reply with ``lines`` of text, each after ``enhanced`` if given (RFC 2034 §4 requires it on each line).

    Raises SyntaxFault for an invalid code, for an empty list of lines, and for CR or LF in a line.
    """
    if not lines:
        raise SyntaxFault("a reply must have at least one line")
    if enhanced is not None and not _is_status(enhanced.encode()):
        raise SyntaxFault("not an enhanced status code")
    prefix = b"" if enhanced is None else enhanced.encode() + b" "
    return REPLY.todata({"code": code, "texts": [prefix + line for line in lines]})

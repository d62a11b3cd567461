"""Command lines as grammar: a production for each form of argument, and the whole line that parses and builds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from construct import Container

from .abnf import ADDRESS_LITERAL, BASE64, DOMAIN, ESMTP_PARAM
from .constructs import Grammar, Parts, RegexStruct, SyntaxFault
from .parameters import PARAMETERS
from .paths import FORWARD_PATH, REVERSE_PATH
from .verbs import VERBS, Argument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

__all__ = ["ARGUMENTS", "COMMAND", "MAY_BE_ABSENT", "build_command", "form_of"]

# Text that neither begins nor ends with a blank; in between it is not looked at.
_TEXT = rb"(?![ \t]).+(?<![ \t])"


def _word_and_path(word: bytes) -> Callable[[Parts], bytes]:
    def render(parts: Parts) -> bytes:
        return (parts["word"] or word) + (parts["path"] or b"") + (parts["parameters"] or b"")

    return render


def _joined(parts: Parts) -> bytes:
    return b" ".join(part for part in parts.values() if part is not None)


# RFC 5321 §4.1.2:  Mail-parameters = esmtp-param *(SP esmtp-param)   ; Rcpt-parameters: the same
_PARAMETERS = rb"(?P<parameters>(?: " + ESMTP_PARAM + rb")*)"

ARGUMENTS: dict[Argument, RegexStruct] = {
    # RFC 5321 §4.1.1.1: ehlo = "EHLO" SP ( Domain / address-literal ) CRLF
    #                    helo = "HELO" SP Domain CRLF
    # The literal is taken with HELO too, and so is text behind the name, which RFC 2821 §4.1.1.1 asked for.
    Argument.HELLO: RegexStruct(
        rb"(?P<name>" + DOMAIN + rb"|" + ADDRESS_LITERAL + rb")(?: (?P<text>" + _TEXT + rb"))?",
        _joined,
        name=None,
        text=None,
    ),
    # RFC 5321 §4.1.1.2: mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
    Argument.REVERSE_PATH: RegexStruct(
        rb"(?P<word>[Ff][Rr][Oo][Mm]:)(?P<path>" + REVERSE_PATH.pattern + rb")" + _PARAMETERS,
        _word_and_path(b"FROM:"),
        word=None,
        path=REVERSE_PATH,
        parameters=PARAMETERS,
    ),
    # RFC 5321 §4.1.1.3: rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
    #                           [SP Rcpt-parameters] CRLF
    Argument.FORWARD_PATH: RegexStruct(
        rb"(?P<word>[Tt][Oo]:)(?P<path>" + FORWARD_PATH.pattern + rb")" + _PARAMETERS,
        _word_and_path(b"TO:"),
        word=None,
        path=FORWARD_PATH,
        parameters=PARAMETERS,
    ),
    # RFC 5321 §4.1.1.6: vrfy = "VRFY" SP String CRLF           ; EXPN: §4.1.1.7
    # RFC 1985 §5:       "ETRN" SP [option] node-name CRLF
    # RFC 4468 §3.1:     "BURL" SP absolute-URI [SP "LAST"] CRLF
    Argument.STRING: RegexStruct(rb"(?P<text>" + _TEXT + rb")", _joined, text=None),
    # RFC 2645 §5:       "ATRN" [SP domain *("," domain)] CRLF
    Argument.OPTIONAL: RegexStruct(rb"(?P<text>" + _TEXT + rb")", _joined, text=None),
    # RFC 5321 §4.1.1.9: noop = "NOOP" [ SP String ] CRLF       ; HELP: §4.1.1.8
    Argument.TEXT: RegexStruct(rb"(?P<text>(?![ \t]).+)", _joined, text=None),
    # RFC 3030 §2:       bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF
    #                    chunk-size = 1*DIGIT;  end-marker = "LAST"
    Argument.CHUNK: RegexStruct(rb"(?P<size>[0-9]++)(?: (?P<last>[Ll][Aa][Ss][Tt]))?", _joined, size=None, last=None),
    # RFC 4954 §4:       "AUTH" SP sasl-mech [SP initial-response]
    #          §8:       initial-response = base64 / "="
    Argument.MECHANISM: RegexStruct(
        rb"(?P<mechanism>[^ \t]++)(?: (?P<initial>=|(?=.)" + BASE64 + rb"))?",
        _joined,
        mechanism=None,
        initial=None,
    ),
}

MAY_BE_ABSENT = frozenset({Argument.NONE, Argument.OPTIONAL, Argument.TEXT})


def form_of(verb: bytes) -> Argument | None:
    """Form of argument of ``verb`` (upper case): that of the table, free text for X-commands, None for others."""
    known = VERBS.get(verb)
    if known is not None:
        return known.argument
    return Argument.TEXT if verb.startswith(b"X") else None


_is_line = re.compile(rb"([^ \t\r\n]++)(?: ([^\r\n]++))?\r\n").fullmatch


class CommandLine(Grammar):
    """A well-formed command line with its CRLF.

    Fields: ``verb`` as sent, and those of the argument's production (ARGUMENTS), None where the argument is absent.
    Unknown verbs, stray blanks and bare CR or LF are faults; ``parse_command`` is there for all that.
    """

    def fromdata(self, data: bytes) -> Container:
        match = _is_line(data)
        if match is None:
            raise SyntaxFault("no command line")
        return self.fields(match[1], match[2])

    def fields(self, verb: bytes, argument: bytes | None) -> Container:
        """Fields of a line that is split already. Raises SyntaxFault as ``fromdata`` does."""
        form = form_of(verb.upper())
        if form is None:
            raise SyntaxFault("unknown verb")
        production = ARGUMENTS.get(form)
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
        production = None if form is None else ARGUMENTS.get(form)
        if rest.keys() - (set() if production is None else production.fields.keys()):
            raise SyntaxFault("fields that this verb does not have")
        data: bytes = verb
        if production is not None and not (form in MAY_BE_ABSENT and all(value is None for value in rest.values())):
            data += b" " + production.todata(rest)
        data += b"\r\n"
        if self.fromdata(data).verb != verb:
            raise SyntaxFault("no verb")
        return data

    def _parse(self, stream: BinaryIO, context: Any, path: str) -> Container:
        # One line and no more, so that COMMAND can be repeated over a dialogue.
        return self.fromdata(stream.readline())


COMMAND = CommandLine()


def build_command(fields: Mapping[str, Any]) -> bytes:
    """The command line, CRLF included, of ``fields`` as COMMAND parses them: ``{"verb": b"BDAT", "size": b"10"}``.

    Raises SyntaxFault where the grammar has no such line, so that no field can smuggle in another command.
    """
    return COMMAND.todata(fields)

"""Arguments of commands: a production for each form of argument, and the form that each verb takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tables.verbs import VERBS, Argument
from .abnf import ADDRESS_LITERAL, BASE64, DOMAIN, ESMTP_PARAM
from .parameters import PARAMETERS
from .paths import COMMON_PATH, FORWARD_PATH, REVERSE_PATH
from .productions import Parts, Production

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARGUMENTS", "MAY_BE_ABSENT", "form_of"]

# Text that neither starts nor ends with a blank; the bytes between are not checked.
_TEXT = rb"(?![ \t]).+(?<![ \t])"


def _word_and_path(word: bytes) -> Callable[[Parts], bytes]:
    def render(parts: Parts) -> bytes:
        return (parts["word"] or word) + (parts["path"] or b"") + (parts["parameters"] or b"")

    return render


def _joined(parts: Parts) -> bytes:
    return b" ".join(part for part in parts.values() if part is not None)


# RFC 5321 §4.1.2:  Mail-parameters = esmtp-param *(SP esmtp-param)   ; Rcpt-parameters: the same
_PARAMETERS = rb"(?P<parameters>(?: " + ESMTP_PARAM + rb")*)"

ARGUMENTS: dict[Argument, Production] = {
    # RFC 5321 §4.1.1.1: ehlo = "EHLO" SP ( Domain / address-literal ) CRLF
    #                    helo = "HELO" SP Domain CRLF
    # The literal is allowed with HELO too, and so is text after the name, which RFC 2821 §4.1.1.1 permitted after a
    # literal.
    Argument.HELLO: Production(
        rb"(?P<name>" + DOMAIN + rb"|" + ADDRESS_LITERAL + rb")(?: (?P<text>" + _TEXT + rb"))?",
        _joined,
        rb"(?P<name>" + DOMAIN + rb")(?: (?P<text>" + _TEXT + rb"))?",
        name=None,
        text=None,
    ),
    # RFC 5321 §4.1.1.2: mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
    Argument.REVERSE_PATH: Production(
        rb"(?P<word>[Ff][Rr][Oo][Mm]:)(?P<path>" + REVERSE_PATH.pattern + rb")" + _PARAMETERS,
        _word_and_path(b"FROM:"),
        rb"(?P<word>[Ff][Rr][Oo][Mm]:)(?P<path>" + COMMON_PATH + rb")" + _PARAMETERS,
        word=None,
        path=REVERSE_PATH,
        parameters=PARAMETERS,
    ),
    # RFC 5321 §4.1.1.3: rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
    #                           [SP Rcpt-parameters] CRLF
    Argument.FORWARD_PATH: Production(
        rb"(?P<word>[Tt][Oo]:)(?P<path>" + FORWARD_PATH.pattern + rb")" + _PARAMETERS,
        _word_and_path(b"TO:"),
        rb"(?P<word>[Tt][Oo]:)(?P<path>" + COMMON_PATH + rb")" + _PARAMETERS,
        word=None,
        path=FORWARD_PATH,
        parameters=PARAMETERS,
    ),
    # RFC 5321 §4.1.1.6: vrfy = "VRFY" SP String CRLF           ; EXPN: §4.1.1.7
    # RFC 1985 §5:       "ETRN" SP [option] node-name CRLF
    # RFC 4468 §3.5:     "BURL" SP absolute-URI [SP "LAST"] CRLF
    Argument.STRING: Production(rb"(?P<text>" + _TEXT + rb")", _joined, text=None),
    # RFC 2645 §5:       "ATRN" [SP domain *("," domain)] CRLF
    Argument.OPTIONAL: Production(rb"(?P<text>" + _TEXT + rb")", _joined, text=None),
    # RFC 5321 §4.1.1.9: noop = "NOOP" [ SP String ] CRLF       ; HELP: §4.1.1.8
    Argument.TEXT: Production(rb"(?P<text>(?![ \t]).+)", _joined, text=None),
    # RFC 3030 §2:       bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF
    #                    chunk-size = 1*DIGIT;  end-marker = "LAST"
    Argument.CHUNK: Production(rb"(?P<size>[0-9]++)(?: (?P<last>[Ll][Aa][Ss][Tt]))?", _joined, size=None, last=None),
    # RFC 4954 §4:       "AUTH" SP sasl-mech [SP initial-response]
    #          §8:       initial-response = base64 / "="
    Argument.MECHANISM: Production(
        rb"(?P<mechanism>[^ \t]++)(?: (?P<initial>=|(?=.)" + BASE64 + rb"))?",
        _joined,
        mechanism=None,
        initial=None,
    ),
}

MAY_BE_ABSENT = frozenset({Argument.NONE, Argument.OPTIONAL, Argument.TEXT})


def form_of(verb: bytes) -> Argument | None:
    """Return the argument form of ``verb`` (upper case): from the table, TEXT for X-commands, None for others."""
    known = VERBS.get(verb)
    if known is not None:
        return known.argument
    return Argument.TEXT if verb.startswith(b"X") else None

"""Parameters of MAIL and RCPT: their syntax, the valid values of known parameters, and xtext."""

# Values are checked by keyword alone, for both commands. This module does not know whether the server offered the
# extension: code that knows it was not offered ignores the deviation of the value.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..deviations import Deviation, DeviationKind, quoted
from ..lazy_regex import LazyPattern
from ..printable import printable
from .abnf import ATOM, DATE_TIME, DATE_TIME_UTC, ESMTP_KEYWORD, ESMTP_PARAM, XTEXT
from .productions import Parts, Production, Repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "PARAMETER",
    "PARAMETERS",
    "find_parameter",
    "is_legal_value",
    "scan_parameters",
    "xtext_decode",
    "xtext_encode",
]


def _render(parts: Parts) -> bytes:
    keyword, value = parts["keyword"] or b"", parts["value"]
    return keyword if value is None else keyword + b"=" + value


# RFC 5321 §4.1.2:  esmtp-param (see abnf.py). Fields: keyword, value (None if there is no "=").
PARAMETER = Production(
    rb"(?=" + ESMTP_PARAM + rb"\Z)(?P<keyword>" + ESMTP_KEYWORD + rb")(?:=(?P<value>.*))?",
    _render,
    keyword=None,
    value=None,
)

# RFC 5321 §4.1.1.2: [SP Mail-parameters];  §4.1.2: Mail-parameters = esmtp-param *(SP esmtp-param)
PARAMETERS = Repeated(PARAMETER, b" ")


_VALUES = {
    # RFC 1870 §3:   size-value = 1*20DIGIT
    b"SIZE": rb"[0-9]{1,20}",
    # RFC 6152 §2:   "7BIT" / "8BITMIME";  RFC 3030 §3: "BINARYMIME"
    b"BODY": rb"(?i:7BIT|8BITMIME|BINARYMIME)",
    # RFC 3461 §4.3: "FULL" / "HDRS"
    b"RET": rb"(?i:FULL|HDRS)",
    # RFC 3461 §4.1: "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )
    b"NOTIFY": rb"(?i:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*)",
    # RFC 3461 §4.4: xtext
    b"ENVID": XTEXT,
    # RFC 3461 §4.2: addr-type ";" xtext; an atom may contain "=", but an esmtp-value may not (RFC 5321 §4.1.2)
    b"ORCPT": rb"(?!.*=)" + ATOM + rb";" + XTEXT,
    # RFC 4954 §5:   xtext
    b"AUTH": XTEXT,
    # RFC 2852 §4:   by-time ";" by-mode [by-trace], and a time above zero if the mode is "R"
    b"BY": rb"[-+]?[0-9]{1,9};[Nn][Tt]?|\+?(?!0+;)[0-9]{1,9};[Rr][Tt]?",
    # RFC 4865 §3(4): seconds, from 1 to nine digits; a date and time in UTC
    b"HOLDFOR": rb"[1-9][0-9]{0,8}",
    b"HOLDUNTIL": DATE_TIME_UTC,
    # RFC 6710 §7:   ( ["-"] NZDIGIT ) / "0"
    b"MT-PRIORITY": rb"-?[1-9]|0",
    # RFC 7293 §3.1: date-time [ ";" ( "C" / "R" ) ]
    b"RRVS": DATE_TIME + rb"(?:;[CcRr])?",
}

# RFC 6531 §3.4, RFC 8689 §2: keywords without a value.
_FLAGS = frozenset({b"SMTPUTF8", b"REQUIRETLS"})

_HOLD = LazyPattern(rb"(?<= )HOLD(?:FOR|UNTIL)\b", re.IGNORECASE)
_KEYWORD = LazyPattern(ESMTP_KEYWORD)


# Known keywords seen so far, with their names and compiled value patterns, for the fast path.
_value_checks: dict[bytes, tuple[str, Callable[[bytes], re.Match[bytes] | None]]] = {}


def is_legal_value(keyword: bytes, value: bytes | None) -> bool:
    """Whether the parameter ``keyword`` (upper case) may have ``value``; True for unknown keywords."""
    if keyword in _FLAGS:
        return value is None
    known = _value_checks.get(keyword)
    if known is None:
        if keyword not in _VALUES:
            return True
        known = keyword.decode("ascii"), re.compile(_VALUES[keyword], re.DOTALL).fullmatch
        _value_checks[keyword] = known
    return value is not None and known[1](value) is not None


def scan_parameters(raw: bytes, start: int, end: int) -> tuple[dict[str, bytes | None], tuple[Deviation, ...]]:
    """Parse the parameters in ``raw[start:end]``, which starts directly after the path.

    Return the first value of each keyword (upper case) and the first deviation of each kind; offsets are in ``raw``.
    A parameter with invalid syntax is kept if its keyword can be read.
    """
    found = _known_parameters(raw[start:end])
    if found is not None:
        return found, ()
    found = {}
    wrong: dict[DeviationKind, Deviation] = {}
    first, *tokens = raw[start:end].split(b" ")
    at = start + 1
    if first:
        kind = DeviationKind.BAD_PARAMETER_SYNTAX
        wrong[kind] = Deviation(kind, start, len(first), "no space before " + quoted(first))
        tokens.insert(0, first.lstrip(b"\t"))
        at = start + len(first) - len(tokens[0])
    for token in tokens:
        if token:
            for kind, detail in _scan_one(token, found):
                wrong.setdefault(kind, Deviation(kind, at, len(token), detail))
        else:
            kind = DeviationKind.STRAY_WHITESPACE
            wrong.setdefault(kind, Deviation(kind, at, 1, "several spaces between parameters"))
        at += len(token) + 1
    if "HOLDFOR" in found and "HOLDUNTIL" in found:
        # RFC 4865 §4.1(2): one of the two
        kind = DeviationKind.BAD_PARAMETER_VALUE
        match = _HOLD.search(raw, start, end)
        first_of_both = start if match is None else match.start()
        wrong.setdefault(kind, Deviation(kind, first_of_both, end - first_of_both, "HOLDFOR together with HOLDUNTIL"))
    return found, tuple(wrong.values())


def find_parameter(raw: bytes, name: str) -> tuple[int, int] | None:
    """Return where the first parameter ``name`` (upper case, printable) of a line starts and ends, None if it is not
    there."""
    # No expression is made of the name: it comes from the client, and may be as long as a line.
    upper, wanted = raw.upper(), b" " + name.encode("ascii")
    at = upper.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if raw[end : end + 1] in (b"", b" ", b"="):
            blank = raw.find(b" ", end)
            return at + 1, len(raw) if blank < 0 else blank
        at = upper.find(wanted, end)
    return None


def _known_parameters(text: bytes) -> dict[str, bytes | None] | None:
    """Fast path: parse ``text`` if it has only known keywords, each once, with valid values; else return None."""
    found: dict[str, bytes | None] = {}
    if not text.startswith(b" "):
        return None
    for token in text[1:].split(b" "):
        keyword, _, value = token.partition(b"=")
        known = _value_checks.get(keyword)
        if known is None or not value or known[0] in found or known[1](value) is None:
            return None
        found[known[0]] = value
    return None if "HOLDFOR" in found and "HOLDUNTIL" in found else found


def _scan_one(token: bytes, found: dict[str, bytes | None]) -> Iterator[tuple[DeviationKind, str]]:
    """Add one parameter to ``found`` unless its keyword is already there, and yield its deviations."""
    word, equals, rest = token.partition(b"=")
    keyword = word.upper()
    value = rest if equals else None
    if not PARAMETER.check(token):
        yield DeviationKind.BAD_PARAMETER_SYNTAX, quoted(token)
        if not _KEYWORD.fullmatch(word):
            return
    elif not is_legal_value(keyword, value):
        yield DeviationKind.BAD_PARAMETER_VALUE, quoted(token)
    name = printable(keyword)
    if name in found:
        yield DeviationKind.DUPLICATE_PARAMETER, f"{quoted(keyword)} given again"
    else:
        found[name] = value


_XTEXT = LazyPattern(XTEXT)
_HEXCHAR = LazyPattern(rb"\+([0-9A-F]{2})")
_NOT_XCHAR = LazyPattern(rb"[^!-*,-<>-~]")


def xtext_decode(data: bytes) -> bytes:
    """Return the bytes that ``data`` encodes (RFC 3461 §4). Raises ValueError if it is not xtext."""
    if not _XTEXT.fullmatch(data):
        raise ValueError("not xtext: " + printable(data))
    return _HEXCHAR.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), data)


def xtext_encode(data: bytes) -> bytes:
    """Return ``data`` as xtext: "+", "=", blanks, controls and bytes above 0x7F as hexchar (RFC 3461 §4)."""
    return _NOT_XCHAR.sub(lambda match: b"+%02X" % match[0][0], data)

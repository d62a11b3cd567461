"""What a reply says by itself that rules report: a pure function of its bytes."""

from __future__ import annotations

import re

from ...dissectors.grammar.abnf import ADDRESS_LITERAL, DOMAIN, EXTENDED_STATUS
from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.replies import Reply, ReplyLine
from ...dissectors.printable import printable
from ...dissectors.tables.keywords import KEYWORDS

__all__ = [
    "ReplyFlaw",
    "bad_ehlo_lines",
    "first_word",
    "listed_twice",
    "reply_flaws",
    "status_lines",
    "without_status",
]

_DOMAIN = LazyPattern(DOMAIN)
_LITERAL = LazyPattern(ADDRESS_LITERAL)
# RFC 5321 §4.1.1.1: ehlo-line = ehlo-keyword *( SP ehlo-param ); several spaces are accepted
# RFC 4954 §3(3): AUTH has a list of mechanisms
_EHLO_LINE = re.compile(
    rb"(?!(?i:AUTH) *+\Z)[A-Za-z0-9][A-Za-z0-9-]*+(?: ++[!-~\x80-\xff]++)*+ *+", re.DOTALL
).fullmatch
_STATUS = re.compile(EXTENDED_STATUS + rb" ").match
_KEYWORDS = frozenset(keyword.encode("ascii") for keyword in KEYWORDS)
_WITH_STATUS = frozenset({2, 4, 5})  # first digits of replies that have an enhanced status code (RFC 2034 §4)


class ReplyFlaw:
    """Possible faults of a reply, as bits: a rule names the bits that it is about. Whether one is a fault depends on
    the command."""

    NO_HOST = 1 << 0  # the first word is not the name of a host
    BAD_EHLO_LINE = 1 << 1  # a line after the first does not match ehlo-line
    KEYWORD_FIRST = 1 << 2  # the first word is a keyword of EHLO
    KEYWORDS = 1 << 3  # a line after the first starts with a keyword of EHLO
    STATUS_CLASS = 1 << 4  # an enhanced status code contradicts the code
    NO_STATUS = 1 << 5  # a line without an enhanced status code
    STATUS_DIFFERS = 1 << 6  # two lines with different enhanced status codes
    LONE_SMTPUTF8 = 1 << 7  # it lists SMTPUTF8 without 8BITMIME
    LONE_BINARYMIME = 1 << 8  # it lists BINARYMIME without CHUNKING
    KEYWORD_TWICE = 1 << 9  # it lists a keyword twice with different parameters


_STATUSES = ReplyFlaw.STATUS_CLASS | ReplyFlaw.NO_STATUS | ReplyFlaw.STATUS_DIFFERS
_LISTS = ReplyFlaw.KEYWORDS | ReplyFlaw.LONE_SMTPUTF8 | ReplyFlaw.LONE_BINARYMIME


def reply_flaws(reply: Reply, wanted: int) -> int:
    """Return those of the flaws ``wanted`` that ``reply`` has."""
    flaws = 0
    word = reply.texts[0].split(b" ", 1)[0]
    if wanted & ReplyFlaw.NO_HOST and not (word.isascii() and (_DOMAIN.fullmatch(word) or _LITERAL.fullmatch(word))):
        flaws |= ReplyFlaw.NO_HOST
    if wanted & ReplyFlaw.KEYWORD_FIRST and word.upper() in _KEYWORDS:
        flaws |= ReplyFlaw.KEYWORD_FIRST
    if wanted & ReplyFlaw.BAD_EHLO_LINE and None in map(_EHLO_LINE, reply.texts[1:]) and bad_ehlo_lines(reply):
        flaws |= ReplyFlaw.BAD_EHLO_LINE
    if wanted & ReplyFlaw.KEYWORD_TWICE and len(reply.texts) > 2 and listed_twice(reply):
        flaws |= ReplyFlaw.KEYWORD_TWICE
    if wanted & _STATUSES:
        flaws |= _status_flaws(reply)
    if wanted & _LISTS:
        flaws |= _list_flaws(reply)
    return flaws & wanted


def first_word(text: bytes) -> str:
    """Return the first word of a text in upper case, printable."""
    return printable(text.split(b" ", 1)[0][:64].upper())


def bad_ehlo_lines(reply: Reply) -> list[ReplyLine]:
    """Return the lines after the first one that are not a keyword with optional parameters."""
    return [line for line in reply.parts()[1:] if line.code is not None and _EHLO_LINE(line.text) is None]


def listed_twice(reply: Reply) -> list[tuple[ReplyLine, ReplyLine]]:
    """Return pairs of lines of an EHLO reply that list the same keyword with different parameters, one pair for each
    such keyword."""
    if len(reply.keywords()) == len(reply.texts) - 1:
        return []  # as nearly always
    keywords = [text.partition(b" ")[0].upper() for text in reply.texts[1:]]
    if len(set(keywords)) == len(keywords):
        return []
    first: dict[bytes, tuple[ReplyLine, list[bytes]]] = {}
    pairs: dict[bytes, tuple[ReplyLine, ReplyLine]] = {}
    for line in reply.parts()[1:]:
        words = line.text.upper().split()
        if line.code is None or not words:
            continue
        earlier, parameters = first.setdefault(words[0], (line, words[1:]))
        if parameters != words[1:]:
            pairs.setdefault(words[0], (earlier, line))
    return list(pairs.values())


def status_lines(reply: Reply) -> list[ReplyLine]:
    """Return the lines that must have an enhanced status code if the server offers them (RFC 2034 §4)."""
    if len(reply.texts) > 1:
        return [line for line in reply.parts() if line.code is not None and line.code // 100 in _WITH_STATUS]
    if reply.code // 100 not in _WITH_STATUS:
        return []
    separator = reply.raw[3:4]
    return [ReplyLine(reply.code, separator if separator in (b" ", b"-") else b"", reply.texts[0], reply.enhanced, 0)]


def without_status(reply: Reply) -> list[ReplyLine]:
    """Return those of ``status_lines`` that do not start with an enhanced status code and a space."""
    return [line for line in status_lines(reply) if _STATUS(line.text) is None]


def _status_flaws(reply: Reply) -> int:
    flaws, first = 0, None
    for line in status_lines(reply):
        if _STATUS(line.text) is None:
            flaws |= ReplyFlaw.NO_STATUS
        status = line.enhanced
        if status is None:
            continue
        if status[0] != str(line.code)[0]:
            flaws |= ReplyFlaw.STATUS_CLASS
        if first is not None and status != first:
            flaws |= ReplyFlaw.STATUS_DIFFERS
        first = first or status
    return flaws


def _list_flaws(reply: Reply) -> int:
    flaws = 0
    if any(text.split(b" ", 1)[0].upper() in _KEYWORDS for text in reply.texts[1:]):
        flaws = ReplyFlaw.KEYWORDS
    listed = reply.keywords()
    if "SMTPUTF8" in listed and "8BITMIME" not in listed:
        flaws |= ReplyFlaw.LONE_SMTPUTF8
    if "BINARYMIME" in listed and "CHUNKING" not in listed:
        flaws |= ReplyFlaw.LONE_BINARYMIME
    return flaws

"""Where would other readers see the end of these mail data? The differential view behind SMTP smuggling."""

# Theory
# ------
# Only CRLF "." CRLF ends mail data (RFC 5321 §4.1.1.4). Mail servers and monitors differ in what they take beside it,
# and each difference is a way to show one reader a message and another one commands. What six kinds of reader do is
# written down here as one regular expression each, over the content as the client sent it, dots still stuffed. They
# are models of how a reader finds its line ends, not of the whole program; all of them run in linear time.

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["READERS", "Ending", "Reader", "differs", "endings"]


class Reader(NamedTuple):
    """A kind of reader. ``rule`` says in one line what it takes for the end."""

    name: str
    rule: str
    pattern: re.Pattern[bytes]
    body_pattern: re.Pattern[bytes] | None = None  # behind the empty line after the header, where that differs


class Ending(NamedTuple):
    """What one reader takes. ``at``: offset of the dot, ``end``: of the first byte behind the mark, both in the
    content and -1 where this reader sees no end; ``mark``: the bytes from the dot on."""

    reader: str
    at: int
    end: int
    mark: bytes


_ANY_LINE_END = re.compile(rb"(?:\A|(?<=[\r\n]))\.(?:\r\n|\r|\n)")
_EMPTY_LINE = re.compile(rb"(?:\A|\n)\r?\n")

READERS = (
    Reader("strict", "CRLF . CRLF and nothing else (RFC 5321 §4.1.1.4)", re.compile(rb"(?:\A|(?<=\r\n))\.\r\n")),
    Reader(
        "Postfix, lenient",
        "a dot alone on a line that LF ends, whatever CRs stand before it",
        re.compile(rb"(?:\A|(?<=\n))\.\r*+\n"),
    ),
    Reader("Zeek", "a dot alone between CRLF, LF or CR", _ANY_LINE_END),
    Reader(
        "Suricata",
        "in the header a dot alone on a line that LF ends, in the body also between CRs",
        re.compile(rb"(?:\A|(?<=\n))\.\r?\n"),
        _ANY_LINE_END,
    ),
    Reader("Snort", "LF . LF, with any CRs before the second LF", re.compile(rb"(?:\A|(?<=\n))\.\r*+\n")),
    Reader(
        "Arkime",
        "a dot alone between CRs, each with or without LF; a bare LF ends no line",
        re.compile(rb"(?:\A|(?<=\r\n)|(?<=\r))\.\r(?:\n|(?=[^\n]))"),
    ),
)


def endings(content: bytes) -> tuple[Ending, ...]:
    """The first end that each reader sees in ``content``: all that the client sent behind the 354, as it sent it."""
    empty = _EMPTY_LINE.search(content)
    header = len(content) if empty is None else empty.end()
    return tuple(_first(reader, content, header) for reader in READERS)


def differs(found: tuple[Ending, ...]) -> bool:
    """Whether the readers disagree about the end."""
    return len({ending.end for ending in found}) > 1


def _first(reader: Reader, content: bytes, header: int) -> Ending:
    match = reader.pattern.search(content)
    if reader.body_pattern is not None and (match is None or match.start() >= header):
        match = reader.body_pattern.search(content, header)
    if match is None:
        return Ending(reader.name, -1, -1, b"")
    return Ending(reader.name, match.start(), match.end(), match[0])

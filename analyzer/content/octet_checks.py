"""Check the octets of a block of mail data: which of them are unusual, and where."""

# Theory
# ------
# A message may be megabytes long, and its octets are rarely wrong. So everything is decided by operations on whole
# blocks that run at C speed (find, count, decode, isascii). An exact offset is only searched in a block that failed a
# cheap test.
#
# The functions here keep nothing. They get a block, and what is known from the blocks before it.

from __future__ import annotations

import re
from io import IncrementalNewlineDecoder
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .line_lengths import Occurrence

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BARE_CR",
    "BARE_LF",
    "EIGHT_BIT",
    "LONE_DOT",
    "LOOKALIKE_REACH",
    "NUL",
    "ContentSink",
    "Flaw",
    "Lookalike",
    "add",
    "ends_in_lookalike",
    "ends_in_pairs",
    "find_lookalike",
    "sent_length",
]

# A dot at the start of a longer line that was not doubled. Look-alikes of the end of data are not matched.
LONE_DOT = re.compile(rb"(?<=\r\n)\.(?=[^.\r\n\x00])")
NUL = re.compile(rb"\x00")
EIGHT_BIT = re.compile(rb"[\x80-\xff]")
BARE_LF = re.compile(rb"(?<!\r)\n")
BARE_CR = re.compile(rb"\r(?!\n)")
# A lone dot between line ends that a lenient receiver may accept as the end: SMTP smuggling uses them.
_LOOKALIKE = re.compile(rb"(?:\r\n|\n|\r)\x00*\.\x00*(?:\r\n|\n|\r)")
_LOOKALIKE_AT_END = re.compile(_LOOKALIKE.pattern + rb"\Z")
LOOKALIKE_REACH = 16  # bytes before a block that may be part of a look-alike in it


class Flaw:
    """Possible faults of a message's form, as bits: a rule names the bits that it is about."""

    LONG_LINE = 1 << 0
    LONE_DOT = 1 << 1
    EMPTY = 1 << 2
    NO_DATE = 1 << 3
    NO_FROM = 1 << 4
    REPEATED_FIELD = 1 << 5
    MALFORMED_HEADER = 1 << 6
    BAD_DATE = 1 << 7
    BAD_ENCODING = 1 << 8
    LOOKALIKE = 1 << 9  # of the end of data
    BARE_NEWLINE = 1 << 10
    NUL = 1 << 11
    EIGHT_BIT_HEADER = 1 << 12
    EIGHT_BIT_BODY = 1 << 13
    NO_MESSAGE_ID = 1 << 14
    BAD_MESSAGE_ID = 1 << 15
    BAD_AUTHOR = 1 << 16
    RETURN_PATH = 1 << 17
    NOT_MIME = 1 << 18  # fields of MIME without MIME-Version
    UNTRUE_LABEL = 1 << 19  # octets above 127 in a part whose transfer encoding excludes them
    STUFFED_CHUNKS = 1 << 20  # each dot at the start of a line is doubled, although chunks have no dot-stuffing
    GLUED_DOT = 1 << 21  # text before the dot that was meant as the end of data
    SIZE_UNDERSTATED = 1 << 22  # much larger than the SIZE of its MAIL
    UTF8_NOT_NEEDED = 1 << 23  # SMTPUTF8 was given, and envelope and header fields are ASCII


class ContentSink(Protocol):
    """Receives the octets of one message as they pass."""

    def take(self, stored: bytes, sent: bytes) -> None:
        """The next octets, as the receiver stores them and as the client sent them (dots stuffed)."""

    def lose(self, length: int) -> None:
        """``length`` octets are not in the capture."""

    def cut(self, size: int, kept_back: bytes) -> None:
        """The server accepted a look-alike as the end of data: only the first ``size`` octets as stored are content,
        lost ones included. ``kept_back``: the last bytes of the client, which were not delivered yet."""


class Lookalike(NamedTuple):
    """The first look-alike of the end of data. ``start``: its offset from the start of the block; ``form``: its bytes;
    ``after``: the bytes of the block after it; ``left``: octets stored from the dot on, if it is not the end."""

    start: int
    form: bytes
    after: bytes
    left: int


def ends_in_pairs(block: bytes) -> bool:
    """Return whether no CR or LF stands alone. Python's text decoder notes which kinds of line ends it sees, faster
    than any other check of each byte."""
    decoder = IncrementalNewlineDecoder(None, translate=False)
    decoder.decode(block.decode("latin-1"), final=True)
    return decoder.newlines in _PAIRS


_PAIRS = (None, "\r\n")


def add(
    known: Occurrence | None,
    pattern: re.Pattern[bytes],
    block: bytes,
    position: int,
    where: Callable[[int], tuple[int, int]],
) -> Occurrence | None:
    """Return ``known`` with the matches of ``pattern`` in ``block`` added, which is at ``position`` of the client's
    stream. ``where`` returns frame and time of an offset in it."""
    first = pattern.search(block)
    if first is None:
        return known
    count = len(pattern.findall(block))  # single octets, which are shared objects
    if known is None:
        place = position + first.start()
        return Occurrence(place, *where(place), count)
    known.count += count
    return known


def find_lookalike(before: bytes, block: bytes, within: int | None) -> Lookalike | None:
    """Find a dot between line ends of which one is wrong, also across the start of the block. ``before``: the last
    bytes before it; ``within``: bytes of the block in which it can end, None for all."""
    found = _LOOKALIKE.search(before + block[:within])
    if found is None:
        return None
    text = before + block
    rest = text[found.start() :]
    line_end = 2 if rest[:2] == b"\r\n" else 1
    left = len(rest.replace(b"\r\n.", b"\r\n")) - line_end
    return Lookalike(found.start() - len(before), found[0], text[found.end() :], left)


def ends_in_lookalike(data: bytes) -> bool:
    """Return whether ``data`` ends with a look-alike of the end of data."""
    return _LOOKALIKE_AT_END.search(data) is not None


def sent_length(block: bytes, stored: int) -> int:
    """Return how many octets of ``block``, as sent, are stored as the first ``stored`` ones: the dot after a CRLF is
    not stored (RFC 5321 §4.5.2)."""
    length = stored
    while (longer := stored + block.count(b"\r\n.", 0, length)) > length:
        length = longer
    return length

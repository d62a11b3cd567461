"""Where different readers see the end of the mail data: the basis for finding SMTP smuggling."""

# Theory
# ------
# Only CRLF "." CRLF ends mail data (RFC 5321 §4.1.1.4). Mail servers and monitors differ in the other forms that they
# accept. Each difference allows an attacker to show one reader a message and another reader commands. Six kinds of
# reader are described here, each by a regular expression over the content as the client sent it, with dots stuffed.
# They model how a reader finds its line ends, not the whole program. All expressions run in linear time.
#
# Mail data may be megabytes long, in pieces of any size. Only the bytes that can still become a mark are kept. A mark
# at the very end of the data so far is not accepted until more data shows that it ends there: LF may follow a dot and
# a CR.

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["READERS", "EndFinder", "EndReader", "Ending", "differs", "endings"]

MAX_CRS = 1000  # between a dot and its LF; more of them test the limits of readers, not their rules


class EndReader(NamedTuple):
    """A kind of reader. ``rule`` describes in one line what it accepts as the end.

    Its pattern starts at the dot and looks back at the bytes before it.
    """

    name: str
    rule: str
    pattern: re.Pattern[bytes]
    body_pattern: re.Pattern[bytes] | None = None  # after the empty line that ends the header, if different


class Ending(NamedTuple):
    """The end that one reader sees. ``at``: offset of the dot; ``end``: offset after the mark. Both are in the content,
    and -1 if the reader sees no end. ``mark``: the bytes from the dot on; ``before``: the line end before the dot."""

    reader: str
    at: int
    end: int
    mark: bytes
    before: bytes = b""


_ANY_LINE_END = re.compile(rb"(?<=[\r\n])\.(?:\r\n|\r|\n)")
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_LF_ENDS = re.compile(rb"(?<=\n)\.\r{0,%d}+\n" % MAX_CRS)

READERS = (
    EndReader("strict", "CRLF . CRLF and nothing else (RFC 5321 §4.1.1.4)", re.compile(rb"(?<=\r\n)\.\r\n")),
    EndReader("Postfix, lenient", "a dot alone on a line that ends with LF, with any CRs before it", _LF_ENDS),
    EndReader("Zeek", "a dot alone between CRLF, LF or CR", _ANY_LINE_END),
    EndReader(
        "Suricata",
        "in the header a dot alone on a line that ends with LF, in the body also between CRs",
        re.compile(rb"(?<=\n)\.\r?\n"),
        _ANY_LINE_END,
    ),
    EndReader("Snort", "LF . LF, with any CRs before the second LF", _LF_ENDS),
    EndReader(
        "Arkime",
        "a dot alone between CRs, each with or without LF; a bare LF does not end a line",
        re.compile(rb"(?:(?<=\r\n)|(?<=\r))\.\r(?:\n|(?=[^\n]))"),
    ),
)

# The command line before the content ended with CRLF, so the first line of the content starts like any other.
_BEFORE = b"\r\n"
_UNFINISHED = re.compile(rb"\.\r{0,%d}\Z" % (MAX_CRS + 1))


class EndFinder:
    """Takes mail data as the client sent them. ``endings``: the first end that each reader has seen so far."""

    def __init__(self) -> None:
        self.endings = [Ending(reader.name, -1, -1, b"") for reader in READERS]
        self._missing = set(range(len(READERS)))
        self._kept = _BEFORE
        self._known = len(_BEFORE)  # bytes of `_kept` that were already searched for marks
        self._position = -len(_BEFORE)  # offset of the first byte of `_kept` in the content
        self._header = -1  # where the body starts, -1: not known yet

    @property
    def settled(self) -> bool:
        """Whether every reader has seen an end."""
        return not self._missing

    def feed(self, data: bytes) -> list[int]:
        """Take the next bytes. Returns the readers that saw their end in them, as indexes into READERS."""
        return self._search(self._kept + data, over=False)

    def skip(self, length: int) -> None:
        """``length`` bytes are missing here: a mark cannot extend across them."""
        self._position += len(self._kept) + length
        self._kept, self._known = b"", 0

    def close(self) -> list[int]:
        """No more data comes: accept a mark at the very end. Returns the same as ``feed``."""
        return self._search(self._kept, over=True)

    def _search(self, text: bytes, *, over: bool) -> list[int]:
        unfinished = None if over else _UNFINISHED.search(text, max(self._known, len(text) - MAX_CRS - 2))
        stop = len(text) if unfinished is None else unfinished.start()
        if self._header < 0:
            empty = _EMPTY_LINE.search(text, max(0, self._known - 2))
            if empty is not None:
                self._header = self._position + empty.end()
        found = [number for number in sorted(self._missing) if self._first(number, text, stop)]
        self._missing.difference_update(found)
        start = max(0, stop - 2)
        self._kept, self._known = text[start:], stop - start
        self._position += start
        return found

    def _first(self, number: int, text: bytes, stop: int) -> bool:
        """Find the first mark of this reader that starts before ``stop``."""
        reader, known = READERS[number], self._known
        header = len(text) if self._header < 0 else max(known, self._header - self._position)
        match = reader.pattern.search(text, known)
        if reader.body_pattern is not None and (match is None or match.start() >= header):
            match = reader.body_pattern.search(text, header)
        if match is None or match.start() >= stop:
            return False
        at, end = (self._position + place for place in match.span())
        before = text[max(0, match.start() - 2) : match.start()]
        before = before if before == b"\r\n" else before[-1:]
        self.endings[number] = Ending(reader.name, at, end, match[0], before)
        return True


def endings(content: bytes) -> tuple[Ending, ...]:
    """Return the first end that each reader sees in ``content``: all that the client sent after the 354, unchanged."""
    finder = EndFinder()
    finder.feed(content)
    finder.close()
    return tuple(finder.endings)


def differs(found: tuple[Ending, ...] | list[Ending]) -> bool:
    """Return whether the readers disagree about the end."""
    return len({ending.end for ending in found}) > 1

"""Check the octets of one message, block by block: what is stored, what the header says, which octets break a rule."""

# Theory
# ------
# A message may be megabytes long, and its bytes are rarely wrong. So everything is decided by operations on whole
# blocks that run at C speed (find, translate, isascii, replace). An exact offset is only searched in a block that
# failed a cheap test.
#
# The blocks come from `end_of_data`, which finds the end of the message. A block never splits a CRLF, and always
# contains the line end before a leading dot. The first line is treated as if a CRLF came before it.

from __future__ import annotations

import re
from bisect import bisect_right
from hashlib import sha256
from io import IncrementalNewlineDecoder
from operator import itemgetter
from typing import Protocol

from .header import HeaderReport, on_one_line, read_header
from .line_lengths import LineMeter, Occurrence
from .mime import EncodingFault, MimeBody

__all__ = ["END_OF_DATA", "LOOKALIKE_END", "ContentSink", "Flaw", "OctetChecks"]

# A dot at the start of a longer line that was not doubled. Look-alikes of the end of data are not matched.
_LONE_DOT = re.compile(rb"(?<=\r\n)\.(?=[^.\r\n\x00])")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_NUL = re.compile(rb"\x00")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
# A lone dot between line ends that a lenient receiver may accept as the end: SMTP smuggling uses them.
_LOOKALIKE = re.compile(rb"(?:\r\n|\n|\r)\x00*\.\x00*(?:\r\n|\n|\r)")
LOOKALIKE_END = re.compile(_LOOKALIKE.pattern + rb"\Z")
_LOOKALIKE_TAIL = 16
END_OF_DATA = b"\r\n.\r\n"  # RFC 5321 §4.1.1.4
# In the worst case, each byte that may be needed again came in its own segment.
_SEGMENTS = _LOOKALIKE_TAIL + len(END_OF_DATA)


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


class ContentSink(Protocol):
    """Receives the octets of one message as they pass."""

    def take(self, stored: bytes, sent: bytes) -> None:
        """The next octets, as the receiver stores them and as the client sent them (dots stuffed)."""

    def lose(self, length: int) -> None:
        """``length`` octets are not in the capture."""

    def cut(self, size: int, kept_back: bytes) -> None:
        """The server accepted a look-alike as the end of data: only the first ``size`` octets as stored are content,
        lost ones included. ``kept_back``: the last bytes of the client, which were not delivered yet."""


class OctetChecks:
    """The known facts about the content of one message.

    ``size``: octets as the receiver stores them (dot-stuffing removed, end mark not counted). ``lines``: LFs in it.
    ``ascii``: no byte above 127 so far. Occurrences are None if there is nothing to report. ``sink``:
    receives the octets themselves.
    """

    # Defaults are on the class, not in every instance: most messages never change most of them.
    size = 0
    lines = 0
    missing = 0
    complete = False
    cut = False  # it ended at an end that only the server saw
    ascii = True
    header_8bit: Occurrence | None = None
    body_8bit: Occurrence | None = None
    nul: Occurrence | None = None
    bare_lf: Occurrence | None = None
    bare_cr: Occurrence | None = None
    lone_dot: Occurrence | None = None
    lookalike: Occurrence | None = None
    lookalike_form = b""  # its bytes
    header_ends_in_crlf = False  # of the last header line, if the empty line was seen
    since_lookalike = b""  # raw bytes after the first look-alike of the end of data
    _header: bytes | bytearray = b""
    header_cut = False  # the header was longer than the limit
    _in_header = True
    _report: HeaderReport | None = None
    _mime: MimeBody | None = None
    sink: ContentSink | None = None
    _stored_end = 0  # octets of the content if that look-alike is its end

    def __init__(self, offset: int, frame: int, time_ns: int, *, chunked: bool, header_limit: int) -> None:
        self.offset = offset
        self.frame = frame
        self.time_ns = time_ns
        self.chunked = chunked
        self._virtual = 0 if chunked else 2  # bytes at the front that were never sent
        self._position = offset  # stream offset of the next real byte
        self._hash = sha256()
        self._header_limit = header_limit
        self._header_parts: list[tuple[int, int, int, int]] = []  # header bytes before a block, and its place
        self._kinds = IncrementalNewlineDecoder(None, translate=False)
        self._meter = LineMeter(stuffed=not chunked)
        self._back = b"\r\n"  # the last bytes checked, for matches across blocks
        self._segments: list[tuple[int, int, int]] = []  # (offset, frame, time) of the next and the last ones

    # -- results ---------------------------------------------------------------------------------------------------

    @property
    def sha256(self) -> str | None:
        """Hash of the content as stored, None if bytes of it are missing."""
        return None if self.missing or self.cut else self._hash.hexdigest()

    @property
    def flaws(self) -> int:
        """Possible faults of the message's form, as ``Flaw`` bits; 0 if the message is not complete."""
        if self.missing or not self.complete:
            return 0
        if not self.size:
            return Flaw.EMPTY
        flaws = 0
        if self._meter.first is not None:
            flaws |= Flaw.LONG_LINE
        if self.lone_dot is not None:
            flaws |= Flaw.LONE_DOT
        if self._mime is not None:
            self._mime.finish()
            if self._mime.fault is not None:
                flaws |= Flaw.BAD_ENCODING
        report = self.report
        if report is not None:
            flaws |= 0 if report.has_date else Flaw.NO_DATE
            flaws |= 0 if report.has_from else Flaw.NO_FROM
            flaws |= 0 if report.repeated is None else Flaw.REPEATED_FIELD
            flaws |= 0 if report.malformed is None else Flaw.MALFORMED_HEADER
            flaws |= 0 if report.bad_date is None else Flaw.BAD_DATE
        if self.bare_lf is not None or self.bare_cr is not None:
            flaws |= Flaw.BARE_NEWLINE
        if self.nul is not None:
            flaws |= Flaw.NUL
        if not self.ascii:
            flaws |= 0 if self.header_8bit is None else Flaw.EIGHT_BIT_HEADER
            flaws |= 0 if self.body_8bit is None else Flaw.EIGHT_BIT_BODY
        return flaws if self.lookalike is None else flaws | Flaw.LOOKALIKE

    @property
    def report(self) -> HeaderReport | None:
        """The content of the header section, None if it is too long to be kept."""
        if self._report is None and not self.header_cut:
            self._report = read_header(bytes(self._header))
        return self._report

    @property
    def long_line(self) -> Occurrence | None:
        """The first line that is longer than 1000 octets."""
        return self._meter.first

    @property
    def longest(self) -> int:
        """Octets of the longest such line, 0 if there is none."""
        return self._meter.longest

    @property
    def encoding_fault(self) -> EncodingFault | None:
        """The first fault in the body that prevents MIME decoding."""
        return None if self._mime is None else self._mime.fault

    def place_in_header(self, at: int) -> tuple[int, int, int]:
        """Return offset, frame and time of the byte ``at`` of the header section."""
        known = (0, self.offset, self.frame, self.time_ns)
        for part in self._header_parts:
            if part[0] > at:
                break
            known = part
        return known[1] + at - known[0], known[2], known[3]

    @property
    def in_header(self) -> bool:
        """Whether the empty line after the header section has not come."""
        return self._in_header

    @property
    def header(self) -> bytes:
        """The header section so far, at most the limit's bytes, without the empty line."""
        return bytes(self._header)

    def field(self, name: bytes) -> bytes | None:
        """Return the body of the first header field ``name``, unfolded, None if there is none (RFC 5322 §2.2)."""
        found = re.search(
            rb"(?:\A|\n)" + re.escape(name) + rb"[ \t]*:[ \t]*((?:[^\n]*)(?:\n[ \t][^\n]*)*)",
            self._header,
            re.IGNORECASE,
        )
        if found is None:
            return None
        return on_one_line(found[1])

    @property
    def subject(self) -> bytes | None:
        """Body of the Subject field."""
        return self.field(b"Subject") if self.report is None else self.report.subject

    @property
    def message_id(self) -> bytes | None:
        """Body of the Message-ID field."""
        return self.field(b"Message-ID") if self.report is None else self.report.message_id

    # -- checks ----------------------------------------------------------------------------------------------------

    def _check_block(self, block: bytes, frame: int, time_ns: int) -> None:
        """Check a block that splits no CRLF and has the line end before each leading dot."""
        virtual = self._virtual
        if not self.chunked and b"." in block and b"\r\n." in block:
            stored = block.replace(b"\r\n.", b"\r\n")[virtual:]
            self.lone_dot = self._add_occurrences(self.lone_dot, _LONE_DOT, block, self._position - virtual)
        else:
            stored = block[virtual:] if virtual else block
        if virtual:
            self._virtual = 0
            block = block[virtual:]
        length = len(block)
        self.size += len(stored)
        self._hash.update(stored)
        if self.sink is not None:
            self.sink.take(stored, block)
        position = self._position
        self._position = position + length
        self.lines += block.count(b"\n")
        clean = self._ends_in_pairs(block) and b"\0" not in block
        if self._in_header:
            self._collect_header(stored, block, position, frame, time_ns, clean=clean)
        else:
            if not block.isascii():
                self.ascii = False
                self.body_8bit = self._add_occurrences(self.body_8bit, _EIGHT_BIT, block, position)
            if self._mime is not None and self._mime.watched:
                self._mime.feed(block, position, self._segments)
        self._meter.feed(block, position, self.where)
        if not clean or self.lookalike is not None:
            self._check_unusual(block, position)
        elif self.bare_lf is not None or self.bare_cr is not None or self.nul is not None:
            self._find_lookalike(block, position, within=_LOOKALIKE_TAIL)
        self._back = block[-_LOOKALIKE_TAIL:] if length >= _LOOKALIKE_TAIL else (self._back + block)[-_LOOKALIKE_TAIL:]
        if len(self._segments) > _SEGMENTS:
            del self._segments[:-_SEGMENTS]

    def _ends_in_pairs(self, block: bytes) -> bool:
        """Return whether no CR or LF stands alone. Python's text decoder notes which kinds of line ends it sees, faster
        than any other check of each byte."""
        kinds = self._kinds
        kinds.reset()
        kinds.decode(block.decode("latin-1"), final=True)
        return kinds.newlines in (None, "\r\n")

    def _collect_header(
        self, stored: bytes, block: bytes, position: int, frame: int, time_ns: int, *, clean: bool
    ) -> None:
        """Collect the header until its empty line has come (RFC 5322 §2.1)."""
        known = len(self._header)
        self._header_parts.append((known, position, frame, time_ns))
        header: bytes | bytearray = stored
        if known:
            header = self._header = self._header if isinstance(self._header, bytearray) else bytearray(self._header)
            header += stored
        if known == 0 and header[:2] == b"\r\n":
            end, after = 0, 2
        elif clean and known == 0:
            end = header.find(b"\r\n\r\n")
            after = end + 4
            self.header_ends_in_crlf = end >= 0
        else:
            found = _EMPTY_LINE.search(header, max(0, known - 4))
            end, after = (found.start(), found.end()) if found else (-1, -1)
            self.header_ends_in_crlf = found is not None and found[0].startswith(b"\r")
        if end < 0:
            if len(header) > self._header_limit > 0:
                header = bytes(header[: self._header_limit])
                self._in_header = False
                self.header_cut = True
            self._header = header
            split = len(block)
        else:
            body = len(header) - after
            self._header = header = bytes(header[:end])
            if len(stored) < len(block):  # stuffed dots: count those of the body, too
                body += len(block) - len(stored) - _stuffed(header[known:])
            split = max(0, min(len(block), len(block) - body))
            self._in_header = False
            report = self._report = read_header(header)
            if report.mime:
                self._mime = MimeBody(report.mime, (position + split, frame, time_ns))
                if self._mime.watched and split < len(block):
                    self._mime.feed(block[split:], position + split, self._segments)
        if not block.isascii():
            self.ascii = False
            self.header_8bit = self._add_occurrences(self.header_8bit, _EIGHT_BIT, block[:split], position)
            self.body_8bit = self._add_occurrences(self.body_8bit, _EIGHT_BIT, block[split:], position + split)

    def _check_unusual(self, block: bytes, position: int) -> None:
        """Check a block with NULs or line ends that are not CRLF, or after a look-alike of the end of data."""
        if b"\0" in block:
            self.nul = self._add_occurrences(self.nul, _NUL, block, position)
        self.bare_lf = self._add_occurrences(self.bare_lf, _BARE_LF, block, position)
        self.bare_cr = self._add_occurrences(self.bare_cr, _BARE_CR, block, position)
        if self.lookalike is None:
            self._find_lookalike(block, position)
        elif len(self.since_lookalike) < self._header_limit:
            self.since_lookalike += block

    def _find_lookalike(self, block: bytes, position: int, *, within: int | None = None) -> None:
        """Find a dot between line ends of which one is wrong, also across the border of two blocks. ``within``: bytes
        of the block in which it can end."""
        back = self._back
        found = None if self.chunked else _LOOKALIKE.search(back + block[:within])
        if found is not None:
            self.lookalike_form = found[0]
            place = max(0, position + found.start() - len(back))  # the CRLF of DATA may not have been captured
            self.lookalike = Occurrence(place, *self.where(place), 1)
            self.since_lookalike = (back + block)[found.end() :]
            after = (back + block)[found.start() :]
            line_end = 2 if after[:2] == b"\r\n" else 1
            self._stored_end = self.size + line_end - len(after.replace(b"\r\n.", b"\r\n"))

    def where(self, offset: int) -> tuple[int, int]:
        """Return frame and time of the segment with the byte at ``offset``, if that segment is still remembered."""
        segments = self._segments or [(self.offset, self.frame, self.time_ns)]
        _, frame, time_ns = segments[max(0, bisect_right(segments, offset, key=_offset) - 1)]
        return frame, time_ns

    def _add_occurrences(
        self, known: Occurrence | None, pattern: re.Pattern[bytes], block: bytes, position: int
    ) -> Occurrence | None:
        """Return ``known`` with the matches of ``pattern`` in ``block`` added."""
        first = pattern.search(block)
        if first is None:
            return known
        count = sum(1 for _ in pattern.finditer(block))
        if known is None:
            place = position + first.start()
            return Occurrence(place, *self.where(place), count)
        known.count += count
        return known


_offset = itemgetter(0)


def _stuffed(header: bytes) -> int:
    """Return how many lines of the header start with a dot: each had one more when it was sent."""
    return (b"\n" + header).count(b"\n.") if b"." in header else 0

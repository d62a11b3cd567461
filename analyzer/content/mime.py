"""Check transfer encodings, their labels and boundaries of a MIME body, block by block."""

# Theory
# ------
# Attachments are megabytes long, so no code here looks at single bytes. Blocks are joined to a batch of about 32 KB.
# find() searches for delimiter lines, and the text between them is checked by translate() (base64) or by one search
# (quoted-printable). Only a batch that fails this test, or that has octets above 127, is checked in detail. A body that
# has no parts and is not encoded is not watched at all; one that is encoded is watched up to its first fault.
#
# The bytes are as sent, with dots stuffed, so that offsets are those of the stream. A stuffed dot only matters in
# base64, where it is skipped at the start of a line. Delimiters start with "-" and are never stuffed.
#
# A line that begins with a delimiter is one, whatever follows in it (RFC 2046 §5.1.1). If it begins with the delimiters
# of two levels, it is that of the longer one: programs make the boundary of a part from that around it.

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ...dissectors.lazy_regex import LazyPattern
from .header import read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .header import HeaderReport

__all__ = ["EncodingFault", "MimeBody", "UntrueLabel", "label_of_whole"]

_BATCH = 1 << 15
_MAX_PART_HEADER = 1 << 16  # a longer header of a part is not read
_MAX_DEPTH = 32  # levels of nested multiparts, and messages inside each other that are not in a multipart
_MAX_BOUNDARY = 70  # RFC 2046 §5.1.1

_DECODED = frozenset({b"base64", b"quoted-printable"})
_SEVEN_BIT = frozenset({b"", b"7bit", *_DECODED})
_MESSAGES = frozenset({b"message/rfc822", b"message/global"})  # RFC 2046 §5.2.1, RFC 6532 §3.7
_BLANKS = b" \t\r\n"
_NOT_COUNTED = (b"\n", b"\r", b" ", b"\t", b".")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = LazyPattern(rb"[^A-Za-z0-9+/= \t\r\n]")
_CHARACTER = LazyPattern(rb"[A-Za-z0-9+/]")
_EIGHT_BIT = LazyPattern(rb"[\x80-\xff]")
# RFC 2045 §6.7: "=" and two hexadecimal digits, or a soft line break
_BAD_ESCAPE = LazyPattern(rb"=(?![0-9A-Fa-f]{2}|[ \t]*+(?:\r?\n|\Z))")
_EMPTY_LINE = LazyPattern(rb"(?:\A|\n)\r?\n")
# RFC 2045 §5.1: parameter := attribute "=" value
_BOUNDARY = LazyPattern(rb';[ \t]*+boundary[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^ \t;]*+))', re.IGNORECASE)


class EncodingFault(NamedTuple):
    """The first fault that prevents decoding. ``offset``: in the client's stream."""

    what: str
    offset: int
    frame: int
    time_ns: int


class UntrueLabel(NamedTuple):
    """The first octet above 127 in a part whose transfer encoding has none. ``label``: that encoding, empty if there is
    no field, which means 7bit (RFC 2045 §6.1). ``offset``: in the client's stream."""

    label: str
    octet: int
    offset: int
    frame: int
    time_ns: int


class _Level(Struct):
    """A multipart around the next bytes: its delimiter, and whether its parts are messages if they do not say more
    (RFC 2046 §5.1.5). ``none_before``: in this batch there is no further delimiter before this place, so that no level
    looks at the same bytes again."""

    delimiter: bytes
    digest: bool
    none_before: int = 0


def label_of_whole(header: HeaderReport, octet: int, place: tuple[int, int, int]) -> UntrueLabel | None:
    """Return the untrue label of a message without parts, whose body holds ``octet`` at ``place``; None if the label
    allows it."""
    label = _seven_bit_label(header) if header.mime and not _has_parts(header) else None
    return None if label is None else UntrueLabel(label, octet, *place)


def _seven_bit_label(header: HeaderReport) -> str | None:
    """Return the transfer encoding of a part if it excludes octets above 127, otherwise None."""
    label = header.transfer_encoding.lower()
    return label.decode("ascii") if label in _SEVEN_BIT else None


def _has_parts(header: HeaderReport) -> bool:
    return header.content_type[:10].lower() == b"multipart/" or _is_message(header)


def _is_message(header: HeaderReport) -> bool:
    return header.content_type.partition(b";")[0].strip().lower() in _MESSAGES


class MimeBody:
    """Takes the bytes of a body as sent. ``fault``: the first fault of their encoding. ``untrue_label``: the first part
    that is not what its label says. ``header_8bit``: the header of a part has an octet above 127, or perhaps has: not
    all parts could be found."""

    __slots__ = (
        "_base",
        "_batch",
        "_blocks",
        "_body_place",
        "_carry",
        "_count",
        "_digest",
        "_encoding",
        "_header",
        "_label",
        "_levels",
        "_messages",
        "_of_message",
        "_padded",
        "_places",
        "_total",
        "fault",
        "header_8bit",
        "untrue_label",
    )

    def __init__(self, header: HeaderReport, place: tuple[int, int, int]) -> None:
        """``header``: that of the message. ``place``: offset, frame and time of its end."""
        self.fault: EncodingFault | None = None
        self.untrue_label: UntrueLabel | None = None
        self.header_8bit = False
        self._blocks: list[bytes] = []
        self._batch = 0  # bytes in _blocks
        self._carry = b""  # the unfinished line
        self._base = 0  # bytes of the body before _carry
        self._total = 0
        # Offset in the body; offset, frame and time in the stream.
        self._places: list[tuple[int, int, int, int]] = [(0, *place)]
        self._levels: list[_Level] = []
        self._encoding = b""
        self._label: str | None = None  # of a part in which no octet may be above 127
        self._header: bytearray | None = None  # of the part or message that starts
        self._of_message = False  # it is that of a message
        self._digest = False  # a part without Content-Type is a message
        self._messages = 0  # messages inside each other, without a multipart between them
        self._body_place = place  # where the body of the part starts
        self._count = 0  # base64 characters in that body
        self._padded = False
        if header.encoded:
            self._start_part(header, 0)

    @property
    def watched(self) -> bool:
        """Whether the next bytes must be checked."""
        return bool(self._levels) or self._header is not None or (self.fault is None and bool(self._encoding))

    def feed(self, block: bytes, offset: int, segments: Sequence[tuple[int, int, int]]) -> None:
        """Take the next bytes, at ``offset`` of the client's stream. ``segments``: offset, frame and time of the
        segments that they came in, in order; earlier ones may be in the list too."""
        first = max(0, bisect_right(segments, offset, key=itemgetter(0)) - 1)
        self._places.append((self._total, offset, *segments[first][1:]))
        for start, frame, time_ns in segments[first + 1 :]:
            if start < offset + len(block):
                self._places.append((self._total + start - offset, start, frame, time_ns))
        self._total += len(block)
        self._blocks.append(block)
        self._batch += len(block)
        if self._batch >= _BATCH:
            self._check_batch(over=False)

    def finish(self) -> None:
        """The body is complete: check the rest."""
        if self.watched:
            self._check_batch(over=True)
            self._end_body()

    # -- batches ---------------------------------------------------------------------------------------------------

    def _check_batch(self, *, over: bool) -> None:
        data = self._carry + b"".join(self._blocks)
        self._blocks, self._batch = [], 0
        cut = len(data) if over else data.rfind(b"\n") + 1
        if not cut and len(data) > 2 * _BATCH:
            cut = len(data)  # a line is never that long
        at = 0
        for one in self._levels:
            one.none_before = 0
        clean = data.isascii()
        while at < cut and self.watched:
            end, after, level, last = self._next_delimiter(data, at, cut)
            depth = len(self._levels)
            used = self._check_text(data, at, end, clean=clean)
            if len(self._levels) > depth:
                at = used  # a nested multipart: its delimiters come first
                continue
            if level < 0:
                break
            self._end_body()
            digest = self._levels[level].digest
            del self._levels[level + (not last) :]
            self._encoding, self._label, self._messages = b"", None, 0
            self._header = None if last else bytearray()
            self._of_message = False
            self._digest = digest
            at = after
        self._carry = data[cut:]
        self._base += cut
        keep = bisect_right(self._places, self._base, key=lambda place: place[0]) - 1
        del self._places[:keep]

    def _next_delimiter(self, data: bytes, start: int, stop: int) -> tuple[int, int, int, bool]:
        """Return the next delimiter line after ``start``, where a line starts: its start, its end, its level (-1: there
        is none), and whether it is the last of its multipart."""
        best, found = stop, -1
        for level in range(len(self._levels) - 1, -1, -1):  # the inner ones come first, and limit the search for others
            one = self._levels[level]
            delimiter = one.delimiter
            if data.startswith(delimiter, start, stop):
                at = start
            elif one.none_before > best:
                continue
            else:
                at = data.find(b"\n" + delimiter, max(start, one.none_before - 1), min(best + len(delimiter), stop)) + 1
                one.none_before = at or best + 1
                if not at:
                    continue
            if at < best or len(delimiter) > len(self._levels[found].delimiter):
                best, found = at, level
        if found < 0:
            return stop, stop, -1, False
        end = data.find(b"\n", best, stop) + 1 or stop
        return best, end, found, data.startswith(b"--", best + len(self._levels[found].delimiter), end)

    def _check_text(self, data: bytes, start: int, stop: int, *, clean: bool) -> int:
        """Check the text between two delimiters, or a part of it. ``clean``: the data is ASCII. Returns where the body
        in it starts."""
        while self._header is not None:
            header, known = self._header, len(self._header)
            header += data[start:stop]
            found = _EMPTY_LINE.search(header, max(0, known - 3))
            if found is None:
                if len(header) > _MAX_PART_HEADER:
                    self._header, self.header_8bit = None, True
                return stop
            self._header = None
            start += found.end() - known
            section = bytes(header[: found.start()])
            self.header_8bit = self.header_8bit or not section.isascii()
            self._start_part(read_header(section), self._base + start)
        if start >= stop or not self.watched:
            return start
        if self._label is not None and self.untrue_label is None and not clean:
            high = _EIGHT_BIT.search(data, start, stop)
            if high is not None:
                self.untrue_label = UntrueLabel(self._label, high[0][0], *self._place(self._base + high.start()))
        if self.fault is not None:
            return start
        if self._encoding == b"base64":
            self._check_base64(data[start:stop], start)
        elif self._encoding == b"quoted-printable":
            wrong = _BAD_ESCAPE.search(data, start, stop)
            if wrong is not None:
                self._set_fault(
                    'a quoted-printable part holds "=" without two hexadecimal digits',
                    self._place(self._base + wrong.start()),
                )
        return start

    def _check_base64(self, text: bytes, start: int) -> None:
        odd = text.translate(None, _ALPHABET + _BLANKS)
        if odd.strip(b"="):
            for wrong in _NOT_BASE64.finditer(text):
                at = wrong.start()
                stuffed = wrong[0] == b"." and text[at - 1 : at] in (b"", b"\n")
                if not stuffed:
                    self._set_fault(
                        "a base64 part holds a character outside the alphabet of base64",
                        self._place(self._base + start + at),
                    )
                    return
        if odd or self._padded:
            padding = 0 if self._padded else text.find(b"=")
            if padding >= 0 and _CHARACTER.search(text, padding):
                self._set_fault("a base64 part holds text after its padding", self._place(self._base + start + padding))
                return
            self._padded = self._padded or b"=" in odd
        # all characters except blanks and stuffed dots; count() is faster than another translate()
        self._count += len(text) - sum(map(text.count, _NOT_COUNTED))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _start_part(self, header: HeaderReport, at: int) -> None:
        """Start the body of the message or of a part, which has this header. The body starts at ``at``."""
        self._encoding, self._label, self._count, self._padded = b"", None, 0, False
        self._body_place = self._place(at)
        if self._of_message and not header.mime:
            return
        kind, encoding = header.content_type, header.transfer_encoding.lower()
        digest = self._digest and not kind and not self._of_message
        if kind[:10].lower() == b"multipart/":
            self._start_multipart(kind)
        elif (_is_message(header) or digest) and encoding not in _DECODED:
            self._start_message()
        else:
            self._label = _seven_bit_label(header)
            if encoding in _DECODED:
                self._encoding = encoding

    def _start_message(self) -> None:
        """Start a message that is a part."""
        self._messages += 1
        if self._messages > _MAX_DEPTH:
            self.header_8bit = True
        else:
            self._header, self._of_message = bytearray(), True

    def _start_multipart(self, kind: bytes) -> None:
        found = _BOUNDARY.search(kind)
        if found is None:
            self.header_8bit = True
            if b"boundary*" not in kind.lower():  # RFC 2231 §3: a boundary in pieces, which is not used in practice
                self._set_fault("a multipart has no boundary", self._body_place)
            return
        boundary = found[2] if found[1] is None else found[1].replace(b"\\", b"")
        if not boundary or len(boundary) > _MAX_BOUNDARY:
            self.header_8bit = True
            self._set_fault(
                f"the boundary of a multipart has {len(boundary)} characters; 1 to {_MAX_BOUNDARY} are allowed",
                self._body_place,
            )
        elif len(self._levels) < _MAX_DEPTH:
            self._messages = 0
            self._levels.append(_Level(b"--" + boundary, kind[:16].lower() == b"multipart/digest"))
        else:
            self.header_8bit = True

    def _end_body(self) -> None:
        if self._encoding == b"base64" and self._count % 4:
            self._set_fault(
                f"a base64 part holds {self._count} characters, which is not a multiple of four", self._body_place
            )

    def _place(self, at: int) -> tuple[int, int, int]:
        """Return offset, frame and time of the body's byte ``at``."""
        known = max(0, bisect_right(self._places, at, key=lambda place: place[0]) - 1)
        before, offset, frame, time_ns = self._places[known]
        return offset + at - before, frame, time_ns

    def _set_fault(self, what: str, place: tuple[int, int, int]) -> None:
        if self.fault is None:
            self.fault = EncodingFault(what, *place)

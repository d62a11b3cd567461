"""Check transfer encodings and boundaries of a MIME body, block by block."""

# Theory
# ------
# Attachments are megabytes long, so no code here looks at single bytes. Blocks are joined to a batch of about 32 KB.
# find() searches for delimiter lines, and the text between them is checked by translate() (base64) or by one search
# (quoted-printable). Only a batch that fails this test is checked in detail. A body that is neither multipart nor
# encoded is not watched at all, and no body is watched after its first fault.
#
# The bytes are as sent, with dots stuffed, so that offsets are those of the stream. A stuffed dot only matters in
# base64, where it is skipped at the start of a line. Delimiters start with "-" and are never stuffed.

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from ...dissectors.lazy_regex import LazyPattern
from .header import read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .header import HeaderReport

__all__ = ["EncodingFault", "MimeBody"]

_BATCH = 1 << 15
_MAX_PART_HEADER = 1 << 16  # a longer header of a part is not read
_MAX_DEPTH = 32  # levels of nested multiparts
_MAX_BOUNDARY = 70  # RFC 2046 §5.1.1

_BLANKS = b" \t\r\n"
_NOT_COUNTED = (b"\n", b"\r", b" ", b"\t", b".")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = LazyPattern(rb"[^A-Za-z0-9+/= \t\r\n]")
_AFTER_PADDING = LazyPattern(rb"=[= \t\r\n]*+[A-Za-z0-9+/]")
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


class MimeBody:
    """Takes the bytes of a body as sent. ``fault``: the first fault of their encoding."""

    __slots__ = (
        "_base",
        "_batch",
        "_blocks",
        "_body_place",
        "_carry",
        "_count",
        "_delimiters",
        "_encoding",
        "_header",
        "_padded",
        "_places",
        "_total",
        "fault",
    )

    def __init__(self, header: HeaderReport, place: tuple[int, int, int]) -> None:
        """``header``: that of the message. ``place``: offset, frame and time of its end."""
        self.fault: EncodingFault | None = None
        self._blocks: list[bytes] = []
        self._batch = 0  # bytes in _blocks
        self._carry = b""  # the unfinished line
        self._base = 0  # bytes of the body before _carry
        self._total = 0
        # Offset in the body; offset, frame and time in the stream.
        self._places: list[tuple[int, int, int, int]] = [(0, *place)]
        self._delimiters: list[bytes] = []
        self._encoding = b""
        self._header: bytearray | None = None  # of the part that starts
        self._body_place = place  # where the body of the part starts
        self._count = 0  # base64 characters in that body
        self._padded = False
        if header.encoded:
            self._start_part(header, 0)

    @property
    def watched(self) -> bool:
        """Whether the next bytes must be checked."""
        return self.fault is None and bool(self._delimiters or self._encoding)

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
        while at < cut and self.watched:
            end, after, level, last = self._next_delimiter(data, at, cut)
            depth = len(self._delimiters)
            used = self._check_text(data, at, end)
            if len(self._delimiters) > depth:
                at = used  # a nested multipart: its delimiters come first
                continue
            if level < 0:
                break
            self._end_body()
            del self._delimiters[level + (not last) :]
            self._encoding = b""
            self._header = None if last else bytearray()
            at = after
        self._carry = data[cut:]
        self._base += cut
        keep = bisect_right(self._places, self._base, key=lambda place: place[0]) - 1
        del self._places[:keep]

    def _next_delimiter(self, data: bytes, start: int, stop: int) -> tuple[int, int, int, bool]:
        """Return the next delimiter line (RFC 2046 §5.1.1): its start, its end, its level (-1: there is none), and
        whether it is the last of its multipart."""
        best = (stop, stop, -1, False)
        for level, delimiter in enumerate(self._delimiters):
            at = data.find(delimiter, start, best[0])
            while at >= 0:
                end = data.find(b"\n", at, stop) + 1 or stop
                rest = data[at + len(delimiter) : end].rstrip(_BLANKS)
                if rest in (b"", b"--") and (at == 0 or data[at - 1] == 0x0A):
                    best = (at, end, level, bool(rest))
                    break
                at = data.find(delimiter, at + 1, best[0])
        return best

    def _check_text(self, data: bytes, start: int, stop: int) -> int:
        """Check the text between two delimiters, or a part of it. Returns where the body in it starts."""
        header = self._header
        if header is not None:
            known = len(header)
            header += data[start:stop]
            found = _EMPTY_LINE.search(header, max(0, known - 3))
            if found is None:
                if len(header) > _MAX_PART_HEADER:
                    self._header = None
                return stop
            self._header = None
            start += found.end() - known
            self._start_part(read_header(bytes(header[: found.start()])), self._base + start)
        if start >= stop or not self.watched:
            return start
        if self._encoding == b"base64":
            self._check_base64(data[start:stop], start)
        elif self._encoding == b"quoted-printable":
            wrong = _BAD_ESCAPE.search(data, start, stop)
            if wrong is not None:
                self._set_fault(
                    'quoted-printable text contains "=" without two hexadecimal digits',
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
                        "base64 text contains a character outside its alphabet", self._place(self._base + start + at)
                    )
                    return
        if odd or self._padded:
            inside = _AFTER_PADDING.search(b"=" + text if self._padded else text)
            if inside is not None:
                self._set_fault(
                    "base64 text continues after its padding", self._place(self._base + start + inside.start())
                )
                return
            self._padded = self._padded or b"=" in odd
        # all characters except blanks and stuffed dots; count() is faster than another translate()
        self._count += len(text) - sum(map(text.count, _NOT_COUNTED))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _start_part(self, header: HeaderReport, at: int) -> None:
        """Start the body of the message or of a part, which has this header. The body starts at ``at``."""
        self._encoding, self._body_place, self._count, self._padded = b"", self._place(at), 0, False
        kind = header.content_type
        if kind[:10].lower() == b"multipart/":
            self._start_multipart(kind)
        else:
            encoding = header.transfer_encoding.lower()
            if encoding in {b"base64", b"quoted-printable"}:
                self._encoding = encoding

    def _start_multipart(self, kind: bytes) -> None:
        found = _BOUNDARY.search(kind)
        if found is None:
            if b"boundary*" not in kind.lower():  # RFC 2231 §3: a boundary in pieces, which is not used in practice
                self._set_fault("a multipart has no boundary", self._body_place)
            return
        boundary = found[2] if found[1] is None else found[1].replace(b"\\", b"")
        if not boundary or len(boundary) > _MAX_BOUNDARY:
            self._set_fault(
                f"the boundary of a multipart has {len(boundary)} characters; 1 to {_MAX_BOUNDARY} are allowed",
                self._body_place,
            )
        elif len(self._delimiters) < _MAX_DEPTH:
            self._delimiters.append(b"--" + boundary)

    def _end_body(self) -> None:
        if self._encoding == b"base64" and self._count % 4:
            self._set_fault(
                f"base64 text has {self._count} characters, which is not a multiple of four", self._body_place
            )

    def _place(self, at: int) -> tuple[int, int, int]:
        """Return offset, frame and time of the body's byte ``at``."""
        known = max(0, bisect_right(self._places, at, key=lambda place: place[0]) - 1)
        before, offset, frame, time_ns = self._places[known]
        return offset + at - before, frame, time_ns

    def _set_fault(self, what: str, place: tuple[int, int, int]) -> None:
        if self.fault is None:
            self.fault = EncodingFault(what, *place)

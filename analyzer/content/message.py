"""The content of one message: what is stored, what the header says, which octets break a rule."""

# Theory
# ------
# `Content` is what readers feed and what rules and writers read. The parts that it uses do not know each other:
#
#     bytes of the client → BlockCutter → blocks → HeaderSection → read_header
#                                                → LineMeter, octet checks, MimeBody, SHA-256, sink
#
# Most messages come in one to three segments and have no fault. So the usual message is one block, and what a rule may
# ask about is a plain attribute, which keeps its default unless a check found something. Facts that need the whole
# message (the header section, if no empty line ends it; the encoding of the body) are there after the end or `flush`.

from __future__ import annotations

from bisect import bisect_right
from hashlib import sha256
from operator import itemgetter
from typing import Any

from msgspec import Struct, field

from .blocks import END_OF_DATA, BlockCutter
from .chunk_dots import ChunkDots
from .glued_dot import LAST_OCTETS, GluedDot
from .header import HeaderReport, find_field, read_header
from .header_section import HeaderSection
from .line_lengths import LineMeter, Occurrence
from .mime import EncodingFault, MimeBody, UntrueLabel, label_of_whole
from .octet_checks import (
    BARE_CR,
    BARE_LF,
    EIGHT_BIT,
    LONE_DOT,
    LOOKALIKE_REACH,
    NUL,
    ContentSink,
    add,
    ends_in_lookalike,
    ends_in_pairs,
    find_lookalike,
    sent_length,
)

__all__ = ["Content"]

# In the worst case, each byte that may be needed again came in its own segment.
_SEGMENTS = LOOKALIKE_REACH + len(END_OF_DATA)


class Content(Struct, eq=False):
    """The content of one message: DATA up to its end mark, or all BDAT chunks.

    ``offset``, ``frame``, ``time_ns``: where it starts. ``size``: octets as the receiver stores them (dot-stuffing
    removed, end mark not counted). ``lines``: LFs in it. Occurrences are None if there is nothing to report. ``sink``:
    receives the octets themselves.
    """

    offset: int
    frame: int
    time_ns: int
    chunked: bool
    header_limit: int
    sink: ContentSink | None = None

    has_started: bool = False  # any byte has come
    complete: bool = False
    cut: bool = False  # it ended at an end that only the server saw
    size: int = 0
    lines: int = 0
    missing: int = 0

    in_header: bool = True  # the empty line after the header section has not come
    header: bytes = b""  # the section without the empty line, at most the limit's bytes
    header_cut: bool = False  # it is longer
    header_ends_in_crlf: bool = False  # its last line does, if the empty line was seen
    report: HeaderReport | None = None  # None if the section is too long to be kept
    subject: bytes | None = None
    message_id: bytes | None = None

    ascii: bool = True  # no byte above 127 so far
    header_8bit: Occurrence | None = None
    body_8bit: Occurrence | None = None
    nul: Occurrence | None = None
    bare_lf: Occurrence | None = None
    bare_cr: Occurrence | None = None
    lone_dot: Occurrence | None = None
    long_line: Occurrence | None = None  # longer than 1000 octets
    longest: int = 0  # octets of the longest such line
    lookalike: Occurrence | None = None  # of the end of data
    lookalike_form: bytes = b""  # its bytes
    since_lookalike: bytes | bytearray = b""  # raw bytes after it
    encoding_fault: EncodingFault | None = None  # the first fault of an encoding in the body
    untrue_label: UntrueLabel | None = None  # the first part that is not what its transfer encoding says
    stuffed_dots: Occurrence | None = None  # in chunks, at the start of each line that begins with a dot
    glued_dot: GluedDot | None = None  # of mail data that never ended
    declared: int = 0  # ``Flaw`` bits of what MAIL declared and the message shows to be wrong
    long_line_judged: bool = False  # before the end of the message
    part_header_8bit: bool = False  # the header of a part may have a byte above 127

    segments: list[tuple[int, int, int]] = []  # offset, frame and time of the next and the last frames
    last_octets: bytes = b"\r\n"  # that were checked, for matches across blocks

    _position: int = 0  # stream offset of the next byte to check
    _unsent: int = 0  # bytes at the front of the first block that were never sent
    _blocks: BlockCutter = None  # type: ignore[assignment]  # see __post_init__
    _section: HeaderSection = None  # type: ignore[assignment]
    _meter: LineMeter = None  # type: ignore[assignment]
    _mime: MimeBody | None = None
    _hash: Any = field(default_factory=sha256)
    _dots: ChunkDots | None = None
    _stored_end: int = 0  # octets of the content if the look-alike is its end

    def __post_init__(self) -> None:
        self._blocks = BlockCutter(chunked=self.chunked)
        self._section = HeaderSection(self.header_limit)
        self._meter = LineMeter(stuffed=not self.chunked)
        if self.chunked:
            self._dots = ChunkDots()
        self._unsent = len(self._blocks.kept)
        self._position = self.offset - self._unsent

    # -- the bytes of the client ------------------------------------------------------------------------------------

    def feed(self, data: bytes, frame: int, time_ns: int) -> int:
        """Take DATA bytes. Returns how many belong to the message with its end mark, -1 if it has not ended."""
        blocks = self._blocks
        self._note_segment(frame, time_ns)
        block, used = blocks.take(data, join=not self.in_header)
        if block:
            self._check(block, frame, time_ns)
        if used >= 0:
            self.complete = True
            self._finish()
            self.last_octets = b""  # a long session has many messages
        return used

    def feed_chunk(self, data: bytes, frame: int, time_ns: int) -> None:
        """Take octets of a BDAT chunk (RFC 3030 §2): without dot-stuffing or end mark, stored as they are."""
        blocks = self._blocks
        self._note_segment(frame, time_ns)
        block = blocks.take_chunk(data, join=not self.in_header)
        if block:
            self._check(block, frame, time_ns)

    def _note_segment(self, frame: int, time_ns: int) -> None:
        """Remember where the next bytes come from: the bytes of one frame may come one by one."""
        segments, blocks = self.segments, self._blocks
        if not self.has_started:
            self.frame, self.time_ns, self.has_started = frame, time_ns, True
        if not segments or segments[-1][1] != frame:
            segments.append((self._position + len(blocks.kept) + blocks.waiting, frame, time_ns))

    def settle(self) -> None:
        """Check the segments that wait. Until this is called, the results may not cover the last segments of the
        body."""
        block = self._blocks.settle()
        if block:
            self._check(block, *self.segments[-1][1:])

    def lose(self, length: int) -> None:
        """``length`` octets of the content are not in the capture."""
        self._check_kept()
        self.has_started = True
        self.missing += length
        self.size += length
        self._position += length
        self.last_octets = b""
        if self.sink is not None:
            self.sink.lose(length)

    def flush(self) -> None:
        """No more bytes come: the bytes that were kept back are content."""
        self._check_kept()
        self._finish()

    def end_early(self) -> bytes:
        """End the content at a look-alike, as the server did. Returns the bytes after it, which are not content."""
        self.settle()
        kept_back, blocks = b"", self._blocks
        if self.lookalike is None:
            kept_back, blocks.kept = blocks.kept[2:], blocks.kept[:2]
        self.flush()
        if kept_back:  # CRLF "." CR: this could have become the real end
            self.lookalike_form = b"\r\n" + kept_back
            place = max(0, self._position - 2)
            spot = self.lookalike = Occurrence(place, *self.where(place), 1)
            if self.bare_cr is None:
                place = spot.offset + len(self.lookalike_form) - 1
                self.bare_cr = Occurrence(place, *self.where(place), 1)
        elif self.lookalike is not None:
            self.size = self._stored_end
        if self.sink is not None:
            self.sink.cut(self.size, kept_back)
        self.cut = self.complete = True
        return bytes(self.since_lookalike)

    def move_to(self, offset: int) -> None:
        """Move to the next chunk, at ``offset`` of the client's stream (the BDAT line between is not content)."""
        self.settle()
        self._position = offset - len(self._blocks.kept)

    def ends_like(self) -> bool:
        """Return whether the bytes so far end with a look-alike of the end of data."""
        if self.lookalike is not None and not self.since_lookalike:
            return True
        return ends_in_lookalike(self.last_octets[-LOOKALIKE_REACH:] + self._blocks.kept)

    # -- results ----------------------------------------------------------------------------------------------------

    @property
    def end_offset(self) -> int:
        """Offset in the client's stream after the last byte that was checked."""
        return self._position + self._unsent

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return self._section.weight + self._blocks.waiting

    @property
    def sha256(self) -> str | None:
        """Hash of the content as stored, None if bytes of it are missing."""
        digest: str = self._hash.hexdigest()
        return None if self.missing or self.cut else digest

    def field(self, name: bytes) -> bytes | None:
        """Return the body of the first header field ``name``, unfolded, None if there is none (RFC 5322 §2.2)."""
        return find_field(self.header, name)

    def place_in_header(self, at: int) -> tuple[int, int, int]:
        """Return offset, frame and time of the byte ``at`` of the header section."""
        return self._section.place(at) or (self.offset + at, self.frame, self.time_ns)

    def where(self, offset: int) -> tuple[int, int]:
        """Return frame and time of the segment with the byte at ``offset``, if that segment is still remembered."""
        segments = self.segments
        if not segments:
            return self.frame, self.time_ns
        _, frame, time_ns = segments[max(0, bisect_right(segments, offset, key=_offset) - 1)]
        return frame, time_ns

    # -- checks -----------------------------------------------------------------------------------------------------

    def _check(self, block: bytes, frame: int, time_ns: int) -> None:
        """Check a block of the cutter, whose last bytes came in this frame."""
        position, unsent = self._position, self._unsent
        stored = sent = block
        if not self.chunked and block.rfind(b"\r\n.") >= 0:  # faster than `in`
            stored = block.replace(b"\r\n.", b"\r\n")
            self.lone_dot = add(self.lone_dot, LONE_DOT, block, position, self.where)
        if self._dots is not None:
            self._dots.feed(block, position, self.where)
        if unsent:
            self._unsent = 0
            stored, sent, position = stored[unsent:], block[unsent:], position + unsent
        self._position = position + len(sent)
        self.size += len(stored)
        self._hash.update(stored)
        if self.sink is not None:
            self.sink.take(stored, sent)
        self.lines += sent.count(b"\n")
        clean = ends_in_pairs(sent) and b"\0" not in sent
        split = 0  # where the body starts
        if self.in_header:
            used = self._section.take(stored, (position, frame, time_ns), clean=clean)
            if used < 0:
                split = len(sent)
                if self._section.cut:
                    self._read_header()
            else:
                split = used if len(stored) == len(sent) else sent_length(block, used + unsent) - unsent
                self._read_header()
                if self.report is not None and self.report.encoded:
                    self._mime = MimeBody(self.report, (position + split, frame, time_ns))
        if self._mime is not None and self._mime.watched and split < len(sent):
            self._mime.feed(sent[split:], position + split, self.segments)
        if not sent.isascii():
            self._check_high(sent, split, position)
        meter = self._meter
        meter.feed(sent, position, self.where)
        if meter.first is not None:
            self.long_line, self.longest = meter.first, meter.longest
        if not clean or self.nul is not None or self.bare_lf is not None or self.bare_cr is not None:
            self._check_unusual(sent, position, clean=clean)
        self.last_octets = sent[-LAST_OCTETS:] if len(sent) >= LAST_OCTETS else (self.last_octets + sent)[-LAST_OCTETS:]
        if len(self.segments) > _SEGMENTS:
            del self.segments[:-_SEGMENTS]

    def _check_high(self, sent: bytes, split: int, position: int) -> None:
        """Check a block with bytes above 127. ``split``: where the body starts in it."""
        self.ascii = False
        self.header_8bit = add(self.header_8bit, EIGHT_BIT, sent[:split], position, self.where)
        first = self.body_8bit is None
        spot = self.body_8bit = add(self.body_8bit, EIGHT_BIT, sent[split:], position + split, self.where)
        if first and spot is not None and self.report is not None:
            octet = sent[spot.offset - position]
            self.untrue_label = label_of_whole(self.report, octet, (spot.offset, spot.frame, spot.time_ns))

    def _check_unusual(self, sent: bytes, position: int, *, clean: bool) -> None:
        """Check a block with NULs or line ends that are not CRLF, or a clean one after such a block."""
        if not clean:
            self.nul = add(self.nul, NUL, sent, position, self.where)
            self.bare_lf = add(self.bare_lf, BARE_LF, sent, position, self.where)
            self.bare_cr = add(self.bare_cr, BARE_CR, sent, position, self.where)
        if self.lookalike is not None:
            if len(self.since_lookalike) < self.header_limit:
                self.since_lookalike += sent
            return
        before = self.last_octets[-LOOKALIKE_REACH:]
        found = None if self.chunked else find_lookalike(before, sent, LOOKALIKE_REACH if clean else None)
        if found is not None:
            place = max(0, position + found.start)  # the CRLF of DATA may not have been captured
            self.lookalike = Occurrence(place, *self.where(place), 1)
            self.lookalike_form = found.form
            self.since_lookalike = bytearray(found.after)  # it grows with each block
            self._stored_end = self.size - found.left

    def _check_kept(self) -> None:
        """Check all that waits, and the bytes that were kept back."""
        self.settle()
        kept = self._blocks.finish()
        if kept:
            self._check(kept, self.frame, self.time_ns)

    def _read_header(self) -> None:
        """Read the header section, which is over."""
        section = self._section
        self.in_header = False
        self.header, self.header_ends_in_crlf = bytes(section.octets), section.ends_in_crlf
        self.header_cut = section.cut
        if section.cut:
            self.subject, self.message_id = self.field(b"Subject"), self.field(b"Message-ID")
        else:
            report = self.report = read_header(self.header)
            self.subject, self.message_id = report.subject, report.message_id

    def _finish(self) -> None:
        """Find the facts that need the whole message."""
        if self.in_header:
            self._read_header()
        if self._dots is not None:
            self.stuffed_dots = self._dots.stuffed()
        if self._mime is not None and not self.missing:
            self._mime.finish()
            self.encoding_fault, self.part_header_8bit = self._mime.fault, self._mime.header_8bit
            self.untrue_label = self.untrue_label or self._mime.untrue_label


_offset = itemgetter(0)

"""Find the end of the mail data, and collect the content for the checks."""

# Theory
# ------
# RFC 5321 §4.1.1.4 ends mail data with CRLF "." CRLF and nothing else. The mark must be found across the borders of
# segments, so the bytes at the end that may be part of it (at most four) are kept back. A block that is passed to
# `octet_checks` never splits a CRLF, and always contains the line end before a leading dot. The first line is treated
# as if a CRLF came before it, so "." CRLF alone is an empty message.
#
# The segments of a body are joined to blocks of some KB before they are checked. A segment without a dot cannot end the
# content, so it is only appended to a list.

from __future__ import annotations

from .line_lengths import Occurrence
from .octet_checks import END_OF_DATA as _END
from .octet_checks import LOOKALIKE_END, OctetChecks

__all__ = ["Content"]

BATCH = 65_536  # bytes of a body that are checked at once
MAX_PARTS = 256  # most segments that are joined for that


class Content(OctetChecks):
    """The content of one message: DATA up to its end mark, or all BDAT chunks."""

    _pending = 0  # bytes in _parts
    _dot_near_end = True  # the dot of the end mark may be in the last bytes so far

    def __init__(self, offset: int, frame: int, time_ns: int, *, chunked: bool, header_limit: int) -> None:
        super().__init__(offset, frame, time_ns, chunked=chunked, header_limit=header_limit)
        self._parts: list[bytes] = []  # segments of the body that wait to be checked together
        self._carry = b"" if chunked else b"\r\n"
        self._fresh = not chunked  # no byte has come yet

    def feed(self, data: bytes, frame: int, time_ns: int) -> int:
        """Take DATA bytes. Returns how many belong to the message with its end mark, -1 if it has not ended."""
        if self._fresh:
            self._fresh = False
            self.frame, self.time_ns = frame, time_ns
        pending = self._pending
        self._segments.append((self._position + len(self._carry) + pending - self._virtual, frame, time_ns))
        if not self._in_header:
            self._parts.append(data)
            self._pending = pending = pending + len(data)
            ends = False
            if self._dot_near_end or b"." in data:
                self._dot_near_end = b"." in data[-4:] or len(data) < 4
                ends = _END in data or _END in self._tail() + data[:4]
            if not ends:
                if pending >= BATCH or len(self._parts) >= MAX_PARTS:
                    self.settle()
                return -1
            data_length = len(data)
            block = self._joined()
        else:
            data_length = len(data)
            block = self._carry + data
        end = block.find(_END)
        if end >= 0:
            self._carry = b""
            self._check_block(block[: end + 2], frame, time_ns)
            self.complete = True
            return end + len(_END) - (len(block) - data_length)
        self._keep_back(block, frame, time_ns)
        return -1

    def feed_chunk(self, data: bytes, frame: int, time_ns: int) -> None:
        """Take octets of a BDAT chunk (RFC 3030 §2): without dot-stuffing or end mark, stored as they are."""
        self._segments.append((self._position + len(self._carry) + self._pending, frame, time_ns))
        self._parts.append(data)
        self._pending += len(data)
        if self._in_header or self._pending >= BATCH or len(self._parts) >= MAX_PARTS:
            self.settle()

    def settle(self) -> None:
        """Check the segments that wait. Until this is called, the results may not cover the last segments of the
        body."""
        if self._parts:
            _, frame, time_ns = self._segments[-1]
            block = self._joined()
            if self.chunked:
                self._carry = b"\r" if block.endswith(b"\r") else b""
                self._check_block(block[:-1] if self._carry else block, frame, time_ns)
            else:
                self._keep_back(block, frame, time_ns)

    def _tail(self) -> bytes:
        """Return the last bytes before the newest segment, where the end mark may start."""
        last = self._parts[-len(_END) : -1]
        return (b"".join(last) if len(last) == len(_END) - 1 else b"".join((self._carry, *last)))[-len(_END) + 1 :]

    def _joined(self) -> bytes:
        block = b"".join((self._carry, *self._parts))
        self._parts, self._pending = [], 0
        return block

    def _keep_back(self, block: bytes, frame: int, time_ns: int) -> None:
        """Check all of ``block`` except the bytes at its end that may be the start of the end mark."""
        keep = _unfinished(block)
        self._carry = block[len(block) - keep :] if keep else b""
        if len(block) > keep:
            self._check_block(block[: len(block) - keep] if keep else block, frame, time_ns)

    def lose(self, length: int) -> None:
        """``length`` octets of the content are not in the capture."""
        self.flush()
        self.missing += length
        self.size += length
        self._position += length
        self._back = b""
        if self.sink is not None:
            self.sink.lose(length)

    def flush(self) -> None:
        """No more bytes come: the bytes that were kept back are content."""
        self.settle()
        if self._carry:
            carry, self._carry = self._carry, b""
            self._check_block(carry, self.frame, self.time_ns)

    def end_early(self) -> bytes:
        """End the content at a look-alike, as the server did. Returns the bytes after it, which are not content."""
        self.settle()
        kept_back = b""
        if self.lookalike is None:
            kept_back, self._carry = self._carry[2:], self._carry[:2]
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
        return self.since_lookalike

    def move_to(self, offset: int) -> None:
        """Move to the next chunk, at ``offset`` of the client's stream (the BDAT line between is not content)."""
        self.settle()
        self._position = offset - len(self._carry)

    @property
    def has_started(self) -> bool:
        """Whether any byte has come."""
        return bool(self.size or self._pending)

    @property
    def end_offset(self) -> int:
        """Offset in the client's stream after the last byte that was checked."""
        return self._position

    @property
    def reach(self) -> tuple[int, int]:
        """Offset in the client's stream after all bytes so far, with the end mark, and the time of the last byte."""
        offset = self._position + len(self._carry) - self._virtual + self._pending
        return offset + len(_END) - 2 if self.complete else offset, self._segments[-1][2]

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return len(self._header) + self._pending + 32 * len(self._header_parts)

    def ends_like(self) -> bool:
        """Return whether the bytes so far end with a look-alike of the end of data."""
        if self.lookalike is not None and not self.since_lookalike:
            return True
        return LOOKALIKE_END.search(self._back + self._carry) is not None


def _unfinished(block: bytes) -> int:
    """Return how many bytes at the end of ``block`` may be the start of the end mark."""
    last = block[-1:]
    if last not in (b"\r", b"\n", b"."):
        return 0
    for length in (4, 3, 2, 1):
        if block.endswith(_END[:length]):
            return length
    return 0

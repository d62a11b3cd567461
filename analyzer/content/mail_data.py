"""Mail data on its way to the receiver: where it ends."""

# Theory
# ------
# RFC 5321 §4.1.1.4 ends mail data with CRLF "." CRLF and nothing else. The reader takes segments as they come and must
# find that mark across their borders, so it keeps back the bytes that could still become part of it (at most four);
# whatever it passes on (to `mailtext`) never splits a CRLF and always has the line end in front of a leading dot. The
# first line is treated as if a CRLF stood before it, so that "." CRLF alone is an empty message.
#
# What comes of a body is joined to blocks of some KB before it is judged: a segment without a dot ends nothing, and
# takes no more than a place on a list.

from __future__ import annotations

from .line_lengths import Occurrence
from .octet_checks import END_OF_DATA as _END
from .octet_checks import LOOKALIKE_END, OctetChecks

__all__ = ["Content"]

BATCH = 65_536  # bytes of a body that are judged at once
MAX_PARTS = 256  # segments that these may come in


class Content(OctetChecks):
    """The content of one message: DATA up to its end mark, or BDAT chunks joined."""

    _pending = 0  # bytes in _parts
    _dot_near_end = True  # the dot of the end mark may stand in the last bytes that came

    def __init__(self, offset: int, frame: int, time_ns: int, *, chunked: bool, header_limit: int) -> None:
        super().__init__(offset, frame, time_ns, chunked=chunked, header_limit=header_limit)
        self._parts: list[bytes] = []  # segments of the body that wait to be judged together
        self._carry = b"" if chunked else b"\r\n"
        self._fresh = not chunked  # no byte has come

    def feed(self, data: bytes, frame: int, time_ns: int) -> int:
        """Take DATA bytes; return how many belong to the message with its end mark, -1: all, and it has not ended."""
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
        """Take octets of a BDAT chunk (RFC 3030 §2): no stuffing, no end mark; they are stored as they are."""
        self._segments.append((self._position + len(self._carry) + self._pending, frame, time_ns))
        self._parts.append(data)
        self._pending += len(data)
        if self._in_header or self._pending >= BATCH or len(self._parts) >= MAX_PARTS:
            self.settle()

    def settle(self) -> None:
        """Judge what has come: until then what is known of the body may lag behind by some segments."""
        if self._parts:
            _, frame, time_ns = self._segments[-1]
            block = self._joined()
            if self.chunked:
                self._carry = b"\r" if block.endswith(b"\r") else b""
                self._check_block(block[:-1] if self._carry else block, frame, time_ns)
            else:
                self._keep_back(block, frame, time_ns)

    def _tail(self) -> bytes:
        """The last bytes before those that came just now, where the end mark may begin."""
        last = self._parts[-len(_END) : -1]
        return (b"".join(last) if len(last) == len(_END) - 1 else b"".join((self._carry, *last)))[-len(_END) + 1 :]

    def _joined(self) -> bytes:
        block = b"".join((self._carry, *self._parts))
        self._parts, self._pending = [], 0
        return block

    def _keep_back(self, block: bytes, frame: int, time_ns: int) -> None:
        """Pass on all of ``block`` but what may be the beginning of the end mark."""
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
        """No more bytes come: what was kept back is content."""
        self.settle()
        if self._carry:
            carry, self._carry = self._carry, b""
            self._check_block(carry, self.frame, self.time_ns)

    def end_early(self) -> bytes:
        """The server took a look-alike for the end of data. Return what was sent behind it; it is no content."""
        self.settle()
        kept_back = b""
        if self.lookalike is None:
            kept_back, self._carry = self._carry[2:], self._carry[:2]
        self.flush()
        if kept_back:  # CRLF "." CR: it might have become the true end
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
        """The next chunk begins at ``offset`` of the client's stream (the BDAT line between is no content)."""
        self.settle()
        self._position = offset - len(self._carry)

    @property
    def has_started(self) -> bool:
        """Whether any byte has come."""
        return bool(self.size or self._pending)

    @property
    def end_offset(self) -> int:
        """Offset in the client's stream behind the last byte that was judged."""
        return self._position

    @property
    def reach(self) -> tuple[int, int]:
        """Offset in the client's stream behind all that came, the end mark included, and the time of the last of it."""
        offset = self._position + len(self._carry) - self._virtual + self._pending
        return offset + len(_END) - 2 if self.complete else offset, self._segments[-1][2]

    @property
    def weight(self) -> int:
        """Bytes that are kept, about."""
        return len(self._header) + self._pending + 32 * len(self._header_parts)

    def ends_like(self) -> bool:
        """Whether what was sent so far ends with a look-alike of the end of data."""
        if self.lookalike is not None and not self.since_lookalike:
            return True
        return LOOKALIKE_END.search(self._back + self._carry) is not None


def _unfinished(block: bytes) -> int:
    """How many bytes at the end of ``block`` may be the beginning of the end mark."""
    last = block[-1:]
    if last not in (b"\r", b"\n", b"."):
        return 0
    for length in (4, 3, 2, 1):
        if block.endswith(_END[:length]):
            return length
    return 0

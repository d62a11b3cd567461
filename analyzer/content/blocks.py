"""Cut the bytes of a message into blocks for the checks, and find the end of the mail data."""

# Theory
# ------
# RFC 5321 §4.1.1.4 ends mail data with CRLF "." CRLF and nothing else. The mark must be found across the borders of
# segments, so the bytes at the end that may be part of it (at most four) are kept back. A block never splits a CRLF,
# and always contains the line end before a leading dot. The first line is treated as if a CRLF came before it, so "."
# CRLF alone is an empty message.
#
# The segments of a body are joined to blocks of some KB. A segment without a dot cannot end the mail data, so it is
# only appended to a list.

from __future__ import annotations

__all__ = ["END_OF_DATA", "BlockCutter"]

END_OF_DATA = b"\r\n.\r\n"  # RFC 5321 §4.1.1.4
BATCH = 65_536  # bytes of a body that are checked at once
MAX_PARTS = 256  # most segments that are joined for that


class BlockCutter:
    """Takes the bytes of mail data, or of BDAT chunks (RFC 3030 §2: without an end mark), and gives blocks of them.

    ``kept``: bytes at the end that the next block starts with. ``waiting``: number of bytes after them that wait for
    more.
    """

    __slots__ = ("_chunked", "_dot_near_end", "_parts", "kept", "waiting")

    def __init__(self, *, chunked: bool) -> None:
        self.kept = b"" if chunked else b"\r\n"
        self.waiting = 0
        self._chunked = chunked
        self._parts: list[bytes] = []
        self._dot_near_end = True  # the dot of the end mark may be in the last bytes so far

    def take(self, data: bytes, *, join: bool) -> tuple[bytes, int]:
        """Take the next bytes of mail data. ``join``: they may wait for more. Returns a block, empty if there is none
        yet, and how many bytes of ``data`` belong to the message with its end mark, -1 if it has not ended."""
        if join:
            self._wait(data)
            if not self._may_end(data):
                return self.settle() if self._full else b"", -1
            block = self._joined()
        else:
            block = self.kept + data
        end = block.find(END_OF_DATA)
        if end < 0:
            return self._without_end(block), -1
        self.kept = b""
        return block[: end + 2], end + len(END_OF_DATA) - (len(block) - len(data))

    def take_chunk(self, data: bytes, *, join: bool) -> bytes:
        """Take the next bytes of a chunk. Returns a block, empty if there is none yet."""
        self._wait(data)
        return b"" if join and not self._full else self.settle()

    def settle(self) -> bytes:
        """Return the bytes that wait as a block, empty if there are none."""
        return self._without_end(self._joined()) if self._parts else b""

    def finish(self) -> bytes:
        """No more bytes come: return those that were kept back."""
        kept, self.kept = self.kept, b""
        return kept

    def _wait(self, data: bytes) -> None:
        self._parts.append(data)
        self.waiting += len(data)

    @property
    def _full(self) -> bool:
        return self.waiting >= BATCH or len(self._parts) >= MAX_PARTS

    def _may_end(self, data: bytes) -> bool:
        """Return whether the end mark may end in ``data``, the newest part."""
        if not self._dot_near_end and b"." not in data:
            return False
        self._dot_near_end = b"." in data[-4:] or len(data) < 4
        return END_OF_DATA in data or END_OF_DATA in self._tail() + data[:4]

    def _tail(self) -> bytes:
        """Return the last bytes before the newest part, where the end mark may start."""
        last = self._parts[-len(END_OF_DATA) : -1]
        before = last if len(last) == len(END_OF_DATA) - 1 else (self.kept, *last)
        return b"".join(before)[-len(END_OF_DATA) + 1 :]

    def _joined(self) -> bytes:
        block = b"".join((self.kept, *self._parts))
        self._parts, self.waiting = [], 0
        return block

    def _without_end(self, block: bytes) -> bytes:
        """Keep the bytes at the end of ``block`` that may be the start of the end mark, or of a CRLF. Return the
        rest."""
        self.kept = b""
        if block[-1:] in _LAST_BYTES:
            for start in _STARTS[-1:] if self._chunked else _STARTS:
                if block.endswith(start):
                    self.kept = start
                    return block[: -len(start)]
        return block


_STARTS = tuple(END_OF_DATA[:length] for length in (4, 3, 2, 1))
_LAST_BYTES = (b"\r", b"\n", b".")  # of these

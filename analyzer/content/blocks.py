"""Cut the bytes of a message into blocks for the checks, and find the end of the mail data."""

# Theory
# ------
# RFC 5321 §4.1.1.4 ends mail data with CRLF "." CRLF and nothing else. The mark must be found across the borders of
# segments, so the bytes at the end that may be part of it (at most four) are kept back. A block never splits a CRLF,
# and always contains the line end before a leading dot. The first line is treated as if a CRLF came before it, so "."
# CRLF alone is an empty message.
#
# The segments of a body are joined to blocks of some KB before they are checked.

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

    __slots__ = ("_chunked", "_last", "_parts", "kept", "waiting")

    def __init__(self, *, chunked: bool) -> None:
        self.kept = b"" if chunked else b"\r\n"
        self.waiting = 0
        self._chunked = chunked
        self._parts: list[bytes] = []
        self._last = self.kept  # the last bytes so far, where the end mark may start

    def take(self, data: bytes, *, join: bool) -> tuple[bytes, int]:
        """Take the next bytes of mail data. ``join``: they may wait for more. Returns a block, empty if there is none
        yet, and how many bytes of ``data`` belong to the message with its end mark, -1 if it has not ended."""
        border = self._last + data[:4]
        at = border.find(END_OF_DATA)
        if at >= 0:
            at -= len(self._last)
        else:
            at = data.find(END_OF_DATA)
            if at < 0:
                self._last = data[-4:] if len(data) >= 4 else border[-4:]
                return self.take_chunk(data, join=join), -1
        self._parts.append(data)
        block = self._joined()
        self.kept = b""
        return block[: at + 2 - len(data)], at + len(END_OF_DATA)

    def take_chunk(self, data: bytes, *, join: bool) -> bytes:
        """Take the next bytes of a chunk. Returns a block, empty if there is none yet."""
        self._parts.append(data)
        self.waiting += len(data)
        waits = join and self.waiting < BATCH and len(self._parts) < MAX_PARTS
        return b"" if waits else self.settle()

    def settle(self) -> bytes:
        """Return the bytes that wait as a block, empty if there are none."""
        return self._without_end(self._joined()) if self._parts else b""

    def finish(self) -> bytes:
        """No more bytes come: return those that were kept back."""
        kept, self.kept, self._last = self.kept, b"", b""
        return kept

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

"""Read the bytes of an input one block at a time: regular files, pipes, and gzip over either."""

# Theory
# ------
# A reader parses `Window.data` and calls `advance` with the number of bytes that it used. There are two ways to go on:
#
# - A regular file is read with pread from the position where the reader stopped. The few bytes of a record that crosses
#   the end of the block are read again, which is cheaper than joining two blocks. (mmap is not faster, counts the whole
#   file as resident memory, and the process is killed if another program truncates the file in the meantime.)
# - Any other input returns the bytes that it has. The unused end of the last block is put in front of them. One read is
#   enough to continue, so the frames of a live pipe are seen when they arrive.
#
# Memory use is one block, or one record if that is longer. Readers reject lengths above MAX_RECORD before they ask for
# the bytes.

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from ..limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BLOCK", "GZIP_MAGIC", "MAX_RECORD", "PAD", "FileWindow", "Gunzip", "StreamWindow", "Window"]

BLOCK = 1 << 20
"""Bytes to ask for at a time: large enough to make the work per block negligible, small in the budget of 80 MB."""

MAX_RECORD = DEFAULT_LIMITS.record_bytes
"""The longest record that is accepted, in bytes, if no other limit is set."""

PAD = 128
"""Zero bytes after the real ones, so that a struct of fixed size can be unpacked from a short record at the end."""

GZIP_MAGIC = b"\x1f\x8b"

_ZEROS = bytes(PAD)


class Window:
    """A range of the input: ``data[:size]`` is real, ``data[0]`` is byte number ``base`` of the uncompressed input.

    ``ended``: no bytes follow after ``size``. ``fault``: why reading stopped early, as a sentence, or None.
    """

    def __init__(self) -> None:
        self.data = _ZEROS
        self.size = 0
        self.base = 0
        self.ended = False
        self.fault: str | None = None

    def advance(self, used: int, need: int = 1) -> bool:
        """Drop the first ``used`` bytes and read until ``need`` bytes are there or the input ends.

        Returns False if no new bytes came.
        """
        raise NotImplementedError

    def take(self) -> bytes:
        """Return the bytes in the window, or else the next ones, and move past them. Empty at the end of the input."""
        if not self.size:
            self.advance(0)
        chunk = self.data[: self.size]
        self.base += self.size
        self.data, self.size = _ZEROS, 0
        return chunk

    def skip(self, count: int) -> bool:
        """Drop ``count`` bytes, of any number, without keeping them. Returns False if the input ends before."""
        while count > self.size:
            count -= self.size
            if not self.advance(self.size):
                return False
        self.advance(count)
        return True


class FileWindow(Window):
    """A window over a regular file, starting at its current position."""

    def __init__(self, fd: int, block: int = BLOCK) -> None:
        super().__init__()
        self._fd = fd
        self._block = block
        self.base = os.lseek(fd, 0, os.SEEK_CUR)

    def advance(self, used: int, need: int = 1) -> bool:
        left = self.size - used
        if self.ended:
            self.data, self.base, self.size = self.data[used:], self.base + used, left
            return False
        self.base += used
        wanted = max(self._block, need)
        chunk = self._read(wanted + PAD)  # the extra bytes pad this block; the next block reads them again
        self.ended = len(chunk) < wanted + PAD
        self.data = chunk + _ZEROS if self.ended else chunk
        self.size = len(chunk) if self.ended else wanted
        return self.size > left

    def seek(self, base: int, size: int) -> None:
        """Move to the byte ``base``, and read ``size`` bytes."""
        self.base, self.size, self.ended = base, 0, False
        self.advance(0, size)

    def _read(self, wanted: int) -> bytes:
        """Return up to ``wanted`` bytes, fewer only at the end of the file: network file systems may return less."""
        chunk = b""
        while len(chunk) < wanted:
            try:
                more = os.pread(self._fd, wanted - len(chunk), self.base + len(chunk))
            except OSError as error:
                self.fault = f"reading failed at byte {self.base + len(chunk)}: {error.strerror}"
                break
            if not more:
                break
            chunk = chunk + more if chunk else more
        return chunk


class StreamWindow(Window):
    """A window over a source that returns bytes in order.

    ``read(n)`` must return at least one byte and at most ``n``, and no bytes at the end.
    """

    def __init__(self, read: Callable[[int], bytes], block: int = BLOCK) -> None:
        super().__init__()
        self._source = read
        self._block = block

    def advance(self, used: int, need: int = 1) -> bool:
        parts = [self.data[used : self.size]]
        left = size = self.size - used
        self.base += used
        while not self.ended and (size < need or size == left):
            try:
                chunk = self._source(self._block)
            except OSError as error:
                self.fault = f"reading failed at byte {self.base + size}: {error.strerror}"
                chunk = b""
            self.ended = not chunk
            parts.append(chunk)
            size += len(chunk)
        parts.append(_ZEROS)
        self.data = b"".join(parts)
        self.size = size
        return size > left


class Gunzip:
    """Decompresses gzip (RFC 1952) with any number of members. It reads from ``read`` and is itself a ``read``.

    ``fault`` says what was wrong after the end; the bytes before the fault have been returned. Memory is bounded by the
    requested sizes, no matter how large the data become. ``most_ratio``: reading ends where more than 256 MiB, and more
    than this many times the compressed bytes, were unpacked; 0: no limit.
    """

    _PIECE = 1 << 16
    _SMALL_PIECE = 1 << 8
    _FREE = 256 << 20  # bytes that are unpacked in any case

    def __init__(self, read: Callable[[int], bytes], most_ratio: int = DEFAULT_LIMITS.gzip_ratio) -> None:
        self._source = read
        self._inflate = zlib.decompressobj(wbits=31)
        self._compressed = b""
        self._at = 0
        self._consumed = 0
        self._most_ratio = most_ratio
        self._unpacked = 0
        self._piece = self._PIECE
        self._ended = False
        self.fault: str | None = None

    def __call__(self, count: int) -> bytes:
        while not self._ended:
            if self._inflate.eof:
                self._next_member()
                continue
            if self._at == len(self._compressed) and not self._refill():
                self._end(f"the gzip data is cut short at byte {self._consumed}")
                return self._remaining_output(count)
            piece = self._compressed[self._at : self._at + self._piece]
            saved = self._inflate.copy()
            try:
                out = self._inflate.decompress(piece, count)
            except zlib.error:
                # zlib does not return what it decompressed in the failing call. Repeat in small pieces, up to the
                # fault.
                if self._piece == self._SMALL_PIECE:
                    self._end(f"the gzip data is damaged near byte {self._consumed}")
                self._inflate, self._piece = saved, self._SMALL_PIECE
                continue
            left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self._skip(len(piece) - len(left))
            if out:
                self._unpacked += len(out)
                if self._unpacked > self._FREE and self._unpacked > self._consumed * self._most_ratio > 0:
                    self._end(
                        f"the gzip data at byte {self._consumed} unpack to more than {self._most_ratio} times their "
                        "size: stopped there, unpack the file first to read all of it"
                    )
                return out
        return b""

    def _remaining_output(self, count: int) -> bytes:
        """Return what zlib has decompressed but not returned yet, because only ``count`` bytes were requested."""
        try:
            return self._inflate.decompress(b"", count)
        except zlib.error:
            return b""

    def _next_member(self) -> None:
        """Prepare for another member, or for the end: either a clean end, or bytes that are not gzip."""
        while (
            self._at == len(self._compressed) or not self._compressed[self._at]
        ):  # tapes and disk images are padded with NUL
            if self._at < len(self._compressed):
                self._skip(1)
            elif not self._refill():
                self._end(None)
                return
        if self._at + 1 == len(self._compressed):
            self._compressed = self._compressed[self._at :] + self._source(self._PIECE)
            self._at = 0
        if self._compressed.startswith(GZIP_MAGIC, self._at):
            self._inflate = zlib.decompressobj(wbits=31)
        else:
            self._end(f"what follows the gzip data at byte {self._consumed} is not gzip")

    def _refill(self) -> bool:
        self._compressed, self._at = self._source(self._PIECE), 0
        return bool(self._compressed)

    def _skip(self, count: int) -> None:
        self._at += count
        self._consumed += count

    def _end(self, fault: str | None) -> None:
        self._ended, self.fault = True, fault

"""Bytes of an input, one block at a time: regular files, pipes, and gzip over either."""

# Theory
# ------
# A reader walks over `Window.data` and says with `advance` how far it came. There are two ways of moving on:
#
# - A regular file is read with pread at the place where the reader stopped. The few bytes of a record that lay across
#   the end of the block are read again, which is cheaper than joining two blocks. (mmap is no faster, shows the whole
#   file as resident memory, and kills the process when somebody cuts the file meanwhile.)
# - Anything else gives what it has, and what is left of the last block is put in front. One read is enough to go on,
#   so that frames of a live pipe are seen when they arrive.
#
# Memory is one block, and one record where that is longer: readers refuse lengths above MAX_RECORD before they ask.

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from ..limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BLOCK", "GZIP_MAGIC", "MAX_RECORD", "PAD", "FileWindow", "Gunzip", "StreamWindow", "Window"]

BLOCK = 1 << 20
"""Bytes to ask for at a time: large enough that the work per block does not count, small beside the 80 MB budget."""

MAX_RECORD = DEFAULT_LIMITS.record_bytes
"""Longest record that is believed, in bytes, where no other limit is set."""

PAD = 128
"""Zero bytes behind the real ones, so that a struct of fixed size can be taken where the last short record begins."""

GZIP_MAGIC = b"\x1f\x8b"

_ZEROS = bytes(PAD)


class Window:
    """A stretch of the input: ``data[:size]`` is real, ``data[0]`` is byte number ``base`` of the (unpacked) input.

    ``ended``: there is nothing behind ``size``. ``fault``: why reading stopped early, as a sentence, or None.
    """

    def __init__(self) -> None:
        self.data = _ZEROS
        self.size = 0
        self.base = 0
        self.ended = False
        self.fault: str | None = None

    def advance(self, used: int, need: int = 1) -> bool:
        """Drop ``used`` bytes in front and read on until ``need`` are there, or the end. False: nothing new came."""
        raise NotImplementedError

    def take(self) -> bytes:
        """What is there, or else what comes next; the window moves behind it. Empty at the end."""
        if not self.size:
            self.advance(0)
        chunk = self.data[: self.size]
        self.base += self.size
        self.data, self.size = _ZEROS, 0
        return chunk

    def skip(self, count: int) -> bool:
        """Drop ``count`` bytes, however many, without keeping them. False: the input ends before."""
        while count > self.size:
            count -= self.size
            if not self.advance(self.size):
                return False
        self.advance(count)
        return True


class FileWindow(Window):
    """A window over a regular file, from its current position."""

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
        chunk = self._read(wanted + PAD)  # what is read ahead pads this block and is read again with the next
        self.ended = len(chunk) < wanted + PAD
        self.data = chunk + _ZEROS if self.ended else chunk
        self.size = len(chunk) if self.ended else wanted
        return self.size > left

    def _read(self, wanted: int) -> bytes:
        """As much of ``wanted`` as the file has: network file systems may give less at once."""
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
    """A window over whatever gives bytes in order: ``read(n)`` returns at least one, at most ``n``, none at the end."""

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
    """Unpacks gzip (RFC 1952), any number of members, from a ``read``; itself a ``read`` for ``StreamWindow``.

    ``fault`` says afterwards what was wrong; what could be unpacked before that has been given out. Memory is bounded
    by the sizes asked for, whatever the data expands to.
    """

    _PIECE = 1 << 16
    _SMALL_PIECE = 1 << 8

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._source = read
        self._inflate = zlib.decompressobj(wbits=31)
        self._compressed = b""
        self._at = 0
        self._consumed = 0
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
                # zlib keeps back what it unpacked in the failing call: go over it again in crumbs, up to the damage.
                if self._piece == self._SMALL_PIECE:
                    self._end(f"the gzip data is damaged near byte {self._consumed}")
                self._inflate, self._piece = saved, self._SMALL_PIECE
                continue
            left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self._skip(len(piece) - len(left))
            if out:
                return out
        return b""

    def _remaining_output(self, count: int) -> bytes:
        """What zlib has unpacked of the last byte and not given out yet, since no more than ``count`` was asked for."""
        try:
            return self._inflate.decompress(b"", count)
        except zlib.error:
            return b""

    def _next_member(self) -> None:
        """Get ready for another member, or for the end: a clean one, or bytes that are no gzip."""
        while (
            self._at == len(self._compressed) or not self._compressed[self._at]
        ):  # tapes and disk images are filled up with NUL
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
            self._end(f"what follows the gzip data at byte {self._consumed} is no gzip")

    def _refill(self) -> bool:
        self._compressed, self._at = self._source(self._PIECE), 0
        return bool(self._compressed)

    def _skip(self, count: int) -> None:
        self._at += count
        self._consumed += count

    def _end(self, fault: str | None) -> None:
        self._ended, self.fault = True, fault

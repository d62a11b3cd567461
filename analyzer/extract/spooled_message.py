"""The octets of messages before they become files: in memory while they are few, else on disk."""

# Theory
# ------
# A message gets its name when it is over, because only then its result is known. Until then its octets wait here: the
# last ones in memory, all earlier ones in a temporary file beside the others. Thousands of messages may be open at the
# same time, so no file is kept open, and the memory is bounded for each message and for all together. A file that is
# opened again must be the one that was created: another user who can write into the directory may have put another
# one there.

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import OutputError, display_path
from ..files.folders import NEW, Folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

__all__ = ["Spool", "SpooledMessage"]

WAITING_BYTES = 1 << 16  # of one message, in memory
ALL_WAITING_BYTES = 1 << 25  # of all messages together
READ_BYTES = 1 << 20
_MODE = 0o600  # mail is private: only its owner can read it


class Spool:
    """All messages that are not over, with their files in ``folder``. Methods of both classes raise OutputError."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._number = 0
        self.open: set[SpooledMessage] = set()
        self.waiting = 0

    def begin(self) -> SpooledMessage:
        """Return storage for a new message."""
        self._number += 1
        spooled = SpooledMessage(self, f".smtpwire-{os.getpid()}-{self._number}.part")
        self.open.add(spooled)
        return spooled

    def relieve(self) -> None:
        """Move everything in memory to disk."""
        for spooled in self.open:
            spooled.flush()

    def close(self) -> None:
        """Remove everything that was never placed."""
        for spooled in list(self.open):
            spooled.discard()

    @contextmanager
    def named(self) -> Iterator[None]:
        """Turn an error of the system into one that names the folder."""
        try:
            yield
        except OSError as error:
            where = display_path(self.folder.path)
            raise OutputError(
                f"cannot write ({error.strerror or error}): {where}: name another directory with -o"
            ) from error


class SpooledMessage:
    """The octets of one message; ``size`` is their number."""

    __slots__ = ("_file", "_name", "_parts", "_spool", "_waiting", "size")

    def __init__(self, spool: Spool, name: str) -> None:
        self.size = 0
        self._spool = spool
        self._name = name
        self._file: tuple[int, int] | None = None  # device and inode of the file once it exists
        self._parts: list[bytes] = []
        self._waiting = 0

    def append(self, data: bytes) -> None:
        """Add the next octets."""
        self._parts.append(data)
        self.size += len(data)
        self._waiting += len(data)
        self._spool.waiting += len(data)
        if self._waiting > WAITING_BYTES:
            self.flush()
        elif self._spool.waiting > ALL_WAITING_BYTES:
            self._spool.relieve()

    def flush(self) -> None:
        """Move what waits in memory to the file."""
        if not self._waiting:
            return
        data = b"".join(self._parts)
        with self._spool.named(), os.fdopen(self._opened(os.O_WRONLY | os.O_APPEND), "ab", 0) as stream:
            _write_all(stream, data)
        self._clear_memory()

    def truncate(self, size: int) -> None:
        """Keep only the first ``size`` octets."""
        if size >= self.size:
            return
        if self._file is None:
            data = b"".join(self._parts)[:size]
            self._clear_memory()
            self._parts, self._waiting = [data], size
            self._spool.waiting += size
        else:
            self.flush()
            with self._spool.named(), os.fdopen(self._opened(os.O_WRONLY), "wb", 0) as stream:
                stream.truncate(size)
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """Return all octets, in order."""
        if self._file is not None:
            with self._spool.named(), os.fdopen(self._opened(os.O_RDONLY), "rb") as stream:
                while chunk := stream.read(READ_BYTES):
                    yield chunk
        yield from self._parts

    def place(self, folder: Folder, name: str) -> None:
        """Make the octets the file ``name`` in ``folder``, which must not exist yet."""
        if self._file is not None:
            self.flush()
        with self._spool.named():
            descriptor = folder.open(name, os.O_WRONLY | NEW, _MODE)
            try:
                with os.fdopen(descriptor, "wb", 0) as stream:
                    _write_all(stream, b"".join(self._parts))
                if self._file is not None:  # it replaces the empty file that reserves the name
                    self._spool.folder.rename(self._name, name, folder)
                    self._file = None
            except OSError:
                folder.remove(name)  # a part of a message must not look like one
                raise
        self.discard()

    def discard(self) -> None:
        """Drop the octets and the temporary file."""
        self._clear_memory()
        self._spool.open.discard(self)
        if self._file is not None:
            self._file = None
            with self._spool.named():
                self._spool.folder.remove(self._name)

    def _opened(self, flags: int) -> int:
        folder = self._spool.folder
        if self._file is None:
            descriptor = folder.open(self._name, os.O_WRONLY | NEW, _MODE)
            status = os.fstat(descriptor)
            self._file = status.st_dev, status.st_ino
            return descriptor
        descriptor = folder.open(self._name, flags)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._file:
            os.close(descriptor)
            raise FileExistsError(errno.EEXIST, "another file is in the place of an unfinished message")
        return descriptor

    def _clear_memory(self) -> None:
        self._spool.waiting -= self._waiting
        self._parts, self._waiting = [], 0


def _write_all(stream: FileIO, data: bytes) -> None:
    """Write ``data`` without a buffer: what a full disk did not take would be written again when it is closed."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]

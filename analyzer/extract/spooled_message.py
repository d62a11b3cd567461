"""The octets of messages before they become files: in memory while they are few, else on disk."""

# Theory
# ------
# A message gets its name when it is over, because only then its result is known. Until then its octets wait here: the
# last ones in memory, all earlier ones in a temporary file beside the others. Thousands of messages may be open at the
# same time, so no file is kept open, and the memory is bounded for each message and for all together. A file that is
# opened again must be the one that was created: another user who can write into the directory may have put a link
# there.

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FLAGS", "MODE", "Spool", "SpooledMessage"]

WAITING_BYTES = 1 << 16  # of one message, in memory
ALL_WAITING_BYTES = 1 << 25  # of all messages together
READ_BYTES = 1 << 20
MODE = 0o600  # mail is private: only its owner can read it
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_REOPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Spool:
    """All messages that are not over, with their files in ``directory``. Methods of both classes raise OSError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self.open: set[SpooledMessage] = set()
        self.waiting = 0

    def begin(self) -> SpooledMessage:
        """Return storage for a new message."""
        self._number += 1
        spooled = SpooledMessage(self, self._directory / f".smtpwire-{os.getpid()}-{self._number}.part")
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


class SpooledMessage:
    """The octets of one message; ``size`` is their number."""

    __slots__ = ("_file", "_parts", "_path", "_spool", "_waiting", "size")

    def __init__(self, spool: Spool, path: Path) -> None:
        self.size = 0
        self._spool = spool
        self._path = path
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
        with os.fdopen(self._opened(os.O_WRONLY | os.O_APPEND), "ab") as stream:
            stream.write(data)
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
            descriptor = self._opened(os.O_WRONLY)
            try:
                os.ftruncate(descriptor, size)
            finally:
                os.close(descriptor)
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """Return all octets, in order."""
        if self._file is not None:
            with os.fdopen(self._opened(os.O_RDONLY), "rb") as stream:
                while chunk := stream.read(READ_BYTES):
                    yield chunk
        yield from self._parts

    def place(self, path: Path) -> None:
        """Make the octets the file ``path``, which must not exist yet."""
        if self._file is not None:
            self.flush()
        with os.fdopen(os.open(path, FLAGS, MODE), "wb") as stream:
            stream.writelines(self._parts)
        if self._file is not None:
            os.replace(self._path, path)  # noqa: PTH105  replaces the empty file that reserves the name
            self._file = None
        self.discard()

    def discard(self) -> None:
        """Drop the octets and the temporary file."""
        self._clear_memory()
        self._spool.open.discard(self)
        if self._file is not None:
            self._file = None
            self._path.unlink(missing_ok=True)

    def _opened(self, flags: int) -> int:
        if self._file is None:
            descriptor = os.open(self._path, FLAGS, MODE)
            status = os.fstat(descriptor)
            self._file = status.st_dev, status.st_ino
            return descriptor
        descriptor = os.open(self._path, flags | _REOPEN_FLAGS)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._file:
            os.close(descriptor)
            raise FileExistsError(None, "another file is in its place", str(self._path))
        return descriptor

    def _clear_memory(self) -> None:
        self._spool.waiting -= self._waiting
        self._parts, self._waiting = [], 0

"""The octets of messages on their way to their files: in memory while they are few, else on disk."""

# Theory
# ------
# A message gets its name when it is over, for only then is known what became of it. Until then its octets wait here:
# the last ones in memory, all before in a file of their own beside the others. Thousands of messages may be under way
# at once, so no file is held open, and what waits in memory is bounded for each and for all together. A file that is
# opened again has to be the one that was made: whoever can write into the directory may have put a link there.

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FLAGS", "MODE", "Spool", "SpooledMessage"]

WAITING_BYTES = 1 << 16  # of one message in memory
ALL_WAITING_BYTES = 1 << 25  # of all messages together
READ_BYTES = 1 << 20
MODE = 0o600  # mail is nobody else's
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_AGAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Spool:
    """All that are under way, with their files in ``directory``. Methods of both classes raise OSError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self.open: set[SpooledMessage] = set()
        self.waiting = 0

    def begin(self) -> SpooledMessage:
        """One for a message that begins."""
        self._number += 1
        spill = SpooledMessage(self, self._directory / f".smtpwire-{os.getpid()}-{self._number}.part")
        self.open.add(spill)
        return spill

    def relieve(self) -> None:
        """Too much waits in memory: all of it goes to disk."""
        for spill in self.open:
            spill.flush()

    def close(self) -> None:
        """Remove what was never placed."""
        for spill in list(self.open):
            spill.discard()


class SpooledMessage:
    """The octets of one message; ``size`` is how many."""

    __slots__ = ("_all", "_file", "_parts", "_path", "_waiting", "size")

    def __init__(self, everything: Spool, path: Path) -> None:
        self.size = 0
        self._all = everything
        self._path = path
        self._file: tuple[int, int] | None = None  # device and inode of the file once it is there
        self._parts: list[bytes] = []
        self._waiting = 0

    def append(self, data: bytes) -> None:
        """The next octets."""
        self._parts.append(data)
        self.size += len(data)
        self._waiting += len(data)
        self._all.waiting += len(data)
        if self._waiting > WAITING_BYTES:
            self.flush()
        elif self._all.waiting > ALL_WAITING_BYTES:
            self._all.relieve()

    def flush(self) -> None:
        """Move what waits in memory to the file."""
        if not self._waiting:
            return
        data = b"".join(self._parts)
        with os.fdopen(self._opened(os.O_WRONLY | os.O_APPEND), "ab") as stream:
            stream.write(data)
        self._forget()

    def truncate(self, size: int) -> None:
        """Only the first ``size`` octets stay."""
        if size >= self.size:
            return
        if self._file is None:
            data = b"".join(self._parts)[:size]
            self._forget()
            self._parts, self._waiting = [data], size
            self._all.waiting += size
        else:
            self.flush()
            descriptor = self._opened(os.O_WRONLY)
            try:
                os.ftruncate(descriptor, size)
            finally:
                os.close(descriptor)
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """All of it, in order."""
        if self._file is not None:
            with os.fdopen(self._opened(os.O_RDONLY), "rb") as stream:
                while chunk := stream.read(READ_BYTES):
                    yield chunk
        yield from self._parts

    def place(self, path: Path) -> None:
        """Make it the file ``path``, which must not be there yet."""
        if self._file is not None:
            self.flush()
        with os.fdopen(os.open(path, FLAGS, MODE), "wb") as stream:
            stream.writelines(self._parts)
        if self._file is not None:
            os.replace(self._path, path)  # noqa: PTH105  takes the place of the empty file that holds the name
            self._file = None
        self.discard()

    def discard(self) -> None:
        """Forget it."""
        self._forget()
        self._all.open.discard(self)
        if self._file is not None:
            self._file = None
            self._path.unlink(missing_ok=True)

    def _opened(self, flags: int) -> int:
        if self._file is None:
            descriptor = os.open(self._path, FLAGS, MODE)
            status = os.fstat(descriptor)
            self._file = status.st_dev, status.st_ino
            return descriptor
        descriptor = os.open(self._path, flags | _AGAIN)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._file:
            os.close(descriptor)
            raise FileExistsError(None, "somebody put another file there", str(self._path))
        return descriptor

    def _forget(self) -> None:
        self._all.waiting -= self._waiting
        self._parts, self._waiting = [], 0

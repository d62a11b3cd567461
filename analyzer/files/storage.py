"""Places for intermediate files: a folder of this machine, or a URL that fsspec knows."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ..errors import UsageError, display_path
from .reading import open_input
from .urls import file_system, is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Storage"]

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def _remote() -> Iterator[None]:
    """Turn what a file system raises into OSError."""
    try:
        yield
    except (OSError, UsageError):
        raise
    except Exception as error:
        raise OSError(errno.EIO, " ".join(str(error).split()) or type(error).__name__) from error


class Storage(Struct, frozen=True):
    """Files that appear when they are complete, in the folder or at the URL ``place``. They may hold mail, so only
    their owner can read them. Methods raise OSError."""

    place: str

    @property
    def name(self) -> str:
        """Its place, safe to display."""
        return display_path(self.place)

    def prepare(self) -> None:
        """Make the folder."""
        if is_url(self.place):
            with _remote():
                system, path = file_system(self.place)
                system.makedirs(path, exist_ok=True)
        else:
            os.makedirs(self.place, mode=0o700, exist_ok=True)  # noqa: PTH103  as in this folder's other modules

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Open a stream into the file ``name``, which appears or is replaced when the block ends without an
        exception."""
        if is_url(self.place):
            with tempfile.NamedTemporaryFile(prefix="smtpwire-") as local:
                yield local  # type: ignore[misc]  # it has what a stream has
                local.flush()
                self.put(local.name, name)
            return
        path = self._path(name)
        new = f"{path}.{os.urandom(6).hex()}.tmp"
        try:
            with os.fdopen(os.open(new, _NEW, 0o600), "wb", buffering=1 << 20) as stream:
                yield stream
            os.replace(new, path)  # noqa: PTH105
        except BaseException:
            if os.path.exists(new):  # noqa: PTH110
                os.unlink(new)  # noqa: PTH108
            raise

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        if is_url(self.place):
            with _remote():
                system, _ = file_system(self.place)
                return int(system.size(self._path(name)))
        return os.stat(self._path(name)).st_size  # noqa: PTH116

    def has(self, name: str) -> bool:
        """Return whether the file is there and complete."""
        try:
            return self.size(name) > 0
        except FileNotFoundError:
            return False

    def read(self, name: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes from ``start`` on."""
        if is_url(self.place):
            with _remote():
                system, _ = file_system(self.place)
                return bytes(system.cat_file(self._path(name), start=start, end=start + length))
        descriptor = open_input(self._path(name), found=True)
        try:
            data = os.pread(descriptor, length, start)
        finally:
            os.close(descriptor)
        if len(data) < length:
            raise OSError(errno.EIO, f"{name} is cut short")
        return data

    def put(self, source: str, name: str) -> None:
        """Copy the local file ``source``; ``name`` may have a folder in front."""
        if is_url(self.place):
            with _remote():
                system, _ = file_system(self.place)
                system.put_file(source, self._path(name))
            return
        os.makedirs(os.path.dirname(self._path(name)), exist_ok=True)  # noqa: PTH103, PTH120
        with os.fdopen(open_input(source, found=True), "rb") as data, self.write(name) as stream:
            shutil.copyfileobj(data, stream, 1 << 20)

    def remove(self) -> None:
        """Remove all files."""
        if is_url(self.place):
            system, path = file_system(self.place)
            system.rm(path, recursive=True)
        else:
            shutil.rmtree(self.place, ignore_errors=True)

    def _path(self, name: str) -> str:
        return f"{self.place.rstrip('/')}/{name}"

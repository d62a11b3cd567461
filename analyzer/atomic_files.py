"""Files that appear when they are complete: written under another name in the same directory, then renamed."""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .errors import UsageError, display_path

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["replacing", "same_file"]

_HINT = "name another file"
# O_EXCL and O_NOFOLLOW: the file must be new, so a planted link cannot redirect the write.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a stream into the file ``path``. The file appears, or is replaced, when the block ends without an exception.

    After an exception nothing is left of it, and an existing file is unchanged. A replaced file keeps its permission
    bits. Pipes and devices are written directly. Raises UsageError if the file cannot be opened, written or renamed;
    BrokenPipeError and all other exceptions of the block pass through.
    """
    try:
        old = os.stat(path)  # noqa: PTH116  also for names like /dev/fd/63, which Path.resolve would change
    except (OSError, ValueError):
        old = None  # opening it reports what is wrong
    if old is not None and not stat.S_ISREG(old.st_mode):
        with _opened(path, path, os.O_WRONLY, 0) as stream:
            yield stream
        return
    try:
        real = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        raise _failed(path, error) from error
    # The temporary name does not contain the file's name, which may already be as long as the file system allows.
    new = real.with_name(f".smtpwire-{os.urandom(6).hex()}.tmp")
    with _opened(path, new, _FLAGS, 0o666 if old is None else 0o600) as stream:
        try:
            if old is not None and hasattr(os, "fchmod"):
                # No setuid, setgid and sticky bits: the new file may belong to another user than the old one.
                os.fchmod(stream.fileno(), old.st_mode & 0o777)
            yield stream
            stream.close()
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    try:
        new.replace(real)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise _failed(path, error) from error


def same_file(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether both names lead to one existing file."""
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):
        return False


class _NamedFile(io.FileIO):
    """A file whose write errors name the file that the user asked for."""

    def __init__(self, descriptor: int, path: str | os.PathLike[str]) -> None:
        super().__init__(descriptor, "wb")
        self._path = path

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failed(self._path, error) from error


def _opened(path: str | os.PathLike[str], real: str | os.PathLike[str], flags: int, mode: int) -> BinaryIO:
    """Open ``real``; errors name ``path``."""
    try:
        return io.BufferedWriter(_NamedFile(os.open(real, flags, mode), path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _failed(path, error) from error


def _failed(path: str | os.PathLike[str], error: Exception) -> UsageError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UsageError(f"cannot write ({reason})", display_path(path), _HINT)

"""Atomic writes of whole files: write a temporary file in the same directory, then rename it."""

from __future__ import annotations

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
# O_EXCL and O_NOFOLLOW: always a new file, even if there is a link of that name. The user's umask decides the mode.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a stream that creates or replaces the file ``path`` when the block ends without an exception.

    After an exception no new file is left, and an older file is unchanged. Pipes and devices are written directly.
    Raises UsageError if the file cannot be opened, written or renamed; BrokenPipeError is not converted.
    """
    try:
        real = Path(path).resolve()
        old = real.stat() if real.exists() else None
        if old is not None and not stat.S_ISREG(old.st_mode):
            new, stream = None, real.open("wb")
        else:
            # Not derived from the name: the file system may not allow a longer one.
            new = real.with_name(f".smtpwire-{os.urandom(6).hex()}.tmp")
            stream = os.fdopen(os.open(new, _FLAGS, 0o666), "wb")
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, or a loop of links
        raise UsageError(f"cannot write ({_reason(error)})", display_path(path), _HINT) from error
    try:
        with stream:
            yield stream
        if new is not None:
            if old is not None:
                new.chmod(stat.S_IMODE(old.st_mode))
            new.replace(real)
    except BaseException as error:
        if new is not None:
            new.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise UsageError(f"cannot write ({_reason(error)})", display_path(path), _HINT) from error
        raise


def same_file(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether both paths name the same existing file."""
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):
        return False


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

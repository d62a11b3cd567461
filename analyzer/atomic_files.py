"""Files that appear when they are whole: written under another name beside their own, and renamed."""

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
# Created anew, whatever link somebody may have put there; its mode is what the user's umask says.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A stream into the file ``path``, which appears, or is replaced, when the block ends without an exception.

    After an exception nothing is left of it and an older file stays as it was. Pipes and devices are written to as
    they are. Raises UsageError where the file cannot be opened, written or renamed; BrokenPipeError stays as it is.
    """
    try:
        real = Path(path).resolve()
        old = real.stat() if real.exists() else None
        if old is not None and not stat.S_ISREG(old.st_mode):
            new, stream = None, real.open("wb")
        else:
            # Not made from the name, to which the file system may leave no room for more.
            new = real.with_name(f".smtpwire-{os.urandom(6).hex()}.tmp")
            stream = os.fdopen(os.open(new, _FLAGS, 0o666), "wb")
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, a loop of links
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
    """Whether both name one file that exists."""
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):
        return False


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

"""Inputs: captures, settings and other files that are read."""

# A file that the user names may be anything that can be read: a pipe, a device. A file that was found in a folder is
# read only if it is a regular one: a pipe would wait for a writer without end, and to open a device can have effects.

from __future__ import annotations

import errno
import os
import stat

__all__ = ["kind_of", "open_input", "read_whole", "size_of"]

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def kind_of(status: os.stat_result) -> str | None:
    """Return what it is, in two words; None for a regular file."""
    return None if stat.S_ISREG(status.st_mode) else _KINDS.get(stat.S_IFMT(status.st_mode), "not a file")


def size_of(path: str) -> int:
    """Return the bytes of a regular file; 0 if there is none of that name."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def open_input(path: str | os.PathLike[str], *, found: bool = False) -> int:
    """Open a file to read it; return its descriptor. ``found``: the program found it in a folder, so it must be a
    regular file. Raises OSError and ValueError."""
    if not found:
        return os.open(path, _FLAGS)
    _check_regular(os.stat(path))  # noqa: PTH116
    # O_NONBLOCK: something else may be in its place by now.
    fd = os.open(path, _FLAGS | getattr(os, "O_NONBLOCK", 0))
    try:
        _check_regular(os.fstat(fd))
    except OSError:
        os.close(fd)
        raise
    return fd


def _check_regular(status: os.stat_result) -> None:
    kind = kind_of(status)
    if kind is not None:
        raise OSError(errno.EINVAL, f"{kind}, not a file")


def read_whole(path: str | os.PathLike[str], limit: int, *, found: bool = False) -> tuple[bytes, os.stat_result]:
    """Return the contents of a file of at most ``limit`` bytes, and its status. Raises OSError, also for a longer one,
    and ValueError."""
    with os.fdopen(open_input(path, found=found), "rb") as stream:
        status = os.fstat(stream.fileno())
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"longer than {limit:,} bytes")
    return data, status

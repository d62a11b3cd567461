"""Files that appear when they are complete: written under another name in the same folder, then renamed."""

# Theory
# ------
# The folder is held and the new file is made in it by name (see `folders`), so nothing that another user does to the
# path meanwhile has an effect. A replaced file keeps its permissions: the new one may be read by nobody who could not
# read the old one, from its first byte on.

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import UsageError, display_path
from .folders import NEW, Folder, locate, planted
from .ownership import is_ours, was_planted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NewFile", "into_pipe", "kept_open", "replacing", "same_file"]

_HINT = "name another file"
_PRIVATE = 0o600
_ACCESS_LIST = "system.posix_acl_access"


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a stream into the file ``path``. The file appears, or is replaced, when the block ends without an exception.

    After an exception nothing is left of it, and an existing file is unchanged. Pipes and devices are written directly.
    Raises UsageError if the file cannot be opened, written or renamed, or if another user may have planted what is in
    its place; BrokenPipeError and all other exceptions of the block pass through.
    """
    stream = _special(path)
    if stream is not None:
        with stream:
            yield stream
        return
    file = NewFile(path)
    try:
        yield file.stream
        file.place()
    finally:
        file.close()


class NewFile:
    """A file ``path`` that is being written. ``stream``: takes its bytes. Raises UsageError, as ``stream`` does."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._placed = False
        # The temporary name does not contain the file's name, which may already be as long as the file system allows.
        self._new = f".smtpwire-{os.urandom(6).hex()}.tmp"
        try:
            self._folder, self._name = locate(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise _failed(path, error) from error
        try:
            old = self._folder.status(self._name)
            _check_replaceable(self._folder, old)
            mode = 0o666 if old is None else _PRIVATE
            self._fd = self._folder.open(self._new, os.O_RDWR | NEW, mode)
        except (OSError, ValueError) as error:
            self._folder.close()
            raise _failed(path, error) from error
        self.stream: BinaryIO = io.BufferedWriter(_NamedFile(self._fd, path))
        if old is not None:
            with suppress(OSError):  # then it stays private
                _keep_permissions(self._fd, old, _has_access_list(self._folder, self._name))

    def reader(self) -> BinaryIO:
        """Return a second stream that reads what was written so far."""
        self.stream.flush()
        return os.fdopen(os.dup(self._fd), "rb")

    def place(self) -> None:
        """Complete the file: it gets its name."""
        self.stream.close()
        try:
            self._folder.rename(self._new, self._name)
        except OSError as error:
            raise _failed(self._path, error) from error
        self._placed = True

    def close(self) -> None:
        """Release everything; a file that was not placed is removed."""
        with suppress(UsageError, OSError):  # what is still in the buffer of a full disk
            self.stream.close()
        if not self._placed:
            with suppress(OSError):
                self._folder.remove(self._new)
        self._folder.close()


def _check_replaceable(folder: Folder, old: os.stat_result | None) -> None:
    """Raise OSError if the ``old`` file must not be replaced, or if the rename at the end of the run would fail."""
    if old is None or not hasattr(os, "geteuid"):
        return
    own = folder.own_status()
    if was_planted(own, old):
        raise planted("file")
    if own.st_mode & stat.S_ISVTX and os.geteuid() not in {0, own.st_uid, old.st_uid}:
        raise PermissionError(errno.EPERM, "the file belongs to another user, in a folder that protects it")


def _has_access_list(folder: Folder, name: str) -> bool:
    """Whether the file has a list of users and groups who may use it."""
    try:
        return _ACCESS_LIST in os.listxattr(os.path.join(folder.path, name), follow_symlinks=False)  # noqa: PTH118
    except (AttributeError, OSError):  # not on every system
        return False


def _keep_permissions(fd: int, old: os.stat_result, has_list: bool) -> None:
    """Give the new file the permissions of the ``old`` one, without setuid, setgid and sticky bits: the new file may
    belong to another user."""
    if not hasattr(os, "fchmod"):
        return
    if hasattr(os, "removexattr"):
        with suppress(OSError):  # it has none, or the file system has no such lists
            os.removexattr(fd, _ACCESS_LIST)  # what new files in the folder get; the old one may not have it
    mode = old.st_mode & 0o777
    if has_list:
        mode &= ~0o070  # with a list, these bits are not those of the group
    if not is_ours(old):  # its bits are not our choice
        mode &= ~0o022
    new = os.fstat(fd)
    if new.st_gid != old.st_gid:
        try:
            os.fchown(fd, -1, old.st_gid)
        except OSError:
            mode &= ~0o070  # the bits of the group are meant for another group
    os.fchmod(fd, mode)


def kept_open(path: str | os.PathLike[str]) -> io.FileIO:
    """Return an unbuffered stream into the file ``path``, which can be read while it grows. An old file is emptied.

    A new file is readable for its owner only. Raises OSError if the file cannot be opened, if it is a link, or if it
    belongs to another user: he could read what is written, or change it.
    """
    folder, name = locate(path, follow=False)
    with folder:
        try:
            return io.FileIO(folder.open(name, os.O_WRONLY | NEW, _PRIVATE), "wb")
        except FileExistsError:
            pass
        # O_NONBLOCK: a pipe that nobody reads is an error, and not a wait without end.
        fd = folder.open(name, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
        try:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode):
                if not is_ours(status):
                    raise PermissionError(errno.EPERM, "the file belongs to another user")
                if status.st_nlink > 1:
                    raise PermissionError(errno.EPERM, "the file has another name as well")
                os.ftruncate(fd, 0)
            elif was_planted(folder.own_status(), status):
                raise planted("pipe")
            if hasattr(os, "set_blocking"):
                os.set_blocking(fd, True)
            return io.FileIO(fd, "wb")
        except BaseException:
            os.close(fd)
            raise


def into_pipe(path: str) -> BinaryIO:
    """Return a stream into the pipe ``path``, which another program made for us. Nothing is made or emptied. Raises
    OSError."""
    return io.BufferedWriter(io.FileIO(os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0)), "wb"))


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


def _special(path: str | os.PathLike[str]) -> BinaryIO | None:
    """Return a stream into a pipe or a device; None if ``path`` is a file or nothing. Raises UsageError."""
    try:
        status = os.stat(path)  # noqa: PTH116  also for names like /dev/fd/63, which Path.resolve would change
    except (OSError, ValueError):
        return None  # making the file reports what is wrong
    if stat.S_ISREG(status.st_mode):
        return None
    try:
        folder, name = locate(path)
        with folder:
            there = folder.status(name)
            if there is not None and stat.S_ISFIFO(there.st_mode) and was_planted(folder.own_status(), there):
                raise planted("pipe")
            # A link of /proc leads to a pipe without a name.
            fd = os.open(path, os.O_WRONLY) if there is None else folder.open(name, os.O_WRONLY)
    except (OSError, ValueError) as error:
        raise _failed(path, error) from error
    return io.BufferedWriter(_NamedFile(fd, path))


def _failed(path: str | os.PathLike[str], error: Exception) -> UsageError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UsageError(f"cannot write ({reason})", display_path(path), _HINT)

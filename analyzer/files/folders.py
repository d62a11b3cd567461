"""Folders that are held by a descriptor, so that a name in them means the same folder for as long as it is used."""

# Theory
# ------
# A path is looked up again each time it is used. Between two uses, whoever may write into a folder on the way can put a
# link in the place of the next one. So a path is walked once, part by part, and from then on only names inside the
# held folder are used (openat, O_NOFOLLOW). The walk follows links, because users have them, but none that was planted
# (see `ownership`).
#
# Windows has no such calls; there, names are joined to the path.

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from typing import TYPE_CHECKING, Self

from .ownership import was_planted

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["NEW", "Folder", "check_not_planted", "folder_of", "locate", "planted"]

_HELD = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd
_MAX_LINKS = 40  # as Linux: more of them are a loop
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# To hold a folder, the right to use names in it is enough; systems without O_PATH want the right to list it as well.
_HOLD = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

NEW = os.O_CREAT | os.O_EXCL
"""Flags for a file that must not exist yet."""


class Folder:
    """A folder. ``path``: its name, for messages. Methods raise OSError; none of them follows a link."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: str, *, within: Folder | None = None) -> None:
        self.path: str = path if within is None else os.path.join(within.path, path)  # noqa: PTH118
        self._fd: int | None = None
        if not _HELD:
            if not stat.S_ISDIR(os.lstat(self.path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.path)
        elif within is None:
            self._fd = os.open(path, _HOLD)
        else:
            self._fd = os.open(path, _HOLD | _SAFE, dir_fd=within._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _at(self, name: str) -> str:
        return name if _HELD else os.path.join(self.path, name)  # noqa: PTH118

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open the file ``name``; return its descriptor."""
        return os.open(self._at(name), flags | _SAFE, mode, dir_fd=self._fd)

    def own_status(self) -> os.stat_result:
        """Return the status of the folder."""
        return os.lstat(self.path) if self._fd is None else os.fstat(self._fd)

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of ``name``, of a link itself; None if there is nothing of that name."""
        try:
            return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def target(self, name: str) -> str:
        """Return what the link ``name`` contains."""
        return os.readlink(self._at(name), dir_fd=self._fd)

    def names(self) -> list[str]:
        """Return the names in the folder."""
        if self._fd is None:
            return os.listdir(self.path)  # noqa: PTH208
        listed = os.open(".", os.O_RDONLY | _HOLD & ~getattr(os, "O_PATH", 0), dir_fd=self._fd)
        try:
            return os.listdir(listed)  # noqa: PTH208
        finally:
            os.close(listed)

    def rename(self, name: str, new: str, to: Folder | None = None) -> None:
        """Give the file ``name`` the name ``new``, in the folder ``to`` or in this one. Replaces a file of that
        name."""
        target = to or self
        os.replace(self._at(name), target._at(new), src_dir_fd=self._fd, dst_dir_fd=target._fd)

    def remove(self, name: str) -> None:
        """Remove the file ``name``, if it is there."""
        try:
            os.unlink(self._at(name), dir_fd=self._fd)
        except FileNotFoundError:
            return

    def inner(self, name: str, mode: int = 0o777) -> Folder:
        """Return the folder ``name`` in this one; it is made if there is none. Raises PermissionError if another user
        may have planted it."""
        try:
            os.mkdir(self._at(name), mode, dir_fd=self._fd)
        except FileExistsError:
            there = self.status(name)
            if there is not None and was_planted(self.own_status(), there):
                raise planted("folder") from None
        return Folder(name, within=self)


def folder_of(path: str | os.PathLike[str], mode: int = 0o777, *, parents: bool = False) -> Folder:
    """Return the folder ``path``, which is made with ``mode`` if there is none. ``parents``: those that are missing are
    made too. Raises OSError, and PermissionError for one that another user may have planted."""
    text = os.fspath(path)
    name = text.rstrip(os.sep)
    if not name or os.path.basename(name) in {".", ".."}:  # noqa: PTH119
        return Folder(text)
    folder, last = locate(name, make=parents)
    with folder:
        return folder.inner(last, mode)


def locate(path: str | os.PathLike[str], *, follow: bool = True, make: bool = False) -> tuple[Folder, str]:
    """Return the folder of the file ``path`` and the name of the file in it, after all links. The caller closes the
    folder.

    ``follow``: False leaves a link in the place of the file itself; the name is then that of the link. ``make``:
    folders on the way that are missing are made. Raises OSError, and PermissionError for a link that another user may
    have planted.
    """
    text = os.fspath(path)
    if not _HELD:
        real = os.path.realpath(text) if follow else os.path.abspath(text)  # noqa: PTH100
        if make:
            os.makedirs(os.path.dirname(real), exist_ok=True)  # noqa: PTH103, PTH120
        return Folder(os.path.dirname(real)), os.path.basename(real)  # noqa: PTH119, PTH120
    parts = deque(text.split(os.sep))  # noqa: PTH206
    if not text or not parts[-1]:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    here = Folder(os.sep if os.path.isabs(text) else ".")  # noqa: PTH117
    links = 0
    try:
        while True:
            name = parts.popleft()
            if name in {"", ".", ".."} and not parts:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if name in {"", "."}:
                continue
            status = here.status(name)
            if status is not None and stat.S_ISLNK(status.st_mode) and (follow or parts):
                if was_planted(here.own_status(), status):
                    raise planted("link")
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = here.target(name)
                parts.extendleft(reversed(target.split(os.sep)))  # noqa: PTH206
                if os.path.isabs(target):  # noqa: PTH117
                    here = _instead(here, Folder(os.sep))
                continue
            if not parts:
                return here, name
            new = here.inner(name) if make and status is None else Folder(name, within=here)
            here = _instead(here, new)
    except BaseException:
        here.close()
        raise


def check_not_planted(path: str, what: str) -> None:
    """Raise PermissionError if another user may have put what is at ``path``, or a link on the way, for us to find.
    ``what``: its name in the message. Raises OSError."""
    folder, name = locate(path)
    with folder:
        there = folder.status(name)
        if there is not None and was_planted(folder.own_status(), there):
            raise planted(what)


def _instead(old: Folder, new: Folder) -> Folder:
    old.close()
    return new


def planted(what: str) -> PermissionError:
    """Return the error about something that another user may have planted."""
    return PermissionError(errno.EACCES, f"the {what} belongs to another user, in a folder where everybody may write")

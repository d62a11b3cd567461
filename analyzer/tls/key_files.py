"""Key logs as files: those that the user names, those beside a capture, and those that still grow."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from ..errors import UsageError, display_path, how_to_install
from ..files.reading import open_input
from .key_log import KeyLog

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STDIN", "KeyFiles", "decrypts", "notes_on", "read_key_logs"]

STDIN: Final = "-"
_EXTRA: Final = "cryptography"  # the package of the extra `tls`
_BLOCK: Final = 1 << 20


@cache
def decrypts() -> bool:
    """Whether anything can be decrypted: the package for that is installed."""
    try:
        return find_spec(_EXTRA) is not None
    except (ImportError, ValueError):  # it is blocked
        return False


def notes_on(keys: KeyLog) -> list[str]:
    """Return what a person must know of the key logs: lines that are not used, or that nothing can be decrypted."""
    notes = [*keys.notes]
    if keys and not decrypts():
        notes.append(f"nothing was decrypted: the package {_EXTRA} is missing: {how_to_install(_EXTRA)}")
    if keys.left_out:
        notes.append(f"{keys.left_out} lines of key logs are above the limit, and were not used")
    return notes


class KeyFiles:
    """Files with key logs, which are read again when they grow. ``keys``: what they hold."""

    def __init__(self, keys: KeyLog | None = None) -> None:
        self.keys = KeyLog() if keys is None else keys
        self._growing: dict[str, tuple[int, int]] = {}  # by path: descriptor, and octets read; -1: of a pipe

    def add(self, path: str, *, found: bool = False, growing: bool = False) -> None:
        """Read a key log; ``-`` is standard input. ``found``: it is no file that the user named. ``growing``: ``poll``
        reads what is added later. Raises UsageError if it cannot be read."""
        try:
            fd = sys.stdin.fileno() if path == STDIN else open_input(path, found=found)
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                raise IsADirectoryError(21, "it is a folder")
            if growing:
                os.set_blocking(fd, False)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "cannot be opened"
            raise UsageError(f"the key log cannot be read ({reason})", display_path(path), "check the path") from None
        if growing:
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
            self._growing[path] = fd, 0 if regular else -1
            self.keys.may_grow, self.keys.refresh = True, self.poll
            self.poll()
            return
        lines, invalid = self.keys.lines, self.keys.invalid
        try:
            self._read(fd)
        except OSError as error:
            what = f"the key log cannot be read ({error.strerror})"
            raise UsageError(what, display_path(path), "check the path") from None
        finally:
            if path != STDIN:
                os.close(fd)
        self.keys.end()
        self._note(path, self.keys.lines - lines, self.keys.invalid - invalid)

    def _note(self, path: str, lines: int, invalid: int) -> None:
        """Note what was wrong with a file."""
        if invalid and invalid == lines:
            self.keys.notes.append(f"{display_path(path)} is no key log: none of its lines is valid ({lines})")
        elif invalid:
            self.keys.notes.append(f"{display_path(path)}: {invalid} of {lines} lines are not valid, and were not used")

    def poll(self) -> None:
        """Read what was added to growing files."""
        for path, (fd, known) in self._growing.items():
            at = known
            try:
                # By its place: processes that were forked share the position in the file.
                while data := os.read(fd, _BLOCK) if at < 0 else os.pread(fd, _BLOCK, at):
                    self.keys.feed(data)
                    at += len(data) if at >= 0 else 0
            except OSError:
                continue  # nothing has come, or never will: the sessions then have no keys
            finally:
                self._growing[path] = fd, at

    def _read(self, fd: int) -> None:
        while data := os.read(fd, _BLOCK):
            self.keys.feed(data)


def read_key_logs(paths: Sequence[str]) -> KeyLog:
    """Return the keys of the named files. Raises UsageError."""
    files = KeyFiles()
    for path in paths:
        files.add(path)
    return files.keys

"""Key logs as files: those that the user names, those beside a capture, and those that still grow."""

from __future__ import annotations

import os
import stat
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from ..errors import UsageError, display_path, how_to_install
from ..files.reading import open_input
from .key_log import KeyLog

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EXTRA", "STDIN", "KeyFiles", "cannot_decrypt", "companions", "read_key_logs"]

STDIN: Final = "-"
EXTRA: Final = "cryptography"  # the package of the extra `tls`
_ENDINGS: Final = (".keys", ".keylog")
_BLOCK: Final = 1 << 20


def cannot_decrypt() -> str | None:
    """Return why nothing can be decrypted, None if it can: the package is installed."""
    if find_spec(EXTRA) is not None:
        return None
    return f"the package {EXTRA} is missing, so nothing was decrypted: {how_to_install(EXTRA)}"


def companions(capture: str) -> list[str]:
    """Return the key logs beside the capture of that name: NAME.keys and NAME.keylog, for NAME.pcap or NAME.pcap.gz."""
    folder, name = os.path.split(capture)
    stems = [name]
    for ending in (".gz", ".pcap", ".pcapng", ".cap", ".ntar"):
        if stems[-1].lower().endswith(ending):
            stems.append(stems[-1][: -len(ending)])
    paths = [os.path.join(folder, stem + ending) for stem in reversed(stems) if stem for ending in _ENDINGS]  # noqa: PTH118
    return [path for path in paths if path != capture and os.path.isfile(path)]  # noqa: PTH113


class KeyFiles:
    """Files with key logs, which are read again when they grow. ``keys``: what they hold."""

    def __init__(self, keys: KeyLog | None = None) -> None:
        self.keys = KeyLog() if keys is None else keys
        self._open: list[tuple[int, str]] = []

    def add(self, path: str, *, found: bool = False, growing: bool = False) -> None:
        """Read a key log; ``-`` is standard input. ``found``: it is no file that the user named. ``growing``: ``poll``
        reads what is added later. Raises UsageError if it cannot be read."""
        try:
            fd = sys.stdin.fileno() if path == STDIN else open_input(path, found=found)
            if growing:
                os.set_blocking(fd, False)
            elif stat.S_ISDIR(os.fstat(fd).st_mode):
                raise IsADirectoryError(21, "it is a folder")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "cannot be opened"
            raise UsageError(f"the key log cannot be read ({reason})", display_path(path), "check the path") from None
        if growing:
            self._open.append((fd, path))
            self.poll()
            return
        try:
            self._read(fd)
        except OSError as error:
            what = f"the key log cannot be read ({error.strerror})"
            raise UsageError(what, display_path(path), "check the path") from None
        finally:
            if path != STDIN:
                os.close(fd)
        self.keys.end()

    def poll(self) -> None:
        """Read what was added to growing files."""
        for fd, _ in self._open:
            try:
                self._read(fd)
            except OSError:
                continue  # nothing has come, or never will: the sessions then have no keys

    def close(self) -> None:
        """Close growing files."""
        self.keys.end()
        for fd, path in self._open:
            if path != STDIN:
                os.close(fd)
        self._open = []

    def _read(self, fd: int) -> None:
        while data := os.read(fd, _BLOCK):
            self.keys.feed(data)


def read_key_logs(paths: Sequence[str]) -> KeyLog:
    """Return the keys of the named files. Raises UsageError."""
    files = KeyFiles()
    for path in paths:
        files.add(path)
    return files.keys

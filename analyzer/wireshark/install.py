"""Installs the extcap's launcher and the Lua post-dissector in Wireshark's folders, and removes them."""

# Theory
# ------
# The folders differ between versions of Wireshark and between systems, so `tshark -G folders` gives them. Before 4.2 it
# does not print the personal extcap folder; then it is `extcap` in the personal configuration.
#
# Both files contain a line that marks them as files of smtpwire; another file of that name is not changed.

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError, display_path
from ..files.atomic_files import replacing
from ..files.folders import folder_of
from ..files.reading import read_whole
from .extcap import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FileState", "InstalledFile", "folders", "install", "loaded", "places", "uninstall"]

_MARK = "smtpwire wireshark install"

_LONGEST = 1 << 20  # bytes of a file that can be ours; they have some KB
_TSHARK_SECONDS = 60  # tshark runs every installed extcap


class FileState(Enum):
    """The state of a file."""

    INSTALLED = "installed"
    OTHER = "of another version or environment: install again"
    MISSING = "not installed"
    FOREIGN = "a file of another program"


class InstalledFile(NamedTuple):
    """One file: its kind, its path, its content."""

    what: str
    path: Path
    content: str

    def state(self) -> FileState:
        """Return the state of the file at its path."""
        try:
            data, _ = read_whole(self.path, _LONGEST, found=True)
        except (FileNotFoundError, NotADirectoryError):
            return FileState.MISSING
        except OSError:
            return FileState.FOREIGN
        text = data.decode("utf-8", "replace").replace("\r\n", "\n")
        if text == self.content.replace("\r\n", "\n"):
            return FileState.INSTALLED
        return FileState.OTHER if _MARK in text else FileState.FOREIGN


def folders() -> dict[str, Path]:
    """Return Wireshark's folders by tshark's names for them; empty if there is no tshark."""
    found: dict[str, Path] = {}
    for line in _tshark("-G", "folders"):
        name, colon, path = line.partition(":")
        if colon and path.strip():
            found.setdefault(name.strip(), Path(path.strip()))
    return found


def places() -> list[InstalledFile]:
    """Return the files to install for this user."""
    known = folders()
    config = known.get("Personal configuration", _config_home() / "wireshark")
    extcap = known.get("Personal Extcap path", config / "extcap")
    lua = known.get("Personal Lua Plugins", Path.home() / ".local/lib/wireshark/plugins")
    script = resources.files(__package__).joinpath("smtpwire.lua").read_text("utf-8")
    return [
        InstalledFile("extcap", extcap / (f"{INTERFACE}.bat" if os.name == "nt" else INTERFACE), _launcher()),
        InstalledFile("dissector", lua / "smtpwire.lua", script),
    ]


def install() -> Iterator[InstalledFile]:
    """Write the files; yield each after it is written. Raises UsageError if that is not possible."""
    for place in places():
        if place.state() is FileState.FOREIGN:
            raise UsageError("a file of another program has this name", display_path(place.path), "move it away")
        try:
            folder_of(place.path.parent, parents=True).close()
            with replacing(place.path) as stream:
                stream.write(place.content.encode())
            if place.what == "extcap":
                mode = place.path.stat().st_mode & 0o777
                place.path.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it
        except OSError as error:
            raise UsageError(
                f"cannot write ({error.strerror})", display_path(place.path), "make the folder writable for you"
            ) from error
        yield place


def uninstall() -> Iterator[InstalledFile]:
    """Remove the files of smtpwire; yield each that was there. Raises UsageError if that is not possible."""
    for place in places():
        if place.state() not in {FileState.INSTALLED, FileState.OTHER}:
            continue
        try:
            place.path.unlink()
        except OSError as error:
            raise UsageError(
                f"cannot remove ({error.strerror})", display_path(place.path), "make the folder writable for you"
            ) from error
        yield place


def loaded() -> dict[str, bool] | None:
    """Whether tshark has loaded the extcap and the dissector, by ``InstalledFile.what``; None if there is no tshark."""
    if shutil.which("tshark") is None:
        return None
    # A line of -D: the number and a full stop, the name, the description.
    extcap = any(line.split(" ")[1:2] == [INTERFACE] for line in _tshark("-D"))
    dissector = any(line.startswith("smtpwire.lua\t") for line in _tshark("-G", "plugins"))
    return {"extcap": extcap, "dissector": dissector}


def _tshark(*arguments: str) -> Sequence[str]:
    """Return the lines that tshark prints; none if it cannot be run."""
    try:
        run = subprocess.run(
            ["tshark", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TSHARK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return run.stdout.decode(errors="surrogateescape").splitlines()


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _launcher() -> str:
    """Return a script that runs the extcap with the Python in whose environment smtpwire is installed."""
    module = f"{__package__}.extcap"
    if os.name == "nt":
        return f'@echo off\r\nrem {_MARK}\r\n"{sys.executable}" -P -m {module} %*\r\n'
    return f'#!/bin/sh\n# {_MARK}\nexec {shlex.quote(sys.executable)} -P -m {module} "$@"\n'

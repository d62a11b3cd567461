"""Puts the extcap's launcher and the Lua post-dissector where Wireshark looks for them, and takes them away again."""

# Theory
# ------
# The folders differ between versions of Wireshark and between systems, so `tshark -G folders` is asked. Before 4.2 it
# does not print the personal extcap folder, which then is `extcap` in the personal configuration.
#
# Both files carry a line by which they are known to be ours; another file of that name is left alone.

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
from .extcap import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FileState", "InstalledFile", "folders", "install", "loaded", "places", "uninstall"]

_MARK = "smtpwire wireshark install"

_PATIENCE = 60  # seconds for tshark, which runs every extcap there is


class FileState(Enum):
    """How a file stands."""

    INSTALLED = "installed"
    OTHER = "of another version or environment: install again"
    MISSING = "not installed"
    FOREIGN = "a file of somebody else"


class InstalledFile(NamedTuple):
    """One file: what it is, where it belongs, what is in it."""

    what: str
    path: Path
    content: str

    def state(self) -> FileState:
        """How it stands there."""
        try:
            text = self.path.read_text("utf-8", "replace")
        except OSError:
            return FileState.MISSING
        if text == self.content:
            return FileState.INSTALLED
        return FileState.OTHER if _MARK in text else FileState.FOREIGN


def folders() -> dict[str, Path]:
    """Wireshark's folders by the names that tshark has for them; empty where there is no tshark."""
    found: dict[str, Path] = {}
    for line in _tshark("-G", "folders"):
        name, colon, path = line.partition(":")
        if colon and path.strip():
            found.setdefault(name.strip(), Path(path.strip()))
    return found


def places() -> list[InstalledFile]:
    """The files to install for this user."""
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
    """Write the files; yields each when it is there. Raises UsageError where that cannot be."""
    for place in places():
        if place.state() is FileState.FOREIGN:
            raise UsageError("a file of somebody else is in the way", display_path(place.path), "move it away")
        try:
            place.path.parent.mkdir(parents=True, exist_ok=True)
            place.path.write_text(place.content, "utf-8")
            if place.what == "extcap":
                place.path.chmod(0o755)
        except OSError as error:
            raise UsageError(
                f"cannot write ({error.strerror})", display_path(place.path), "make the folder writable for you"
            ) from error
        yield place


def uninstall() -> Iterator[InstalledFile]:
    """Remove the files that are ours; yields each that was there. Raises UsageError where that cannot be."""
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
    """Whether tshark sees the extcap and the dissector, by ``InstalledFile.what``; None where there is no tshark."""
    if shutil.which("tshark") is None:
        return None
    # A line of -D: the number and a full stop, the name, what it is called.
    extcap = any(line.split(" ")[1:2] == [INTERFACE] for line in _tshark("-D"))
    dissector = any(line.startswith("smtpwire.lua\t") for line in _tshark("-G", "plugins"))
    return {"extcap": extcap, "dissector": dissector}


def _tshark(*arguments: str) -> Sequence[str]:
    """What tshark prints; nothing where it cannot be run."""
    try:
        run = subprocess.run(
            ["tshark", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return run.stdout.decode(errors="surrogateescape").splitlines()


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _launcher() -> str:
    """A script that runs the extcap with the Python, and so in the environment, that smtpwire is installed in."""
    module = f"{__package__}.extcap"
    if os.name == "nt":
        return f'@echo off\r\nrem {_MARK}\r\n"{sys.executable}" -P -m {module} %*\r\n'
    return f'#!/bin/sh\n# {_MARK}\nexec {shlex.quote(sys.executable)} -P -m {module} "$@"\n'

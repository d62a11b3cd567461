"""Privileges are needed to open sockets: they are dropped before the first frame is read."""

# Bytes from the wire are hostile, and decoding them needs no privilege. So as soon as the rings are open the process
# becomes an ordinary user, permanently: no capability is left in any set, and no program that it starts could get one
# back. Under sudo that is the user who typed the command, who can then also read the files that were written.

from __future__ import annotations

import ctypes
import os
import sys
from struct import Struct

from ..errors import UsageError, display_path

__all__ = ["drop", "target"]

_NOBODY = "nobody"

_SET_NO_NEW_PRIVILEGES = 38  # linux/prctl.h
_AMBIENT, _AMBIENT_CLEAR_ALL = 47, 4
_VERSION_3 = 0x20080522  # linux/capability.h


def target(name: str | None = None) -> tuple[int, int, list[int]] | None:
    """Return the user to become: user, group, further groups. None: no change, because this process is not root.

    ``name``: a user; without it, the user who called sudo, or else the user nobody. Raises UsageError if the user does
    not exist.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        if name is not None:
            raise UsageError("only root can become another user", f"--user {display_path(name)}", "omit --user")
        return None
    import pwd  # noqa: PLC0415  not on every system

    called = os.environ.get("SUDO_UID", "")
    try:
        if name is not None:
            entry = pwd.getpwnam(name)
        elif called.isdigit() and int(called):
            entry = pwd.getpwuid(int(called))
        else:
            entry = pwd.getpwnam(_NOBODY)
    except KeyError:
        who = name or called or _NOBODY
        raise UsageError("no such user", display_path(who), "name one with --user") from None
    if name is None and entry.pw_name == _NOBODY:
        return entry.pw_uid, entry.pw_gid, []
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)


def drop(who: tuple[int, int, list[int]] | None) -> None:
    """Become ``who`` (None: stay) and drop every capability. Raises OSError if the system does not allow it."""
    if who is not None:
        user, group, groups = who
        os.setgroups(groups)
        os.setgid(group)
        os.setuid(user)
    if sys.platform.startswith("linux"):
        _drop_capabilities()


def _drop_capabilities() -> None:
    """Empty the effective, permitted, inheritable and ambient sets, and prevent any program from restoring them."""
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.create_string_buffer(Struct("=6I").pack(0, 0, 0, 0, 0, 0), 24)
    head = ctypes.create_string_buffer(Struct("=Ii").pack(_VERSION_3, 0), 8)
    libc.prctl(_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)  # fails before Linux 4.3, where there is no such set
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.capset(head, nothing):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

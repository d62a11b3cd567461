"""Privileges are needed to open sockets: they are dropped, and this is checked, before the first frame is read."""

# Theory
# ------
# Bytes from the wire are hostile, and decoding them needs no privilege. So as soon as the sockets are open the process
# becomes an ordinary user, permanently: no capability is left in any set, and no program that it starts could get one
# back. Under sudo that is the user who typed the command, who can then also read the files that were written. The
# system may refuse one of the steps without an error (a container, a filter of system calls), so the result is read
# back.
#
# That user may not be allowed to read Python's files. So everything that an audit loads late is loaded before: modules
# that are imported inside functions (a test compares the list with the code), and codecs.

from __future__ import annotations

import codecs
import ctypes
import os
import sys
from importlib import import_module
from struct import Struct
from typing import NamedTuple

from ..errors import UsageError, display_path
from ..tls.key_files import decrypts

__all__ = ["DECRYPTING", "LATE", "User", "become", "is_root", "target", "user_name"]

_NOBODY = "nobody"

_SET_NO_NEW_PRIVILEGES, _GET_NO_NEW_PRIVILEGES = 38, 39  # linux/prctl.h
_AMBIENT, _AMBIENT_IS_SET, _AMBIENT_CLEAR_ALL = 47, 1, 4
_VERSION_3 = 0x20080522  # linux/capability.h
_LAST_CAPABILITY = 63

DECRYPTING = ("..tls.ciphers", "cryptography.hazmat.decrepit.ciphers")
"""Modules that an audit imports for its first TLS session with keys, if the package for that is installed."""

LATE = (
    "..exchanges.tls_report",
    "..tls.certificates",
    "..tls.receiver",
    "..tls.session",
    "..segments.scapy_decoder",
    "..findings.baseline",
    "..redact.people",
    "..redact.pseudonyms",
    "..reports.styled_text",
    "..config",
    "difflib",
    "ipaddress",
    "inspect",
    "rich.color",
    "rich.style",
    "secrets",
    "socket",
    "tomllib",
    "unicodedata",
)
"""Modules that an audit imports when it needs them: for tunnels, TLS, settings (also after SIGHUP), host names, a
misspelled name, colour."""

_CODECS = ("ascii", "latin-1", "iso8859-1", "utf-8", "utf-8-sig", "utf-16", "idna", "punycode", "unicode_escape")


class User(NamedTuple):
    """A user to become, with the groups."""

    user: int
    group: int
    groups: list[int]


def is_root() -> bool:
    """Whether this process has the rights of root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def user_name() -> str:
    """Return the name of the user that this process is, or the number if it has no name."""
    if not hasattr(os, "geteuid"):
        return "unknown"
    import pwd  # noqa: PLC0415  not on every system

    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def target(name: str | None = None) -> User | None:
    """Return the user to become. None: no change, because this process is not root.

    ``name``: a user; without it, the user who called sudo, or else the user nobody. Raises UsageError if the user does
    not exist.
    """
    if not is_root():
        if name is not None:
            raise UsageError("only root can become another user", f"--user {display_path(name)}", "omit --user")
        return None
    import pwd  # noqa: PLC0415  not on every system

    called = os.environ.get("SUDO_UID", "")
    try:
        if name is not None:
            entry = pwd.getpwnam(name)
        elif called.isascii() and called.isdigit() and int(called):
            entry = pwd.getpwuid(int(called))
        else:
            entry = pwd.getpwnam(_NOBODY)
    except (KeyError, OverflowError, ValueError):
        who = name or called or _NOBODY
        raise UsageError("no such user", display_path(who), "name one with --user") from None
    if name is None and entry.pw_name == _NOBODY:
        return User(entry.pw_uid, entry.pw_gid, [])
    return User(entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid))


def become(who: User | None) -> None:
    """Become ``who`` (None: stay), drop every capability, and check that both happened. Everything that is loaded late
    is loaded before. Raises UsageError if the system does not allow it."""
    for name in (*LATE, *(DECRYPTING if decrypts() else ())):
        import_module(name, __package__)
    for name in _CODECS:
        codecs.lookup(name)
    try:
        if who is not None:
            os.setgroups(who.groups)
            os.setgid(who.group)
            os.setuid(who.user)
        if sys.platform.startswith("linux"):
            _drop_capabilities()
        kept = _kept(who)
    except OSError as error:
        kept = error.strerror or str(error)
    if kept is not None:
        raise UsageError(f"the privileges cannot be dropped ({kept})", "smtpwire live", "run it as an ordinary user")


def _kept(who: User | None) -> str | None:
    """Return what is left of the privileges; None if nothing is."""
    if who is not None:
        if {*_users()} != {who.user}:
            return "it is still another user"
        if {*_groups()} != {who.group} or not set(os.getgroups()) <= {*who.groups, who.group}:
            return "it still has other groups"
        if who.user and _becomes_root():
            return "it can become root again"
    if sys.platform.startswith("linux"):
        return _kept_capabilities()
    return None


def _users() -> tuple[int, ...]:
    return os.getresuid() if hasattr(os, "getresuid") else (os.getuid(), os.geteuid())


def _groups() -> tuple[int, ...]:
    return os.getresgid() if hasattr(os, "getresgid") else (os.getgid(), os.getegid())


def _becomes_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True


def _drop_capabilities() -> None:
    """Empty the effective, permitted, inheritable and ambient sets, and prevent any program from restoring them."""
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.create_string_buffer(Struct("=6I").pack(0, 0, 0, 0, 0, 0), 24)
    head = ctypes.create_string_buffer(Struct("=Ii").pack(_VERSION_3, 0), 8)
    libc.prctl(_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)  # fails before Linux 4.3, where there is no such set
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.capset(head, nothing):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _kept_capabilities() -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    sets = ctypes.create_string_buffer(b"\xff" * 24, 24)
    head = ctypes.create_string_buffer(Struct("=Ii").pack(_VERSION_3, 0), 8)
    if libc.capget(head, sets) or any(sets.raw):
        return "it still has capabilities"
    if any(libc.prctl(_AMBIENT, _AMBIENT_IS_SET, number, 0, 0) == 1 for number in range(_LAST_CAPABILITY + 1)):
        return "it still has ambient capabilities"
    if libc.prctl(_GET_NO_NEW_PRIVILEGES, 0, 0, 0, 0) != 1:
        return "it can still get new ones"
    return None

"""The configuration file: the settings of every run in a directory, and where each value comes from."""

# Theory
# ------
# The nearest `smtpwire.toml`, or `pyproject.toml` with a table [tool.smtpwire], is used: the search goes from the
# working directory upwards, and ends at the home directory or at the root of a repository: what is above belongs to
# something else. Files further up are not merged in, so all settings are in one file. The command line overrides the
# file, and every report names it.
#
# If a misspelled setting were silently ignored, an audit could look clean. So every key and every value is checked,
# and errors are reported with file and line. tomllib gives no positions. The line is found by searching the text for
# the key; only text that looks like TOML inside a multi-line string can mislead this search.

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct, field
from msgspec.structs import replace

from ..dissectors.lazy_regex import LazyPattern
from .enums import Profile, Redact, ReportFormat, Require
from .errors import UsageError, display_path, nearest
from .files.ownership import everybody_may_write, is_ours
from .files.reading import read_whole
from .findings.suppress import Peer
from .limits import DEFAULT_LIMITS, SETTINGS_BYTES, Limits
from .rules import resolve
from .run import FailOn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Network, IPv6Network

__all__ = ["DEFAULT", "FILE_NAME", "Config", "find_config", "read_config"]

FILE_NAME = "smtpwire.toml"
PROJECT_FILE = "pyproject.toml"
DEFAULT = "default"

_REPOSITORY = (".git", ".hg", ".svn", ".jj")

Key = str | int
Place = tuple[Key, ...]


class Config(Struct, frozen=True):
    """The settings of a run. ``origins``: for each setting that is not a default, where it was set. ``path``: the file;
    None if there is none.

    ``ports``: further SMTP server ports, in addition to the usual ones. ``baseline``: relative to the directory of the
    file that names it.
    """

    profile: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = FailOn.ERROR.value
    format: str = ReportFormat.TEXT.value
    redact: str = Redact.SECRETS.value
    ports: tuple[int, ...] = ()
    baseline: Path | None = None
    require: str | None = None
    known_codes: tuple[int, ...] = ()
    peers: tuple[Peer, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    origins: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None

    def origin(self, name: str) -> str:
        """Return where the setting ``name`` was set (spelled as in the file, limits as ``limits.NAME``)."""
        return self.origins.get(name, DEFAULT)


def find_config(start: Path, home: Path | None = None) -> Path | None:
    """Return the configuration file for the directory ``start``; None if there is none. The last directory that is
    searched is ``home``, or the root of a repository."""
    for directory in (start, *start.parents):
        for name in (FILE_NAME, PROJECT_FILE):
            found = directory / name
            if os.path.isfile(found) and (name == FILE_NAME or _has_our_table(found)):  # noqa: PTH113  a long name is no error
                return found
        if directory == home or any(os.path.exists(directory / name) for name in _REPOSITORY):  # noqa: PTH110
            return None
    return None


def _check_trusted(path: Path, status: os.stat_result) -> None:
    """Raise UsageError if another user may have made the settings file, or may change it: it can switch off every rule.
    ``status``: of the file that was read. Raises OSError."""
    if not is_ours(status) or not is_ours(path.lstat()):
        what = "the settings file belongs to another user"
    elif everybody_may_write(path.parent.stat()):
        what = "the settings file is in a folder where everybody may write"
    elif everybody_may_write(status):
        what = "everybody may write into the settings file"
    else:
        return
    raise UsageError(what, display_path(path), "name it with --config if you trust it, or add --no-config")


def _has_our_table(project: Path) -> bool:
    """Whether the file has a table [tool.smtpwire]. A project file that cannot be read is ignored."""
    try:
        text = read_whole(project, SETTINGS_BYTES, found=True)[0].decode("utf-8")
        return "tool" in text and "smtpwire" in text and "smtpwire" in _parsed(text).get("tool", {})
    except (OSError, ValueError, TypeError):  # TypeError: "tool" is no table
        return False


def _parsed(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError."""
    import tomllib  # noqa: PLC0415 - most runs have no file and do not need the parser

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None


def read_config(path: Path, *, found: bool = False) -> Config:
    """Return the settings in the file ``path``. Raises UsageError with file and line for anything invalid.

    ``found``: nobody named the file. Then it is also an error if another user may have made it.
    """
    return _Reader(path).read(found=found)


def _universal(text: str) -> str:
    """Return ``text`` with line feeds for all line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _WrongValue(Exception):
    """A value is invalid; the text says what is expected."""


class _Reader:
    """Reads one file and keeps its text to find line numbers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = display_path(path)
        self._text = ""
        self._lines: dict[Place, int] = {}
        self._root: Place = ()
        self._origins: dict[str, str] = {}

    def read(self, *, found: bool) -> Config:
        try:
            data, status = read_whole(self._path, SETTINGS_BYTES, found=found)
            if found:
                _check_trusted(self._path, status)
            self._text = _universal(data.decode("utf-8"))
        except OSError as error:
            raise UsageError(
                f"cannot read ({error.strerror})", self._name, "name another file with --config"
            ) from error
        except UnicodeDecodeError as error:
            raise UsageError("not UTF-8 text", self._name, "a configuration file is TOML") from error
        try:
            table: Any = _parsed(self._text)
        except ValueError as error:
            what, _, position = str(error).partition(" (at line ")
            line = position.partition(",")[0]
            place = f"{self._name}:{line}" if line.isdigit() else self._name
            raise UsageError("invalid TOML", place, what[:1].lower() + what[1:]) from error
        self._lines = _lines(self._text)
        if self._path.name == PROJECT_FILE:
            self._root = ("tool", "smtpwire")
            table = table.get("tool", {}).get("smtpwire", {})
            if not isinstance(table, dict):
                self._wrong((), "tool.smtpwire", "a table")
        return self._config(table)

    def _config(self, table: dict[str, Any]) -> Config:
        self._check_keys(table, (), [*_SETTINGS, *_TABLES])
        found: dict[str, Any] = {}
        for name, value in table.items():
            place = (name,)
            if name == "limits":
                found["limits"] = self._limits(value)
            elif name == "per-peer":
                found["peers"] = self._peers(value)
            else:
                found[name.replace("-", "_")] = self._value(name, place, value, _SETTINGS[name])
            if name != "limits":
                self._origins[name] = self._where(place)
        if found.get("baseline") is not None:
            found["baseline"] = self._path.parent / found["baseline"]
        return Config(**found, origins=self._origins, path=self._path)

    def _limits(self, table: object) -> Limits:
        if not isinstance(table, dict):
            self._wrong(("limits",), "limits", "a table of numbers")
        names = [name.replace("_", "-") for name in Limits.__struct_fields__]
        self._check_keys(table, ("limits",), names)
        changed = {}
        for name, value in table.items():
            changed[name.replace("-", "_")] = self._value(name, ("limits", name), value, _count)
            self._origins[f"limits.{name}"] = self._where(("limits", name))
        return replace(DEFAULT_LIMITS, **changed)

    def _peers(self, tables: object) -> tuple[Peer, ...]:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._wrong(("per-peer",), "per-peer", "a list of tables: write [[per-peer]]")
        return tuple(self._peer(table, ("per-peer", number)) for number, table in enumerate(tables))

    def _peer(self, table: dict[str, Any], place: Place) -> Peer:
        self._check_keys(table, place, _PEER)
        values = {name: self._value(name, (*place, name), value, _PEER[name]) for name, value in table.items()}
        if not values.get("ignore"):
            self._fail("per-peer does not say what to ignore", place, 'add for example ignore = ["SEQ"]')
        if "client" not in values and "server" not in values:
            self._fail("per-peer names no host", place, 'add for example client = "10.0.0.0/8", or server')
        return Peer(values.get("client"), values.get("server"), resolve(values["ignore"]))

    def _value(self, name: str, place: Place, value: object, read: Callable[[object], Any]) -> Any:
        try:
            return read(value)
        except _WrongValue as error:
            self._wrong(place, name, str(error))
        except UsageError as error:
            self._fail(f"{error.what} {error.where}", place, error.hint)

    def _check_keys(self, table: Mapping[str, Any], place: Place, known: Iterable[str]) -> None:
        known = list(known)
        for name in table:
            if name not in known:
                near = nearest(name.lower().replace("_", "-"), known)
                hint = f"did you mean {near}?" if near else f"known settings: {', '.join(known)}"
                self._fail(f"no such setting {name}", (*place, name), hint)

    def _wrong(self, place: Place, name: str, expected: str) -> NoReturn:
        self._fail(f"wrong value of {name}", place, f"expected {expected}")

    def _fail(self, what: str, place: Place, hint: str) -> NoReturn:
        raise UsageError(what, self._where(place), hint)

    def _where(self, place: Place) -> str:
        """Return ``file:line``. If the line of ``place`` is not found, the line of the nearest enclosing table."""
        whole = (*self._root, *place)
        for length in range(len(whole), 0, -1):
            line = self._lines.get(whole[:length])
            if line is not None:
                return f"{self._name}:{line}"
        return self._name


_HEADER = LazyPattern(r"[ \t]*(\[\[?)([^\[\]]+)\]")
_ASSIGNED = LazyPattern(r"([A-Za-z0-9_\-.\"' \t]++)=")


def _lines(text: str) -> dict[Place, int]:
    """Return the line (from 1) of each table and key of a TOML document; elements of arrays of tables are numbered."""
    found: dict[Place, int] = {}
    table: Place = ()
    elements: dict[Place, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _path(header[2])
            if header[1] == "[[":
                elements[table] = elements.get(table, -1) + 1
                found.setdefault(table, number)
                table = (*table, elements[table])
            found.setdefault(table, number)
            continue
        assigned = _ASSIGNED.match(line)
        if assigned:
            keys = _path(assigned[1])
            for length in range(1, len(keys) + 1):
                found.setdefault((*table, *keys[:length]), number)
    return found


def _path(dotted: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


# -- values: each function takes a TOML value and returns the setting, or raises _WrongValue with what is expected -----


def _choice(words: Iterable[str]) -> Callable[[object], str]:
    allowed = list(words)

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise _WrongValue(f"one of {', '.join(allowed)}")
        return value

    return read


def _rules(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _WrongValue('a list of rules: ["SEQ101", "BIT"]')
    resolve(value)
    return tuple(value)


def _chosen(value: object) -> tuple[str, ...]:
    chosen = _rules(value)
    if not chosen:
        raise _WrongValue("at least one rule; without this setting, all rules are asked")
    return chosen


def _ports(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(port) is int and 0 < port < 65536 for port in value):
        raise _WrongValue("a list of numbers from 1 to 65535")
    return tuple(value)


def _codes(value: object) -> tuple[int, ...]:
    # RFC 5321 §4.2: a client cannot understand a code outside these bounds as a reply code.
    if not isinstance(value, list) or not all(type(code) is int and 200 <= code < 600 for code in value):
        raise _WrongValue("a list of reply codes from 200 to 599")
    return tuple(value)


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise _WrongValue("a number, 0 for no limit")
    return value


def _file(value: object) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _WrongValue("the name of a file")
    return Path(value)


def _network(value: object) -> IPv4Network | IPv6Network:
    from ipaddress import ip_network  # noqa: PLC0415 - loaded only if hosts are named

    try:
        return ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError as error:
        raise _WrongValue('an address or a network: "192.0.2.1", "10.0.0.0/8", "2001:db8::/32"') from error


_SETTINGS: dict[str, Callable[[object], Any]] = {
    "profile": _choice(Profile),
    "select": _chosen,
    "ignore": _rules,
    "fail-on": _choice(FailOn),
    "format": _choice(ReportFormat),
    "redact": _choice(Redact),
    "ports": _ports,
    "known-codes": _codes,
    "baseline": _file,
    "require": _choice(Require),
}
_TABLES = ("per-peer", "limits")
_PEER: dict[str, Callable[[object], Any]] = {"client": _network, "server": _network, "ignore": _rules}

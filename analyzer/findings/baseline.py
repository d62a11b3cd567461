"""Known findings: written to a file once, omitted from later reports, so that only new findings show."""

# Theory
# ------
# An entry must match the same violation in another run of the same software, and it must not hide another violation.
# So it contains the parts that stay the same (rule, side, the server's address and port) and the shape of the line: of
# a command the verb, parameter names and punctuation (a missing bracket shows, the mailbox does not), of a reply its
# codes, of a message the name of the header field. Names, numbers, queue ids, times and the client's port are not in
# it. Counts are not in it either: a known fault that occurs more often is still known.

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..errors import UsageError, display_path
from ..files.atomic_files import replacing
from ..files.reading import read_whole
from ..limits import BASELINE_BYTES

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable

    from ..model import Connection, Finding

__all__ = ["Baseline", "Entry", "entry", "fingerprint", "read_baseline", "write_baseline"]

SCHEMA = 1
MAX_SHAPE = 80  # characters of a line that are compared

_REPLY = re.compile(r"([0-9]{3})(?:[ -]+([245]\.[0-9]{1,3}\.[0-9]{1,3})\b)?")
_FIELD = re.compile(r"([!-9;-~]{1,40})[ \t]*:")
_PARAMETER = re.compile(r"(?<= )([A-Za-z0-9-]{1,40})=\S*")
_ESCAPES = re.compile(r"(?:\\x[0-9a-f]{2})+")
_MARK = re.compile(r"\[[0-9]{1,9} bytes? not shown\]")
# A word: any characters except blanks, the punctuation of the command grammar, and the backslash of escapes.
_WORD = re.compile(r"[^\s<>@:;,\"()\[\]=\\]+")


class Entry(NamedTuple):
    """What identifies a known finding."""

    rule: str
    server: str
    side: str
    shape: str


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """An entry in the file."""

    rule: str
    server: str
    side: str
    shape: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    smtpwire_baseline: int
    findings: list[_Line]


def entry(finding: Finding, connection: Connection) -> Entry:
    """Return the entry of ``finding``, which belongs to ``connection``."""
    server = connection.server
    host = f"[{server.address}]" if ":" in server.address else server.address
    return Entry(finding.rule, f"{host}:{server.port}", finding.side, _shape(finding, connection)[:MAX_SHAPE])


def fingerprint(finding: Finding, connection: Connection) -> str:
    """Return the entry of ``finding`` as 32 hexadecimal digits, for report formats that have such a field."""
    return sha256("\0".join(entry(finding, connection)).encode()).hexdigest()[:32]


def _shape(finding: Finding, connection: Connection) -> str:
    text = _MARK.sub("*", finding.evidence)
    kind = "" if finding.turn is None else connection.dialogue[finding.turn].__struct_config__.tag
    if kind == "reply":
        found = _REPLY.match(text)
        return " ".join(filter(None, found.groups())) if found else ""
    if kind == "message":
        found = _FIELD.match(text)
        return f"{found[1].lower()}:" if found else ""
    if kind == "command":
        verb, blank, argument = text.partition(" ")
        if not verb.isascii() or len(verb) > 16 or not verb.isalnum():
            return _words(text)
        kept = ""
        if verb.upper() == "AUTH":  # the mechanism matters for what is wrong with the command
            kept, more, argument = argument.partition(" ")
            kept += more
            argument = "*" if argument else ""  # the initial response
        return f"{verb.upper()}{blank}{kept.upper()}{_words(argument)}"
    return ""  # the finding is about the whole connection, or about unknown bytes


def _words(text: str) -> str:
    named = _PARAMETER.sub(lambda found: f"\0{found[1].upper()}\0=", " " + text)
    parts = named[1:].split("\0")
    # Every second part is a parameter name; the other parts are reduced to their punctuation.
    return "".join(part if n % 2 else _WORD.sub("*", _ESCAPES.sub(r"\\", part)) for n, part in enumerate(parts))


class Baseline:
    """Known findings, and which of them occurred. ``suppressed`` counts findings, ``stale`` entries that never
    occurred. ``name``: that of the file, for reports."""

    def __init__(self, entries: Iterable[Entry], name: str = "") -> None:
        self.name = name
        self._known = frozenset(entries)
        self._matched: set[Entry] = set()
        self.suppressed = 0

    @property
    def stale(self) -> int:
        """Number of entries that no finding has matched so far."""
        return self._stale(())

    def _stale(self, not_asked: Collection[str]) -> int:
        return sum(one.rule not in not_asked for one in self._known - self._matched)

    def summary(self, not_asked: Collection[str] = ()) -> str:
        """Return one line with both counts. ``not_asked``: rules whose entries may match another time."""
        findings = "finding" if self.suppressed == 1 else "findings"
        stale = self._stale(not_asked)
        entries = "entry is" if stale == 1 else "entries are"
        return f"baseline: {self.suppressed:,} known {findings} omitted, {stale:,} {entries} stale"

    @property
    def matched(self) -> frozenset[Entry]:
        """The entries that occurred so far."""
        return frozenset(self._matched)

    def add(self, suppressed: int, matched: Iterable[Entry]) -> None:
        """Add what the same baseline counted in another process."""
        self.suppressed += suppressed
        self._matched.update(matched)

    def knows(self, finding: Finding, connection: Connection) -> bool:
        """Whether ``finding`` is known. A known finding is counted."""
        found = entry(finding, connection)
        if found not in self._known:
            return False
        self._matched.add(found)
        self.suppressed += 1
        return True


def read_baseline(path: str | os.PathLike[str], *, missing_ok: bool = False) -> Baseline:
    """Return the baseline in the file ``path``. Raises UsageError if it cannot be read or is not a baseline.

    ``missing_ok``: if there is no file, the baseline is empty.
    """
    where = display_path(path)
    try:
        data, _ = read_whole(path, BASELINE_BYTES)
    except FileNotFoundError as error:
        if missing_ok:
            return Baseline(())
        raise UsageError("no such baseline", where, "write it with smtpwire baseline write") from error
    except OSError as error:
        raise UsageError(
            f"cannot read the baseline ({error.strerror})", where, "write it with smtpwire baseline write"
        ) from error
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a baseline ({error})", where, "write it with smtpwire baseline write") from error
    if file.smtpwire_baseline != SCHEMA:
        raise UsageError("a baseline of another version", where, "write it again with smtpwire baseline write")
    return Baseline((Entry(line.rule, line.server, line.side, line.shape) for line in file.findings), where)


def write_baseline(path: str | os.PathLike[str], entries: Iterable[Entry]) -> int:
    """Write ``entries`` to the file ``path``, sorted and without duplicates; return their number.

    The old file stays until the new one is complete. Raises UsageError if the file cannot be written, or if ``path`` is
    a file that is not a baseline: it may be a capture of the user.
    """
    read_baseline(path, missing_ok=True)
    lines = [_Line(*one) for one in sorted(set(entries))]
    text = msgspec.json.format(msgspec.json.encode(_File(SCHEMA, lines)), indent=1) + b"\n"
    with replacing(path) as stream:
        stream.write(text)
    return len(lines)

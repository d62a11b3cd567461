"""Findings that are known: written down once, left out of later reports, so that only what is new shows."""

# Theory
# ------
# An entry has to mean the same breach in another run of the same software, and another breach must not hide behind it.
# So it holds what stays (rule, side, the server's address and port) and the shape of what was said: of a command the
# verb, parameter names and punctuation (a missing bracket shows, whose mailbox it was does not), of a reply its codes,
# of a message the name of the header field. Names, numbers, queue ids, times and the client's port are in none of it.
# Counts are not in it either: a known fault that occurs more often is still known.

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..atomic_files import replacing
from ..errors import UsageError, display_path

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from ..model import Connection, Finding

__all__ = ["Baseline", "Entry", "entry", "fingerprint", "read_baseline", "write_baseline"]

SCHEMA = 1
MAX_SHAPE = 80  # characters: a longer line is told apart by no more

_REPLY = re.compile(r"([0-9]{3})(?:[ -]+([245]\.[0-9]{1,3}\.[0-9]{1,3})\b)?")
_FIELD = re.compile(r"([!-9;-~]{1,40})[ \t]*:")
_PARAMETER = re.compile(r"(?<= )([A-Za-z0-9-]{1,40})=\S*")
_ESCAPES = re.compile(r"(?:\\x[0-9a-f]{2})+")
# A word of anything but the punctuation that the grammar of commands is made of, and of escapes.
_WORD = re.compile(r"[^\s<>@:;,\"()\[\]=\\]+")


class Entry(NamedTuple):
    """What a finding is known by."""

    rule: str
    server: str
    side: str
    shape: str


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """An entry as the file holds it."""

    rule: str
    server: str
    side: str
    shape: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    smtpwire_baseline: int
    findings: list[_Line]


def entry(finding: Finding, connection: Connection) -> Entry:
    """The entry that stands for ``finding``, which is one of ``connection``."""
    server = connection.server
    host = f"[{server.address}]" if ":" in server.address else server.address
    return Entry(finding.rule, f"{host}:{server.port}", finding.side, _shape(finding, connection)[:MAX_SHAPE])


def fingerprint(finding: Finding, connection: Connection) -> str:
    """The entry of ``finding`` as 32 hexadecimal digits, for report formats that want such a thing."""
    return sha256("\0".join(entry(finding, connection)).encode()).hexdigest()[:32]


def _shape(finding: Finding, connection: Connection) -> str:
    text = finding.evidence
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
        if verb.upper() == "AUTH":  # which mechanism it was is the point of what is wrong with it
            kept, more, argument = argument.partition(" ")
            kept += more
            argument = "*" if argument else ""  # shown or not, it is a secret
        return f"{verb.upper()}{blank}{kept.upper()}{_words(argument)}"
    return ""  # of the connection as a whole, or bytes of no known meaning


def _words(text: str) -> str:
    named = _PARAMETER.sub(lambda found: f"\0{found[1].upper()}\0=", " " + text)
    parts = named[1:].split("\0")
    # Every second part is the name of a parameter; the others are reduced to their punctuation.
    return "".join(part if n % 2 else _WORD.sub("*", _ESCAPES.sub(r"\\", part)) for n, part in enumerate(parts))


class Baseline:
    """Known findings, and what of them was met: ``suppressed`` counts findings, ``stale`` entries never met."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._known = frozenset(entries)
        self._met: set[Entry] = set()
        self.suppressed = 0

    @property
    def stale(self) -> int:
        """Entries that no finding has matched so far."""
        return len(self._known) - len(self._met)

    def told(self) -> str:
        """Both counts in a line."""
        findings = "finding" if self.suppressed == 1 else "findings"
        entries = "entry is" if self.stale == 1 else "entries are"
        return f"baseline: {self.suppressed:,} known {findings} left out, {self.stale:,} {entries} stale"

    def knows(self, finding: Finding, connection: Connection) -> bool:
        """Whether ``finding`` is known; counted if it is."""
        found = entry(finding, connection)
        if found not in self._known:
            return False
        self._met.add(found)
        self.suppressed += 1
        return True


def read_baseline(path: str | os.PathLike[str], *, missing_ok: bool = False) -> Baseline:
    """The baseline in the file ``path``. Raises UsageError where it cannot be read or is none.

    ``missing_ok``: no file is an empty baseline.
    """
    where = display_path(path)
    try:
        data = Path(path).read_bytes()
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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"no baseline ({error})", where, "write it with smtpwire baseline write") from error
    if file.smtpwire_baseline != SCHEMA:
        raise UsageError("a baseline of another version", where, "write it anew with smtpwire baseline write")
    return Baseline(Entry(line.rule, line.server, line.side, line.shape) for line in file.findings)


def write_baseline(path: str | os.PathLike[str], entries: Iterable[Entry]) -> int:
    """Write ``entries`` to the file ``path``, sorted and each once; gives their number.

    The old file stays until the new one is whole. Raises UsageError where it cannot be written, or where ``path`` is a
    file that is no baseline: it may be somebody's capture.
    """
    read_baseline(path, missing_ok=True)
    lines = [_Line(*one) for one in sorted(set(entries))]
    text = msgspec.json.format(msgspec.json.encode(_File(SCHEMA, lines)), indent=1) + b"\n"
    with replacing(path) as stream:
        stream.write(text)
    return len(lines)

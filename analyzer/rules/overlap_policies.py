"""How kinds of receivers resolve overlapping segments with different bytes, and what each of them reads."""

# Theory
# ------
# TCP does not define which copy a receiver keeps if two segments have the same sequence numbers and different bytes.
# Implementations differ, and an attacker who knows the kind of the victim can make an auditor read other bytes than the
# victim (Ptacek and Newsham, 1998; Shankar and Paxson, 2003; Novak and Sturges, 2007). Five kinds are compared:
#
#   first     the copy that arrived first
#   last      the copy that arrived last
#   BSD       the copy whose segment starts earlier; if both start at the same offset, the first
#   Linux     the same; if both start at the same offset, the last
#   Windows   the first, unless the later segment extends beyond it on both sides
#
# This concerns only bytes after a gap. The next byte in the stream is delivered to the application at once, and a later
# copy cannot change it: there every kind keeps the first copy.

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from ...dissectors.printable import printable
from .phrases import Phrase, Secret, Term, Text

__all__ = ["AFTER", "BEFORE", "RECEIVERS", "Copy", "described", "read", "readings"]

BEFORE, AFTER = 24, 48  # bytes around a difference that are compared


class Copy(Struct, frozen=True):
    """The bytes of a segment and their offset in the stream."""

    start: int
    payload: bytes

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.start + len(self.payload)


_Wins = Callable[[Copy, Copy], bool]

RECEIVERS: dict[str, _Wins] = {
    "first": lambda old, new: False,
    "last": lambda old, new: True,
    "BSD": lambda old, new: new.start < old.start,
    "Linux": lambda old, new: new.start <= old.start,
    "Windows": lambda old, new: new.start < old.start and new.end > old.end,
}
"""For each kind of receiver: whether ``new`` replaces the bytes of ``old``, which arrived before it."""


def read(receiver: str, copies: Sequence[Copy], start: int, end: int) -> bytes:
    """Return the bytes of ``receiver`` between two offsets after ``copies`` arrived in this order, up to the first byte
    that no copy contains."""
    wins = RECEIVERS[receiver]
    owners: list[Copy | None] = [None] * (end - start)
    for new in copies:
        for offset in range(max(start, new.start), min(end, new.end)):
            old = owners[offset - start]
            if old is None or wins(old, new):
                owners[offset - start] = new
    found = bytearray()
    for offset, owner in enumerate(owners, start):
        if owner is None:
            break
        found.append(owner.payload[offset - owner.start])
    return bytes(found)


def readings(copies: Sequence[Copy], at: int) -> dict[bytes, list[str]]:
    """Return what the receivers read around offset ``at``, at which two of ``copies`` differ: each reading with its
    receivers."""
    missing = [offset for offset in range(at - BEFORE, at) if not any(one.start <= offset < one.end for one in copies)]
    start = missing[-1] + 1 if missing else at - BEFORE
    found: dict[bytes, list[str]] = {}
    for receiver in RECEIVERS:
        found.setdefault(read(receiver, copies, start, at + AFTER), []).append(receiver)
    return found


def described(copies: Sequence[Copy], at: int, *, secret: bool = False) -> Phrase | None:
    """Describe the readings in a sentence; None if all receivers agree. ``secret``: they may contain a part of a
    login."""
    found = readings(copies, at)
    if len(found) < 2:
        return None
    quoted = Secret if secret else Text
    parts = [
        Phrase(
            "{receivers}: {reading}", receivers=Term(" and ".join(receivers)), reading=quoted(printable(text))
        ).numbered(number)
        for number, (text, receivers) in enumerate(found.items(), 1)
    ]
    return Phrase("Receivers differ in what they read. {readings}.", readings=Phrase.joined("; ", parts))

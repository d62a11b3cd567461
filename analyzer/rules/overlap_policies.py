"""What kinds of receivers make of segments that overlap with other bytes: the differential view behind an evasion."""

# Theory
# ------
# TCP does not say which copy wins where two segments claim the same place and differ. Receivers decided for themselves,
# and an attacker who knows the victim's kind can show an auditor other bytes than the victim reads (Ptacek and Newsham,
# 1998; Shankar and Paxson, 2003; Novak and Sturges, 2007). Five kinds are compared:
#
#   first     the copy that came first
#   last      the copy that came last
#   BSD       the copy whose segment begins earlier; where both begin together, the first
#   Linux     the same; where both begin together, the last
#   Windows   the first, unless the later segment reaches beyond it on both sides
#
# All this concerns bytes behind a hole. What is next in its stream goes to the application at once, and no later copy
# can change it: there every kind has the first.

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from ...dissectors.printable import printable

__all__ = ["RECEIVERS", "Copy", "described", "read", "readings"]

BEFORE, BEHIND = 24, 48  # bytes around a difference that are compared


class Copy(Struct, frozen=True):
    """A segment's bytes and the offset at which they stand."""

    start: int
    payload: bytes

    @property
    def end(self) -> int:
        """Offset behind the last byte."""
        return self.start + len(self.payload)


_Wins = Callable[[Copy, Copy], bool]

RECEIVERS: dict[str, _Wins] = {
    "first": lambda old, new: False,
    "last": lambda old, new: True,
    "BSD": lambda old, new: new.start < old.start,
    "Linux": lambda old, new: new.start <= old.start,
    "Windows": lambda old, new: new.start < old.start and new.end > old.end,
}
"""By name of the receiver: whether ``new`` replaces the bytes of ``old``, which came before it."""


def read(receiver: str, copies: Sequence[Copy], start: int, end: int) -> bytes:
    """What ``receiver`` has between two offsets when ``copies`` came in this order; ends at the first byte of none."""
    wins = RECEIVERS[receiver]
    owners: list[Copy | None] = [None] * (end - start)
    for new in copies:
        for place in range(max(start, new.start), min(end, new.end)):
            old = owners[place - start]
            if old is None or wins(old, new):
                owners[place - start] = new
    found = bytearray()
    for place, owner in enumerate(owners, start):
        if owner is None:
            break
        found.append(owner.payload[place - owner.start])
    return bytes(found)


def readings(copies: Sequence[Copy], at: int) -> dict[bytes, list[str]]:
    """Who reads what around offset ``at``, in which two of ``copies`` differ: readings, and the receivers of each."""
    covered = [place for place in range(at - BEFORE, at) if not any(one.start <= place < one.end for one in copies)]
    start = covered[-1] + 1 if covered else at - BEFORE
    found: dict[bytes, list[str]] = {}
    for receiver in RECEIVERS:
        found.setdefault(read(receiver, copies, start, at + BEHIND), []).append(receiver)
    return found


def described(copies: Sequence[Copy], at: int) -> str:
    """The readings as a sentence; empty where all receivers agree."""
    found = readings(copies, at)
    if len(found) < 2:
        return ""
    parts = [f"{' and '.join(receivers)}: {printable(text)}" for text, receivers in found.items()]
    return f"Kinds of receivers differ in what they read. {'; '.join(parts)}."

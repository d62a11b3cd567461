"""What the rules of command lines share: the trigger for one kind of deviation, its places and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import Deviation, DeviationKind, quoted
from ..exchanges.exchange import Mark
from .registry import Evidence, OnExchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.exchange import Exchange
    from ..model import Severity
    from .phrases import Phrase

__all__ = ["ascii_deviations", "deviations_of", "evidence_at", "malformed", "part_of"]

_BOM = b"\xef\xbb\xbf"


def malformed(kind: DeviationKind) -> OnExchange:
    """The trigger for a line with a deviation of one kind."""
    return OnExchange(deviation=kind, unless=Mark.SKIPPED)


def deviations_of(x: Exchange, kind: DeviationKind) -> Iterator[Deviation]:
    """Return the deviations of this kind."""
    return (d for d in x.deviations if d.kind is kind)


def ascii_deviations(x: Exchange, kind: DeviationKind) -> Iterator[Deviation]:
    """Return the deviations of this kind, without those that bytes above 127 cause; BIT201 and BIT209 report these."""
    for d in deviations_of(x, kind):
        caused_by_high_bytes = x.marks & Mark.EIGHT_BIT and (
            x.raw.startswith(_BOM)
            or (x.command is not None and not x.command.verb.isascii())
            or not x.raw[d.at : d.at + d.length].isascii()
        )
        if not caused_by_high_bytes:
            yield d


def evidence_at(
    x: Exchange,
    d: Deviation,
    message: Phrase | str,
    *,
    severity: Severity | None = None,
    series: str | None = None,
    unit: str = "lines",
    reference: str | None = None,
) -> Evidence:
    """Return evidence at the place of a deviation."""
    at = x.offset + d.at
    return Evidence(
        message, offset=at, length=d.length, severity=severity, series=series, unit=unit, reference=reference
    )


def part_of(x: Exchange, d: Deviation) -> str:
    """The bytes that are wrong, printable."""
    return quoted(x.raw[d.at : d.at + d.length])

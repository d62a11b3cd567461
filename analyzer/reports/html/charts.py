"""Geometry of the charts: from numbers to positions in per cent, so that a chart fits a phone and a desktop screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...timestamps import format_time
from ..host_counts import SEVERITIES
from ..output import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host_counts import Counts
    from .counts import Timeline, TimeSlot

__all__ = ["BarPiece", "TimeChart", "TimelineBar", "span", "stack", "time_chart"]

# Height of the columns in CSS pixels; widths are per cent of the available width.
HEIGHT = 120
# The least sizes, so that one finding beside ten thousand is still visible as a line.
LEAST_HEIGHT, LEAST_WIDTH = 2.0, 0.8


class BarPiece(NamedTuple):
    """A rectangle of one severity: its start and its length along its axis."""

    severity: str
    start: float
    length: float


class TimelineBar(NamedTuple):
    """One bar of the timeline: position and width in per cent, pieces in pixels from the top."""

    x: float
    width: float
    pieces: list[BarPiece]
    label: str
    when: str
    connections: int
    counts: Counts


class TimeChart(NamedTuple):
    """Findings over time. ``most``: findings of the highest bar. ``first``, ``last``: ends of the axis."""

    columns: list[TimelineBar]
    most: int
    each: str
    first: str
    last: str
    height: int = HEIGHT


def stack(counts: Counts, most: int) -> list[BarPiece]:
    """Return the pieces of a bar, one for each severity, in per cent. ``most``: the findings of the longest bar beside
    it."""
    pieces, start = [], 0.0
    for severity in SEVERITIES:
        if counts[severity]:
            length = max(100 * counts[severity] / most, LEAST_WIDTH)
            length = min(length, 100 - start)
            pieces.append(BarPiece(severity, round(start, 2), round(length, 2)))
            start += length
    return pieces


def time_chart(timeline: Timeline) -> TimeChart | None:
    """Return the findings over time; None if there are none, or if they are all within one slot."""
    slots = timeline.slots()
    most = max((sum(slot.counts.values()) for slot in slots), default=0)
    if not most or len(slots) < 2:
        return None
    digits = 3 if timeline.width < 1_000_000_000 else 0
    step = 100 / len(slots)
    columns = [_column(slot, number * step, step, most, digits) for number, slot in enumerate(slots) if _any(slot)]
    end = slots[-1].start + timeline.width
    return TimeChart(columns, most, span(timeline.width), _clock(slots[0].start, digits), _clock(end, digits))


def _any(slot: TimeSlot) -> bool:
    return bool(slot.connections or any(slot.counts.values()))


def _column(slot: TimeSlot, x: float, step: float, most: int, digits: int) -> TimelineBar:
    pieces: list[BarPiece] = []
    top = float(HEIGHT)
    for severity in SEVERITIES:
        if slot.counts[severity]:
            length = max(HEIGHT * slot.counts[severity] / most, LEAST_HEIGHT)
            top = max(top - length, 0.0)
            pieces.append(BarPiece(severity, round(top, 1), round(length, 1)))
    when = _clock(slot.start, digits)
    parts = [f"{count:,} {severity}" for severity, count in slot.counts.items() if count] or ["no findings"]
    label = f"{when}: {', '.join(parts)}, {plural(slot.connections, 'connection')} started"
    gap = min(step * 0.15, 0.3)
    return TimelineBar(round(x + gap / 2, 3), round(step - gap, 3), pieces, label, when, slot.connections, slot.counts)


def _clock(ns: int, digits: int) -> str:
    return format_time(ns, digits).replace("T", " ").removesuffix("Z")


def span(ns: int) -> str:
    """Return a width of the timeline in words."""
    units: Sequence[tuple[int, str]] = (
        (86_400 * 10**9, "day"),
        (3600 * 10**9, "hour"),
        (60 * 10**9, "minute"),
        (10**9, "second"),
        (10**6, "millisecond"),
    )
    size, name = next((unit for unit in units if ns >= unit[0] and not ns % unit[0]), units[-1])
    return plural(ns // size, name)

"""The machine's clock, and whether somebody has set it."""

# Frames are stamped by the wall clock, which may be set while the audit runs; then connections would look idle for
# hours, and time-outs would be seen that never were. A clock that nobody can set tells the difference.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STEP_NS", "Clock"]

STEP_NS = 1_000_000_000
"""A larger difference between two looks is a step; what is smaller, ntpd's slewing does."""

# Counts while the machine sleeps, too, where there is such a clock: a connection that was idle meanwhile is idle.
_STEADY: int = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


def _steady_ns() -> int:
    return time.clock_gettime_ns(_STEADY) if hasattr(time, "clock_gettime_ns") else time.monotonic_ns()


class Clock:
    """``wall`` and ``steady``: where the times come from, in nanoseconds."""

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = _steady_ns) -> None:
        self._wall = wall
        self._steady = steady
        self._apart = wall() - steady()

    def now(self) -> int:
        """Wall time."""
        return self._wall()

    def step(self) -> int:
        """By how many nanoseconds the wall clock was set since the last call; 0 if it was not."""
        apart = self._wall() - self._steady()
        by, self._apart = apart - self._apart, apart
        return by if abs(by) > STEP_NS else 0

"""The machine's clock, and whether it was set."""

# The timestamps of frames come from the wall clock, which may be set during the audit. Then connections would look idle
# for hours, and time-outs would be reported that never happened. A clock that cannot be set shows the difference.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STEP_NS", "Clock"]

STEP_NS = 1_000_000_000
"""A larger difference between two calls is a step; ntpd's slewing makes smaller ones."""

# This clock also counts while the machine sleeps, on systems that have such a clock: a connection that was idle during
# the sleep is idle.
_STEADY: int = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


def _steady_ns() -> int:
    return time.clock_gettime_ns(_STEADY) if hasattr(time, "clock_gettime_ns") else time.monotonic_ns()


class Clock:
    """The wall clock with a check for steps. ``wall`` and ``steady``: functions that return times in nanoseconds."""

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = _steady_ns) -> None:
        self._wall = wall
        self._steady = steady
        self._apart = wall() - steady()

    def now(self) -> int:
        """Return the wall time in nanoseconds."""
        return self._wall()

    def step(self) -> int:
        """Return by how many nanoseconds the wall clock was set since the last call; 0 if it was not."""
        apart = self._wall() - self._steady()
        by, self._apart = apart - self._apart, apart
        return by if abs(by) > STEP_NS else 0

"""What time it is in the capture, and when to look for what was idle too long."""

# Theory
# ------
# Who is idle is told by the times of frames, of which a damaged one must not make everything look idle: a leap ahead is
# believed only when another frame comes as far.
#
# Of a file the last two frames of each block tell the time, so that it is the same whoever reads which connections: in
# one process, in several, gathered or not. Elsewhere it is told by the segments that take the slow road, which is near
# enough.

from __future__ import annotations

__all__ = ["IdleClock"]

_LEAP_NS = 60_000_000_000
_PAUSE_NS = 60_000_000_000  # between two looks


class IdleClock:
    """``now_ns``: as far as is believed. ``ticks_given``: somebody tells the time with ``tick``, segments do not."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.ticks_given = False
        self._leap_ns = 0  # a time far ahead that nothing has confirmed
        self._next_ns = 0

    def tick(self, time_ns: int) -> None:
        """A frame has this time."""
        if time_ns - self.now_ns <= _LEAP_NS:
            self.now_ns = max(self.now_ns, time_ns)
        else:
            if time_ns >= self._leap_ns > 0:
                self.now_ns = max(self.now_ns, self._leap_ns)
            self._leap_ns = time_ns

    def segment_at(self, time_ns: int) -> None:
        """A segment has this time."""
        if not self.ticks_given:
            self.tick(time_ns)

    @property
    def sweep_expected(self) -> bool:
        """Whether it is time to look for what was idle too long."""
        return self.now_ns >= self._next_ns

    def note_sweep(self) -> None:
        """Somebody did."""
        self._next_ns = self.now_ns + _PAUSE_NS

    def adjust(self, by_ns: int) -> None:
        """The clock that stamps segments was set by so much: what is idle is so by the new time."""
        self.now_ns += by_ns
        self._next_ns += by_ns

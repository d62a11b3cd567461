"""The current time of the capture, and when to look for idle connections."""

# Theory
# ------
# The times of frames decide which connections are idle. A damaged time must not make every connection idle, so a jump
# ahead is accepted only when a second frame confirms it.
#
# In a file, the last two frames of each block set the time. So it is the same for one process and for several, which
# each follow some of the connections. Elsewhere the segments on the slow path set it, which is accurate enough.

from __future__ import annotations

__all__ = ["IdleClock"]

_LEAP_NS = 60_000_000_000
_PAUSE_NS = 60_000_000_000  # between two sweeps


class IdleClock:
    """``now_ns``: the latest accepted time. ``ticks_given``: ``tick`` is called from outside, so segments do not
    count."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.ticks_given = False
        self._leap_ns = 0  # a time far ahead that no frame has confirmed
        self._next_ns = 0

    def tick(self, time_ns: int) -> None:
        """Take the time of a frame."""
        if time_ns - self.now_ns <= _LEAP_NS:
            self.now_ns = max(self.now_ns, time_ns)
        else:
            if time_ns >= self._leap_ns > 0:
                self.now_ns = max(self.now_ns, self._leap_ns)
            self._leap_ns = time_ns

    @property
    def sweep_expected(self) -> bool:
        """Whether it is time to look for idle connections."""
        return self.now_ns >= self._next_ns

    def note_sweep(self) -> None:
        """Note that the sweep was done."""
        self._next_ns = self.now_ns + _PAUSE_NS

    def adjust(self, by_ns: int) -> None:
        """The clock of the capture was changed by ``by_ns``: shift all times, so that idle times stay the same."""
        self.now_ns += by_ns
        self._next_ns += by_ns

"""Times of the capture as text for the report."""

from __future__ import annotations

from ..timestamps import format_time

__all__ = ["ReportClock"]


class ReportClock:
    """Formats times. ``digits``: decimals of a second in the times of the capture."""

    def __init__(self) -> None:
        self.digits = 6
        self._second_ns = -1_000_000_000
        self._prefix = ""  # that second as text

    def __call__(self, time_ns: int) -> str:
        """Return ``time_ns`` as text."""
        fraction = time_ns - self._second_ns
        if not 0 <= fraction < 1_000_000_000:
            fraction = time_ns % 1_000_000_000
            self._second_ns = time_ns - fraction
            self._prefix = format_time(time_ns, 0)[:-1]
        if self.digits == 6:
            return f"{self._prefix}.{fraction // 1000:06d}Z"
        return f"{self._prefix}.{fraction:09d}Z" if self.digits == 9 else format_time(time_ns, self.digits)

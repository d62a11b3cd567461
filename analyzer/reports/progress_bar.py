"""The progress of a long run, on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Bar"]

# A shorter run shows no bar: drawing it would cost more than it is worth.
PATIENCE_SECONDS = 1.0


class Bar:
    """A progress bar on a terminal, nothing elsewhere. Call it with bytes done and bytes in total (None if not
    known)."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._start = monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show the progress, once the run has lasted long enough."""
        if not self._wanted or (self._progress is None and monotonic() - self._start < PATIENCE_SECONDS):
            return
        if self._progress is None:
            self._open()
        assert self._progress is not None
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total)

    def _open(self) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("read", total=None)
        self._progress.start()

    def close(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            # Standard error may be gone; the report matters more.
            with suppress(OSError):
                self._progress.stop()
            self._progress = None
            self._wanted = False

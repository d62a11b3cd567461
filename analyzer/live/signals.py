"""Signals, recorded when they come and handled between two blocks."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from ..interrupt import MAX_BLOCK_SECONDS

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["Signals"]


class Signals:
    """A context manager in which SIGINT and SIGTERM set ``stop``, SIGUSR1 ``snapshot``, SIGHUP ``reload``.

    ``stopped_ns``: when ``stop`` was set. The second SIGINT or SIGTERM sets ``hurry``, a further one raises
    KeyboardInterrupt at once. It is also raised if the loop does not ``acknowledge`` the first one within some seconds,
    because a call does not return: a signal always ends the run. ``fileno`` becomes readable with each signal, so that
    a waiting loop wakes up.
    """

    def __init__(self) -> None:
        self.stop = self.hurry = self.snapshot = self.reload = False
        self.stopped_ns = 0
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._before: dict[int, object] = {}
        self._wakeup = -1

    def __enter__(self) -> Self:
        wanted = {
            "SIGINT": self._stop,
            "SIGTERM": self._stop,
            "SIGALRM": self._expire,
            "SIGUSR1": self._snapshot,
            "SIGHUP": self._reload,
        }
        for name, handler in wanted.items():
            number = getattr(signal, name, None)  # other systems do not have all of them
            if number is not None:
                self._before[number] = signal.signal(number, handler)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._set_timer(0)
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as signal() returned it
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Return the descriptor, for select and poll."""
        return self._read

    def drain(self) -> None:
        """Empty the pipe that woke the loop; the flags stay."""
        with suppress(BlockingIOError):
            os.read(self._read, 4096)

    def acknowledge(self) -> None:
        """The loop has seen ``stop`` and ends."""
        self._set_timer(0)

    @staticmethod
    def _set_timer(seconds: float) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.hurry:
            raise KeyboardInterrupt
        if self.stop:
            self.hurry = True
            return
        self.stop, self.stopped_ns = True, time.time_ns()
        self._set_timer(MAX_BLOCK_SECONDS)

    def _expire(self, number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def _snapshot(self, number: int, frame: FrameType | None) -> None:
        self.snapshot = True

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self.reload = True

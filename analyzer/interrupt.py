"""Ctrl-C and SIGTERM, delayed until no segment is half processed."""

# Python raises KeyboardInterrupt between any two instructions. Mostly that would be while a segment is processed, and
# the report written afterwards could not be trusted. So the first Ctrl-C is only recorded here. It is raised when the
# reader has finished a block, which takes milliseconds. A reader that waits for input does not finish blocks: then a
# timer raises it inside the waiting call, where nothing is half processed either. It is raised only once, because the
# report of what was read follows and may take a long time. A second Ctrl-C is raised at once.
#
# The timer runs all the time. If a signal arrives after Python's last check for signals and before the system call
# that waits, Python sees it only when the call returns, which may be never; the next tick ends that wait.

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Progress = Callable[[int, int | None], None]

__all__ = ["MAX_BLOCK_SECONDS", "interruptible"]

MAX_BLOCK_SECONDS = 2.0  # longer than any block takes, also with the Scapy decoder
TICK_SECONDS = 0.5


@contextmanager
def interruptible(progress: Progress) -> Iterator[Progress]:
    """Yield ``progress`` wrapped: it raises KeyboardInterrupt after Ctrl-C or SIGTERM. The old signal handlers are
    restored afterwards."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield progress
        return
    signalled_at = -1.0
    raised = False

    def on_signal(signum: int, frame: FrameType | None) -> None:
        nonlocal signalled_at
        if signalled_at >= 0:
            raise KeyboardInterrupt
        signalled_at = monotonic()

    def on_tick(signum: int, frame: FrameType | None) -> None:
        nonlocal raised
        if signalled_at >= 0 and not raised and monotonic() - signalled_at >= MAX_BLOCK_SECONDS:
            raised = True
            raise KeyboardInterrupt

    def between_blocks(done: int, total: int | None) -> None:
        nonlocal raised
        if signalled_at >= 0:
            raised = True
            raise KeyboardInterrupt
        progress(done, total)

    handlers = {signal.SIGINT: on_signal, signal.SIGTERM: on_signal, signal.SIGALRM: on_tick}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    signal.setitimer(signal.ITIMER_REAL, TICK_SECONDS, TICK_SECONDS)
    try:
        yield between_blocks
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)

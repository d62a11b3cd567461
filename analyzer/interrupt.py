"""Ctrl-C and SIGTERM that wait for a place where nothing is half done."""

# Python raises KeyboardInterrupt between any two instructions, so that it would mostly strike while a segment is being
# worked in, and what is reported afterwards could not be trusted. Here the first Ctrl-C is only noted, and raised when
# the reader has finished a block, which takes milliseconds. A reader that waits for input finishes nothing: a timer
# then raises it inside the waiting call, where nothing is half done either. It is raised once: what follows is the
# report of what was read, which may take longer than any patience. A second Ctrl-C is raised at once.
#
# The timer beats all the time, for a signal that comes between Python's last look for signals and the system call that
# waits wakes nobody: Python learns of it when the call returns, which may be never.

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

__all__ = ["interruptible"]

PATIENCE_SECONDS = 2.0  # longer than any block takes, also in Scapy's lane
BEAT_SECONDS = 0.5


@contextmanager
def interruptible(progress: Progress) -> Iterator[Progress]:
    """``progress`` made to raise KeyboardInterrupt once Ctrl-C was pressed or SIGTERM came; their handling is put back
    after."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield progress
        return
    asked_at = -1.0
    raised = False

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        if asked_at >= 0:
            raise KeyboardInterrupt
        asked_at = monotonic()

    def beat(signum: int, frame: FrameType | None) -> None:
        nonlocal raised
        if asked_at >= 0 and not raised and monotonic() - asked_at >= PATIENCE_SECONDS:
            raised = True
            raise KeyboardInterrupt

    def between_blocks(done: int, total: int | None) -> None:
        nonlocal raised
        if asked_at >= 0:
            raised = True
            raise KeyboardInterrupt
        progress(done, total)

    handlers = {signal.SIGINT: note, signal.SIGTERM: note, signal.SIGALRM: beat}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    signal.setitimer(signal.ITIMER_REAL, BEAT_SECONDS, BEAT_SECONDS)
    try:
        yield between_blocks
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)

"""Ctrl-C and SIGTERM that wait for a place where nothing is half done."""

# Python raises KeyboardInterrupt between any two instructions, so that it would mostly strike while a segment is being
# worked in, and what is reported afterwards could not be trusted. Here the first Ctrl-C is only noted, and raised when
# the reader has finished a block, which takes milliseconds. A reader that waits for input finishes nothing: a timer
# then raises it inside the waiting call, where nothing is half done either. A second Ctrl-C is raised at once.

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Progress = Callable[[int, int | None], None]

__all__ = ["interruptible"]

# Longer than any block takes, also in Scapy's lane.
PATIENCE_SECONDS = 2.0


@contextmanager
def interruptible(progress: Progress) -> Iterator[Progress]:
    """``progress`` made to raise KeyboardInterrupt once Ctrl-C was pressed or SIGTERM came; their handling is put back
    after."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield progress
        return
    asked = False

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    def give_up(signum: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    def between_blocks(done: int, total: int | None) -> None:
        if asked:
            raise KeyboardInterrupt
        progress(done, total)

    handlers = {signal.SIGINT: note, signal.SIGTERM: note, signal.SIGALRM: give_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield between_blocks
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)

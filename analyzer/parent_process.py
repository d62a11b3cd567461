"""Processes that must not go on without the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["end_with_parent"]

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


def end_with_parent(parent: int | None = None) -> None:
    """Let this process be killed when its parent ends, also if that is killed: it would keep the output of the parent
    open. ``parent``: the parent's number, to notice that it has ended already. Only Linux has this."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)

"""The garbage collector of Python during an audit."""

from __future__ import annotations

import gc

__all__ = ["calm_collector"]


def calm_collector() -> None:
    """Let the garbage collector run less often: an audit creates few reference cycles and keeps many objects for some
    time. With its default thresholds it would scan all of them again and again, a quarter of the time of a run."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)

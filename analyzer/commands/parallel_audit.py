"""How many processes an audit gets, and the spool between them."""

# Theory
# ------
# To divide the work costs some 15 % of it, and the time to start processes. So without --jobs, a capture of some MB is
# read by this process alone, and a larger input by as many as the machine has cores.

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ..audit import Audit
from ..errors import UsageError
from ..frames.inputs import STDIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..audit import Options
    from ..parallel.engine import ParallelAudit

__all__ = ["auditing", "processes_for"]

WORTH = 12 << 20  # bytes of captures for each process, so that a second one pays


@contextmanager
def auditing(
    options: Options, inputs: Sequence[str], *, jobs: int | None, spool: str | None = None, resume: bool = False
) -> Iterator[Audit | ParallelAudit]:
    """Yield an audit in as many processes as ``jobs`` says, or as pay. Raises UsageError for options that contradict
    each other."""
    if resume and spool is None:
        raise UsageError("--resume needs --spool", "--resume", "name the folder of the run that is to be finished")
    count = jobs or processes_for(inputs)
    if (count == 1 and spool is None) or STDIN in inputs:
        if jobs is not None and jobs > 1:
            raise UsageError("standard input is read by one process", f"--jobs {jobs}", "save it to a file first")
        yield Audit(options)
        return
    from ..files.storage import Storage  # noqa: PLC0415
    from ..parallel.engine import ParallelAudit  # noqa: PLC0415
    from ..parallel.executors import Workers  # noqa: PLC0415

    with ExitStack() as stack:
        if spool is None:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="smtpwire-", ignore_cleanup_errors=True))
        else:
            place = spool
        workers = stack.enter_context(Workers(count))
        yield ParallelAudit(options, workers, Storage(place), resume=resume)


def processes_for(inputs: Sequence[str]) -> int:
    """Return how many processes pay for these inputs."""
    if STDIN in inputs or not hasattr(os, "fork") or sys.platform == "darwin":
        return 1
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, sum(map(_bytes_in, inputs)) // WORTH)) if cores > 1 else 1


def _bytes_in(path: str) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    from ..parallel.pieces import size_of  # noqa: PLC0415

    if not os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for some names
        return size_of(path)
    return sum(size_of(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)  # noqa: PTH118

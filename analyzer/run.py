"""One audit from its inputs into a writer, and the exit status that it ends with."""

from __future__ import annotations

import gc
import sys
from contextlib import closing
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from .errors import display_path
from .interrupt import interruptible
from .model import Capture
from .reports.progress_bar import Bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .audit import Audit
    from .model import Connection, Summary
    from .parallel.partitioned_audit import SharedAudit
    from .reports.fan_out import JoinedOutputs
    from .reports.output import Output, Writer

__all__ = ["COUNTED", "FailOn", "Status", "found", "notice", "run"]


class Status(IntEnum):
    """Exit status of every command."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    UNREADABLE = 3
    INTERRUPTED = 130  # 128 + SIGINT, as shells count; for SIGTERM too


class FailOn(StrEnum):
    """The least severity that makes the exit status 1; itself included."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


COUNTED: dict[FailOn, tuple[str, ...]] = {
    FailOn.ERROR: ("error",),
    FailOn.WARNING: ("error", "warning"),
    FailOn.INFO: ("error", "warning", "info"),
    FailOn.NEVER: (),
}
"""The severities that make the exit status 1."""


def notice(text: str) -> None:
    """One line on standard error."""
    print(f"smtpwire: {display_path(text)}", file=sys.stderr)


def run(
    audit: Audit | SharedAudit,
    paths: Sequence[str],
    writer: Writer,
    output: Output | JoinedOutputs,
    fail_on: FailOn,
    *,
    called: str | None = None,
) -> Status:
    """Read ``paths`` and write what is found. Ctrl-C ends the reading; what is known by then is reported. The next one,
    or one while the report is written that has not been written two seconds later, is raised.

    ``called``: what captures are called in the report, if not by their paths. A reader that has gone (``| head``)
    ends the run quietly, with the status of what was found so far. Raises ``OutputError`` where the report cannot be
    written.
    """
    if called is None:
        audit.attach(writer)  # else captures are called by other names in each connection
    output.be_patient()
    bar = Bar(wanted=not (output.terminal and writer.streams))
    interrupted = False
    # Little of what an audit makes is garbage in a circle, and much of it is kept for a while: the collector's own
    # pace would have it look at everything again and again, for a quarter of the time of a run.
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)

    def take(items: Iterable[Capture | Connection]) -> None:
        for item in items:
            if isinstance(item, Capture):
                item.path = called or display_path(item.path)
                writer.capture(item)
            else:
                if called is not None:
                    for part in item.captures:
                        part.path = called
                writer.connection(item)

    try:
        with interruptible(bar) as progress:
            with closing(bar):
                try:
                    take(audit.run(paths, progress, output.settle))
                except KeyboardInterrupt:
                    interrupted = True
                    take(audit.stop())
            writer.finish(audit.summary)
            output.flush()
    except BrokenPipeError:
        return found(audit.summary, fail_on)
    except KeyboardInterrupt:
        notice("interrupted: the report is not whole, and no file holds it")
        raise
    if audit.options.baseline is not None:
        notice(audit.options.baseline.told())
    for error in audit.unreadable:
        notice(str(error))
    if interrupted:
        notice("interrupted: the report holds what was read until then")
        return Status.INTERRUPTED
    return Status.UNREADABLE if audit.unreadable else found(audit.summary, fail_on)


def found(summary: Summary, fail_on: FailOn) -> Status:
    """The status for what was found so far."""
    bad = any(summary.findings.get(severity) for severity in COUNTED[fail_on])
    return Status.FINDINGS if bad else Status.CLEAN

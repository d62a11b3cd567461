"""Run one audit: read the inputs, write the report, return the exit status."""

from __future__ import annotations

from contextlib import closing
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from .collector import calm_collector
from .console import notice
from .errors import display_path
from .interrupt import interruptible
from .model import Capture
from .reports.progress_bar import Bar
from .reports.scope import contents, scope, unmet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .audit import Audit
    from .enums import Require
    from .model import Connection, Summary
    from .parallel.engine import ParallelAudit
    from .reports.fan_out import JoinedOutputs
    from .reports.output import Output, Writer

__all__ = ["COUNTED", "STATUS_MEANINGS", "FailOn", "Status", "checked", "found", "notify_of", "run"]


class Status(IntEnum):
    """Exit status of every command."""

    CLEAN = 0
    FINDINGS = 1
    USAGE = 2
    UNREADABLE = 3
    UNMET = 4
    INTERRUPTED = 130  # 128 + SIGINT, as shells count; for SIGTERM too


STATUS_MEANINGS: dict[Status, str] = {
    Status.CLEAN: "nothing found at or above --fail-on",
    Status.FINDINGS: "something found",
    Status.USAGE: "wrong use",
    Status.UNREADABLE: "an input could not be read at all (the others are reported)",
    Status.UNMET: "the captures do not hold what --require asks for",
    Status.INTERRUPTED: "interrupted (what was read is reported)",
}
"""What each exit status of an audit means, for help and manual."""


class FailOn(StrEnum):
    """The lowest severity that sets the exit status to 1."""

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
"""The severities that set the exit status to 1."""


def run(
    audit: Audit | ParallelAudit,
    paths: Sequence[str],
    writer: Writer,
    output: Output | JoinedOutputs,
    fail_on: FailOn,
    *,
    called: str | None = None,
    require: Require | None = None,
    stated: bool = False,
) -> Status:
    """Read ``paths`` and write the report. Ctrl-C ends the reading, and what was found until then is reported. A second
    Ctrl-C raises KeyboardInterrupt. So does a first one during writing, if writing takes two more seconds.

    ``called``: the name of all captures in the report, instead of their paths. ``require``: what they must hold.
    ``stated``: the report says itself what was not looked at; otherwise that is printed on standard error. If the
    reader of the output is gone (``| head``), the run ends quietly with the status of what was found so far. Raises
    ``OutputError`` if the report cannot be written.
    """
    output.be_patient()
    bar = Bar(wanted=not (output.terminal and writer.streams and audit.streams))
    audit.prepare(writer, bar.close)
    interrupted = False
    calm_collector()

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
            if require is not None:
                audit.summary.unmet = unmet(require, audit.summary, audit.captures)
            writer.finish(audit.summary)
            output.flush()
    except BrokenPipeError:
        return found(audit.summary, fail_on)
    except KeyboardInterrupt:
        notice("interrupted: the report is incomplete, and no file was written")
        raise
    _notify(audit, stated=stated)
    if interrupted:
        notice(f"interrupted: the report covers {audit.covers}")
        return Status.INTERRUPTED
    if audit.unreadable:
        return Status.UNREADABLE
    return checked(found(audit.summary, fail_on), audit.summary)


def checked(status: Status, summary: Summary) -> Status:
    """Return ``status``, or UNMET if the captures do not hold what is required. The reason is printed."""
    if summary.unmet is None:
        return status
    notice(f"--require: {summary.unmet}")
    return Status.UNMET


def notify_of(summary: Summary) -> None:
    """Print what the run did not look at, and what the captures hold if they hold no SMTP."""
    # Who chooses rules on the command line knows it. A settings file may have been forgotten.
    for line in scope(summary) if summary.settings is not None else ():
        notice(line)
    nothing = contents(summary)
    if nothing is not None:
        notice(nothing)


def _notify(audit: Audit | ParallelAudit, *, stated: bool) -> None:
    """Print what a person must know of the run, besides the report."""
    if audit.options.baseline is not None:
        notice(audit.options.baseline.summary(audit.summary.not_asked))
    for error in audit.unreadable:
        notice(str(error))
    for note in audit.notes():
        notice(note)
    if not stated and not audit.summary.nothing_read:
        notify_of(audit.summary)


def found(summary: Summary, fail_on: FailOn) -> Status:
    """Return the exit status for what was found so far."""
    bad = any(summary.findings.get(severity) for severity in COUNTED[fail_on])
    return Status.FINDINGS if bad else Status.CLEAN

"""How many processes an audit gets, and the spool between them."""

# Theory
# ------
# To divide the work costs some 15 % of it, and the time to start processes. So without --jobs, a capture of some MB is
# read by this process alone, and a larger input by as many as the machine has cores.

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..audit import Audit
from ..console import notice
from ..enums import ReportFormat
from ..errors import UsageError, display_path
from ..files.reading import size_of
from ..files.urls import is_url
from ..frames.inputs import STDIN
from ..reports.fan_out import JoinedOutputs
from ..reports.output import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..audit import Options
    from ..parallel.engine import ParallelAudit
    from ..parallel.parts import Part
    from ..reports.output import Writer
    from .outputs import Destination

__all__ = ["Division", "auditing", "in_parts", "parts_of", "processes_for", "sharing"]

WORTH = 12 << 20  # bytes of captures for each process, so that a second one pays
ROOM = 3  # times the bytes of captures: more than intermediate files take


class Division(NamedTuple):
    """How the work is divided: the options ``--jobs``, ``--cluster``, ``--spool`` and ``--resume``."""

    jobs: int | None = None
    cluster: str | None = None
    spool: str | None = None
    resume: bool = False

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Division:
        """Take these options out of ``given``."""
        return cls(**{name: given.pop(name) for name in cls._fields})

    def check(self, inputs: Sequence[str], *, by_number: bool) -> None:
        """Raise UsageError if options contradict each other or the inputs. ``by_number``: connections are chosen by
        their numbers, which are only known at the end if several processes give them."""
        if self.spool is not None and not self.spool:
            raise UsageError("the name of the spool is empty", "--spool", "name a folder")
        if self.resume and self.spool is None:
            raise UsageError("--resume needs --spool", "--resume", "name the folder of the run that is to be finished")
        if self.cluster is not None and self.spool is None:
            hint = "name a folder or URL that all workers reach"
            raise UsageError("--cluster needs --spool", f"--cluster {display_path(self.cluster)}", hint)
        if self.cluster is not None and self.jobs is not None:
            raise UsageError("--jobs and --cluster together", f"--jobs {self.jobs}", "give one of them")
        wanted = next((name for name in ("jobs", "cluster", "spool") if getattr(self, name) not in {None, 1}), None)
        if STDIN in inputs and wanted is not None:
            raise UsageError("standard input is read by one process", f"--{wanted}", "save it to a file first")
        if by_number and wanted is not None:
            raise UsageError("--connection needs one process", f"--{wanted}", f"remove --{wanted}, or --connection")


@contextmanager
def auditing(
    options: Options, inputs: Sequence[str], division: Division, parts: Sequence[Part] = ()
) -> Iterator[Audit | ParallelAudit]:
    """Yield an audit in as many processes as ``division`` says, or as pay. ``parts``: reports that the processes of a
    cluster write. Raises UsageError."""
    by_number = options.wanted is not None and bool(options.wanted.connections)
    division.check(inputs, by_number=by_number)
    count = 1 if by_number else division.jobs or processes_for(inputs, options)
    if count == 1 and division.spool is None:
        yield Audit(options)
        return
    import tempfile  # noqa: PLC0415

    from ..files.storage import Storage  # noqa: PLC0415
    from ..parallel.engine import ParallelAudit  # noqa: PLC0415
    from ..parallel.executors import Workers  # noqa: PLC0415

    with ExitStack() as stack:
        place = division.spool
        if place is None:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="smtpwire-", ignore_cleanup_errors=True))
        spool = Storage(place if is_url(place) else os.path.abspath(place))  # noqa: PTH100
        if division.cluster is None:
            workers = Workers(count)
        else:
            from ..parallel.cluster import Cluster  # noqa: PLC0415

            cluster = stack.enter_context(closing(Cluster(division.cluster)))
            cluster.check(spool)
            notice(f"{plural(cluster.count, 'worker')}, dashboard: {cluster.dashboard}")
            workers = cluster.workers()
        audit = ParallelAudit(options, stack.enter_context(workers), spool, resume=division.resume)
        audit.parts = tuple(parts)
        yield audit


def parts_of(found: Sequence[Destination]) -> list[Part]:
    """Return the reports that partitions can write themselves; none if one of them must be in one piece."""
    from ..files.storage import Storage  # noqa: PLC0415
    from ..parallel.parts import NdjsonParts, ParquetParts  # noqa: PLC0415
    from ..stores.parquet import StoreRun  # noqa: PLC0415

    parts: list[Part] = []
    for form, path in found:
        if path is None or not path.endswith("/") or form not in {ReportFormat.NDJSON, ReportFormat.PARQUET}:
            return []
        target = Storage(path.rstrip("/") if is_url(path) else os.path.abspath(path))  # noqa: PTH100
        target.prepare()
        parts.append(NdjsonParts(target) if form is ReportFormat.NDJSON else ParquetParts(target, StoreRun.now()))
    return parts


def sharing(audit: Audit | ParallelAudit, writer: Writer) -> Writer:
    """Return the writer of a run; if it writes a database alone, the processes of ``audit`` prepare its rows."""
    if isinstance(audit, Audit) or is_url(audit.spool.place):
        return writer
    from ..stores.sqlite import SqliteWriter  # noqa: PLC0415

    if not isinstance(writer, SqliteWriter):
        return writer
    from ..parallel.parts import MergingWriter, SqliteParts  # noqa: PLC0415

    parts = SqliteParts(audit.spool, writer.run)
    audit.parts = (parts,)
    return MergingWriter(writer, parts, lambda: audit.judged)


@contextmanager
def in_parts(parts: Sequence[Part]) -> Iterator[tuple[Writer, JoinedOutputs]]:
    """Yield the writer of reports whose parts are written by others."""
    from ..parallel.parts import PartsWriter  # noqa: PLC0415

    yield PartsWriter(parts), JoinedOutputs([])


def processes_for(inputs: Sequence[str], options: Options) -> int:
    """Return how many processes pay for these inputs: one if they are small, if there is no room for intermediate
    files, or if a rule of a plugin is asked, which may want to see all connections."""
    if STDIN in inputs or not hasattr(os, "fork") or sys.platform == "darwin":
        return 1
    size = sum(map(_bytes_in, inputs))
    count = min(len(os.sched_getaffinity(0)), size // WORTH)
    if count < 2 or not _has_room(ROOM * size):
        return 1
    from ..rules import RULES  # noqa: PLC0415
    from ..rules import __name__ as own  # noqa: PLC0415

    return count if all(RULES[rule].check.__module__.startswith(own) for rule in options.rules()) else 1


def _has_room(size: int) -> bool:
    """Whether the folder for temporary files has so many bytes left."""
    import tempfile  # noqa: PLC0415

    try:
        left = os.statvfs(tempfile.gettempdir())
    except OSError:
        return False
    return left.f_bavail * left.f_frsize >= size


def _bytes_in(path: str) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    if not os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for some names
        return size_of(path)
    return sum(size_of(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)  # noqa: PTH118

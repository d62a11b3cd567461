"""Audits in several processes beside audits in one."""

from __future__ import annotations

import pickle
import tempfile
from concurrent.futures import Executor, Future
from io import BytesIO
from typing import TYPE_CHECKING, Any

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.files.storage import Storage
from smtpwire.analyzer.parallel.engine import ParallelAudit
from smtpwire.analyzer.parallel.executors import Workers
from smtpwire.analyzer.reports.json_ import NdjsonWriter
from smtpwire.analyzer.reports.output import Output
from smtpwire.analyzer.run import FailOn, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Here", "divided", "report_of", "whole"]


class Here(Executor):
    """Runs tasks at once and in this process, with what another process would get."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            call, task = args
            future.set_result(pickle.loads(pickle.dumps(fn(call, pickle.loads(pickle.dumps(task))))))
        except Exception as error:
            future.set_exception(error)
        return future


def report_of(audit: Audit | ParallelAudit, paths: Sequence[str | Path]) -> list[bytes]:
    """Return the lines that an audit writes as NDJSON."""
    buffer = BytesIO()
    output = Output(buffer)
    run(audit, list(map(str, paths)), NdjsonWriter(output), output, FailOn.NEVER)
    return buffer.getvalue().splitlines()


def whole(paths: Sequence[str | Path], options: Options | None = None) -> list[bytes]:
    """Return the report of one process."""
    return report_of(Audit(options or Options()), paths)


def divided(
    paths: Sequence[str | Path], workers: Workers | int, options: Options | None = None, audits: list[Any] | None = None
) -> list[bytes]:
    """Return the report of several processes. ``workers``: a number stands for workers in this process. ``audits``:
    gets the audit."""
    if isinstance(workers, int):
        workers = Workers(workers, lambda _: Here())
    with tempfile.TemporaryDirectory() as spool:
        audit = ParallelAudit(options or Options(), workers, Storage(spool))
        if audits is not None:
            audits.append(audit)
        return report_of(audit, paths)

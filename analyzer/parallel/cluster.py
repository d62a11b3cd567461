"""Workers of a Dask cluster."""

# Theory
# ------
# Dask hands out an executor, so nothing of a run depends on it. `pure=False`: it would return one cached result for two
# equal calls. A task of a worker that dies runs again by itself, at most three times; if the scheduler goes away, all
# tasks are cancelled.

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ..errors import UsageError, display_path, how_to_install
from .executors import Workers

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..files.storage import Storage

__all__ = ["Cluster"]

_PATIENCE = 30  # seconds to wait for the scheduler
_LEAVE = 5  # seconds to say goodbye to it
_PROBE = "probe"


class Cluster:
    """The cluster whose scheduler is at ``address``. ``dashboard``: the address of its own pages. Raises UsageError if
    it cannot be reached or has no workers."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client  # noqa: PLC0415
        except ImportError:
            hint = how_to_install("'smtpwire[cluster]'")
            raise UsageError("a cluster needs dask.distributed", "--cluster", hint) from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is reported as an error of the run
        self._where = f"--cluster {display_path(address)}"
        try:
            self._client: Any = Client(address, timeout=_PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())
            raise UsageError(f"the scheduler cannot be reached ({why})", self._where, "start dask scheduler") from None
        self.dashboard: str = self._client.dashboard_link
        self.count = len(self._client.scheduler_info(n_workers=-1)["workers"])
        if not self.count:
            self.close()
            raise UsageError("the cluster has no workers", self._where, "start dask worker on the machines")

    def check(self, spool: Storage) -> None:
        """Check that every worker has this version, and the spool. Raises UsageError."""
        spool.prepare()
        with spool.write(_PROBE) as stream:
            stream.write(b"x")
        for worker, answer in self._client.run(_answer, spool, __version__, on_error="return").items():
            if answer is not None:
                why = f"it cannot load smtpwire ({answer})" if isinstance(answer, Exception) else answer
                hint = "all workers need the same smtpwire, and a spool that all of them reach"
                raise UsageError(f"worker {worker}: {why}", self._where, hint)

    def workers(self) -> Workers:
        """Return its workers. They go on after the run."""
        from distributed import KilledWorker  # noqa: PLC0415

        client = self._client
        return Workers(
            self.count,
            start=lambda _: client.get_executor(pure=False),
            end=_leave,
            faults=(KilledWorker,),
            reach=lambda: client.status == "running",
        )

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close(timeout=_LEAVE)


def _leave(executor: Executor) -> None:
    """Do nothing: tasks that have not started were cancelled one by one, and the others end by themselves."""


def _answer(spool: Storage, version: str) -> str | None:
    """Return what is wrong with the worker that runs this."""
    if version != __version__:
        return f"it has smtpwire {__version__}, not {version}"
    try:
        return None if spool.has(_PROBE) else f"it does not see {spool.name}"
    except (OSError, UsageError) as error:
        return f"it cannot read {spool.name} ({error})"

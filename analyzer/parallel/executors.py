"""What runs tasks: a pool of processes on this machine."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor, wait
from multiprocessing import active_children, get_context
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from ..collector import calm_collector
from ..parent_process import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from concurrent.futures import Executor
    from types import TracebackType

__all__ = ["Workers"]

_one_at_a_time = threading.Lock()
_FAULTS: tuple[type[Exception], ...] = (OSError, BrokenExecutor, CancelledError)
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_ATTEMPTS = 2  # how often a task is run alone if it ends its process
_GONE = "the scheduler has gone"
_PATIENCE = 10.0  # seconds for the connection to it to come back
_POLL = 0.2  # seconds to wait at a time, so that Ctrl-C is seen


class _Submitted(Generic[_Task, _Result]):
    """A task, and its future once it was submitted."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.future: Future[_Result] | None = None


class Workers:
    """``count`` processes of an executor, which ``start`` makes and ``end`` ends; by default of a pool on this machine.
    A task whose process dies is run again. ``faults``: more exceptions that do not come from this program; ``reach``:
    whether the executor can be reached."""

    def __init__(
        self,
        count: int,
        start: Callable[[int], Executor] | None = None,
        end: Callable[[Executor], None] | None = None,
        faults: tuple[type[Exception], ...] = (),
        reach: Callable[[], bool] = lambda: True,
    ) -> None:
        self.count = count
        self._start = start or _pool
        self._end = end or _end
        self._faults = _FAULTS + faults
        self._reach = reach
        self._executor: Executor | None = None
        self._gone = False  # who distributes the tasks has gone

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, whatever they do."""
        if self._executor is not None:
            self._end(self._executor)
            self._executor = None

    def all(self, call: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> list[_Result]:
        """Run tasks, and return their results in the same order. Raises what the first one raises that fails."""
        results = []
        for _, result in self.in_order(call, tasks, len(tasks)):
            if isinstance(result, Exception):
                raise result
            results.append(result)
        return results

    def in_order(
        self, call: Callable[[_Task], _Result], tasks: Iterable[_Task], ahead: int
    ) -> Generator[tuple[_Task, _Result | Exception]]:
        """Run tasks, at most ``ahead`` at a time, and yield each in the same order with its result, or with the error
        if it failed because of what is outside of this program."""
        waiting: deque[_Submitted[_Task, _Result]] = deque()
        left = iter(tasks)
        attempts = 0  # of the first one, alone
        alone = False  # a process died: nothing else runs, so that it is clear which task ends its process
        try:
            while True:
                while len(waiting) < ahead and (task := next(left, None)) is not None:
                    waiting.append(_Submitted(task))
                if not waiting:
                    return
                for one in [waiting[0]] if alone else waiting:
                    one.future = one.future or self._submit(call, one.task)
                task, result = waiting[0].task, self._result(waiting[0])
                if isinstance(result, BrokenExecutor):
                    self.close()
                    attempts += alone
                    alone = True
                    for one in waiting:
                        one.future = None
                    if attempts < _ATTEMPTS:
                        continue
                waiting.popleft()
                attempts, alone = 0, False
                yield task, result
        finally:
            for one in waiting:
                if one.future is not None:
                    one.future.cancel()

    def _result(self, one: _Submitted[_Task, _Result]) -> _Result | Exception:
        """Wait for a task; return its result, or an error that does not come from this program."""
        assert one.future is not None
        self._await(one.future)
        try:
            return one.future.result(0)
        except self._faults as error:
            if self._gone or isinstance(error, CancelledError):
                self._gone = True
                return OSError(errno.EPIPE, _GONE)
            return error

    def _await(self, future: Future[_Result]) -> None:
        """Wait until the task has ended, or the executor has not been reached for some time."""
        last = monotonic()
        while not future.done():
            wait([future], timeout=_POLL)
            if self._reach():
                last = monotonic()
            elif monotonic() - last > _PATIENCE:
                self._gone = True
                return

    def _submit(self, call: Callable[[_Task], _Result], task: _Task) -> Future[_Result]:
        for _ in range(0 if self._gone else _ATTEMPTS):
            if self._executor is None:
                self._executor = self._start(self.count)
            try:
                return self._executor.submit(_run, call, task)
            except BrokenExecutor:  # a process has died since the last task
                self.close()
        failed: Future[_Result] = Future()
        failed.set_exception(OSError(errno.EPIPE, _GONE if self._gone else "no process can start"))
        return failed


def _pool(count: int) -> Executor:
    """Return a pool of processes on this machine."""
    return ProcessPoolExecutor(count, get_context("fork" if hasattr(os, "fork") else None), _begin)


def _end(executor: Executor) -> None:
    for child in active_children():  # those of the pool: nothing else here starts any
        child.terminate()
    executor.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Prepare a process of the pool."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # every process gets it, and only the first one handles it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(call: Callable[[_Task], _Result], task: _Task) -> _Result:
    """Run a task, one at a time: tables of the audit are not made for threads."""
    with _one_at_a_time:
        before = gc.get_threshold()
        calm_collector()
        try:
            return call(task)
        finally:
            gc.set_threshold(*before)

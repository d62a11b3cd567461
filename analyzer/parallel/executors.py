"""What runs tasks: a pool of processes on this machine."""

from __future__ import annotations

import errno
import gc
import os
import signal
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future
    from types import TracebackType

__all__ = ["Workers"]

_FAULTS = (OSError, BrokenExecutor, CancelledError)
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_ATTEMPTS = 3  # how often a task is run if the process that runs it dies
_POLL = 0.2  # seconds to wait at a time, so that Ctrl-C is seen


class Workers:
    """``count`` processes of an executor, which ``start`` makes; by default of a pool on this machine. A task whose
    process dies is run again."""

    def __init__(self, count: int, start: Callable[[int], Executor] | None = None) -> None:
        self.count = count
        self._start = start or pool
        self._executor: Executor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
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
    ) -> Iterator[tuple[_Task, _Result | Exception]]:
        """Run tasks, at most ``ahead`` at a time, and yield each in the same order with its result, or with the error
        if it failed because of what is outside of this program."""
        waiting: deque[tuple[_Task, Future[_Result]]] = deque()
        left = iter(tasks)
        attempts = 0
        try:
            while True:
                while len(waiting) < ahead and (task := next(left, None)) is not None:
                    waiting.append((task, self._submit(call, task)))
                if not waiting:
                    return
                task, future = waiting[0]
                while not future.done():
                    wait([future], timeout=_POLL)
                attempts += 1
                result: _Result | Exception
                try:
                    result = future.result()
                except _FAULTS as error:
                    if isinstance(error, BrokenExecutor):
                        self.close()
                        if attempts < _ATTEMPTS:
                            waiting = deque((task, self._submit(call, task)) for task, _ in waiting)
                            continue
                    result = error
                waiting.popleft()
                if isinstance(result, BrokenExecutor):
                    waiting = deque((task, self._submit(call, task)) for task, _ in waiting)
                attempts = 0
                yield task, result
        finally:
            for _, future in waiting:
                future.cancel()

    def _submit(self, call: Callable[[_Task], _Result], task: _Task) -> Future[_Result]:
        for _ in range(_ATTEMPTS):
            if self._executor is None:
                self._executor = self._start(self.count)
            try:
                return self._executor.submit(call, task)
            except BrokenExecutor:  # a process has died since the last task
                self.close()
        raise OSError(errno.EAGAIN, "no process can be started")


def pool(count: int) -> Executor:
    """Return a pool of processes on this machine."""
    return ProcessPoolExecutor(count, get_context("fork" if hasattr(os, "fork") else None), _begin)


def _begin() -> None:
    """Prepare a process of the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # every process gets it, and only the first one handles it
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)

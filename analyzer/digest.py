"""SHA-256 of mail data, worked out beside the audit."""

# Hashing takes a third of the time of a large message, and while it hashes more than 2 KB, hashlib lets go of the
# interpreter's lock. So large bodies are hashed by a thread, on another processor where there is one; whoever wants the
# digest waits for what is left. A short message is hashed at once: handing it over would take longer.
#
# Ctrl-C may strike the audit anywhere in here, and the report that follows wants digests too. So what both sides hold
# on to must not be left half taken: SimpleQueue and bare locks are made in C, where no signal is handled; a Queue or an
# Event would leave its inner lock taken for ever.

from __future__ import annotations

import _thread
import hashlib
import os
import signal
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Digest"]

LARGE = 8192  # bytes that are worth handing over
MAX_WAITING = 64  # blocks that wait, of some 16 KB each; then the audit waits for the thread


class Digest:
    """Feed it ``update``; ``hexdigest`` is of all that came."""

    __slots__ = ("_behind", "_hash")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._behind: _Worker | None = None  # who has some of it, so that all that follows has to go there

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        if self._behind is None and len(block) >= LARGE:
            self._behind = _worker()
        if self._behind is None:
            self._hash.update(block)
        else:
            self._behind.take(self._hash, block)

    def hexdigest(self) -> str:
        """The digest so far, as 64 hexadecimal digits."""
        if self._behind is not None:
            self._behind.mark().acquire()
        return self._hash.hexdigest()


class _Worker:
    """A thread that hashes what it is given, in order. Raises RuntimeError where the system gives none."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[_Hash, bytes] | _thread.LockType] = SimpleQueue()
        self._taken = 0
        self._half_way: _thread.LockType | None = None
        _thread.start_new_thread(self._work, ())

    def take(self, digest: _Hash, block: bytes) -> None:
        """Hash ``block`` into ``digest``, some time."""
        self._queue.put((digest, block))
        self._taken += 1
        if self._taken % (MAX_WAITING // 2) == 0:
            before, self._half_way = self._half_way, self.mark()
            if before is not None:
                before.acquire()

    def mark(self) -> _thread.LockType:
        """A lock that can be taken when all that was given until now is hashed."""
        lock = _thread.allocate_lock()
        lock.acquire()
        self._queue.put(lock)
        return lock

    def _work(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the thread that reads
        while True:
            item = self._queue.get()
            if isinstance(item, tuple):
                item[0].update(item[1])
            else:
                item.release()


_present: _Worker | None = None
_impossible = False  # the system gives no thread: everything is hashed at once


def _worker() -> _Worker | None:
    """The one of this process."""
    global _present, _impossible  # noqa: PLW0603
    if _present is None and not _impossible:
        try:
            _present = _Worker()
        except RuntimeError:
            _impossible = True
    return _present


def _forget_thread() -> None:
    global _present  # noqa: PLW0603
    _present = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_thread)  # threads stay with the parent

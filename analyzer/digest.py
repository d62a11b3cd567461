"""SHA-256 of mail data, worked out beside the audit."""

# Hashing takes a third of the time of a large message, and while it hashes more than 2 KB, hashlib lets go of the
# interpreter's lock. So large bodies are hashed by a thread, on another processor where there is one; whoever wants the
# digest waits for what is left. A short message is hashed at once: handing it over would take longer.

from __future__ import annotations

import hashlib
import os
from queue import Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Digest"]

LARGE = 8192  # bytes that are worth handing over
MAX_WAITING = 64  # blocks in the queue, of some 16 KB each; then the audit waits for the thread


class Digest:
    """Feed it ``update``; ``hexdigest`` is of all that came."""

    __slots__ = ("_behind", "_hash")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._behind = False  # some of it was handed over, so all that follows has to be

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        if self._behind or len(block) >= LARGE:
            self._behind = _hand_over((self._hash, block))
        if not self._behind:
            self._hash.update(block)

    def hexdigest(self) -> str:
        """The digest so far, as 64 hexadecimal digits."""
        if self._behind:
            done = Event()
            _hand_over((done, b""))
            done.wait()
        return self._hash.hexdigest()


_queue: Queue[tuple[_Hash | Event, bytes]] | None = None
_impossible = False  # the system gives no thread: everything is hashed at once


def _hand_over(item: tuple[_Hash | Event, bytes]) -> bool:
    global _queue, _impossible  # noqa: PLW0603  one thread for the process
    if _queue is None:
        if _impossible:
            return False
        waiting: Queue[tuple[_Hash | Event, bytes]] = Queue(MAX_WAITING)
        try:
            Thread(target=_work, args=(waiting,), name="smtpwire-digest", daemon=True).start()
        except RuntimeError:
            _impossible = True
            return False
        _queue = waiting
    _queue.put(item)
    return True


def _work(queue: Queue[tuple[_Hash | Event, bytes]]) -> None:
    while True:
        what, block = queue.get()
        if isinstance(what, Event):
            what.set()
        else:
            what.update(block)


def _forget_thread() -> None:
    global _queue  # noqa: PLW0603
    _queue = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_thread)  # threads stay with the parent

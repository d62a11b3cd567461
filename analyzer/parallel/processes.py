"""Processes that work for this one, and what they send."""

from __future__ import annotations

import marshal
import os
import signal
import tempfile
from collections import deque
from contextlib import suppress
from struct import Struct
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..connections.partition import NumberedConnection, Place

__all__ = ["Channel", "Message", "NeedsOneProcess", "WorkerProcess", "spool"]

_length = Struct("=Q")
_PIPE = 1 << 20  # bytes that a worker can leave behind and go on: about what it has to say of one block of a capture
_SPOOL = 1 << 28  # bytes that one can leave in a file beside it, and go on
_SPOOLED = 1 << 63  # of a length: the message lies in that file


class NeedsOneProcess(Exception):
    """One process has to do it; says why."""


class Message(NamedTuple):
    """From the worker number ``hand``. ``numbered``: connections that got numbers; ``ends``: where they ended, and
    their lines; ``offers``: servers that were found to offer STARTTLS, or not to."""

    hand: int
    kind: str
    more: Any
    numbered: list[NumberedConnection]
    ends: list[tuple[Place, bytes]]
    offers: list[tuple[tuple[str, ...], bool]]


class Channel:
    """The worker's end: messages go into ``pipe``, or into the file ``spool`` as long as there is room. What went into
    the pipe waits there until it is read; a pipe holds little."""

    def __init__(self, pipe: int, spool: int | None = None) -> None:
        self._pipe = pipe
        self._spool = spool
        self._room = _SPOOL

    def send(
        self,
        kind: str,
        more: Any,
        numbered: Sequence[NumberedConnection] = (),
        ends: Sequence[tuple[Place, bytes]] = (),
        offers: Sequence[tuple[tuple[str, ...], bool]] = (),
    ) -> None:
        """Send a ``Message``. ``more``: of what ``marshal`` takes. Raises OSError where that is impossible."""
        body = marshal.dumps((kind, more, list(numbered), list(ends), list(offers)))
        if self._spool is not None and len(body) <= self._room:
            self._room -= len(body)
            _write(self._spool, body)
            _write(self._pipe, _length.pack(len(body) | _SPOOLED))
        else:
            _write(self._pipe, _length.pack(len(body)) + body)


def _write(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


def spool() -> IO[bytes] | None:
    """A file for what a worker leaves behind; None where there is no place for one."""
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError:
        return None


def _widen(pipe: int) -> None:
    """Let more than the usual 64 KB wait in ``pipe``, where the system can do that."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl  # noqa: PLC0415  not on every system

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


class WorkerProcess:
    """A worker as this process sees it. ``numbers``: of its connections, by those that it gave them, less one;
    ``late``: those that got theirs when all was read, and have none here yet.

    ``spool``: where it may leave messages. Raises OSError where the system gives no process.
    """

    def __init__(
        self, run: Callable[[Channel], None], others: Sequence[WorkerProcess], spool: IO[bytes] | None = None
    ) -> None:
        self._number = len(others)
        self._spool = spool
        self._at = 0  # in it
        self.pipe: BinaryIO
        source, target = os.pipe()
        _widen(target)
        try:
            self.pid = os.fork()
        except OSError:
            os.close(source)
            os.close(target)
            raise
        if not self.pid:
            status = 1
            try:
                os.close(source)
                for other in others:
                    other.pipe.close()
                run(Channel(target, None if spool is None else spool.fileno()))
                status = 0
            finally:
                os._exit(status)  # nothing of the first process is this one's to flush or to take down
        os.close(target)
        self.pipe = os.fdopen(source, "rb", 1 << 20)
        self.numbers: list[int] = []
        self.late: deque[NumberedConnection] = deque()

    def next(self) -> Message:
        """Its next message. Raises ``NeedsOneProcess`` if it has died."""
        head = self.pipe.read(_length.size)
        length = _length.unpack(head)[0] if len(head) == _length.size else 0
        body = self._spooled(length ^ _SPOOLED) if length & _SPOOLED else self.pipe.read(length)
        if not body:
            raise NeedsOneProcess(f"process {self.pid} has died")
        message = Message(self._number, *marshal.loads(body))
        if message.kind == "alone":
            raise NeedsOneProcess(message.more)
        return message

    def _spooled(self, length: int) -> bytes:
        assert self._spool is not None
        body = os.pread(self._spool.fileno(), length, self._at)
        self._at += length
        return body if len(body) == length else b""

    def until(self, kind: str) -> tuple[list[Message], Message]:
        """Its messages up to the first of ``kind``, and that one. Raises ``NeedsOneProcess``."""
        messages: list[Message] = []
        while (message := self.next()).kind != kind:
            messages.append(message)
        return messages, message

    def end(self) -> None:
        """It is wanted no longer."""
        self.pipe.close()
        if self._spool is not None:
            self._spool.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

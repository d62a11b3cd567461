"""Processes that work for this one, and their messages."""

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
_PIPE = 1 << 20  # bytes that can wait in the pipe: about the messages for one block of a capture
_SPOOL = 1 << 28  # bytes that can wait in a file beside it
_SPOOLED = 1 << 63  # flag in a length: the message is in that file


class NeedsOneProcess(Exception):
    """Only one process can do it; the text says why."""


class Message(NamedTuple):
    """A message of the worker with the number ``worker``. ``numbered``: connections that got numbers; ``ends``: where
    they ended, and their lines; ``offers``: servers that were found to offer STARTTLS, or not to."""

    worker: int
    kind: str
    more: Any
    numbered: list[NumberedConnection]
    ends: list[tuple[Place, bytes]]
    offers: list[tuple[tuple[str, ...], bool]]


class Channel:
    """The worker's end: messages go into ``pipe``, or into the file ``spool`` as long as there is room. Data in the
    pipe waits until it is read; a pipe has little room."""

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
        """Send a ``Message``. ``more``: a value that ``marshal`` accepts. Raises OSError if it cannot be sent."""
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
    """Return a file for the messages of a worker; None if it cannot be created."""
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError:
        return None


def _widen(pipe: int) -> None:
    """Let more than the usual 64 KB wait in ``pipe``, if the system supports that."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl  # noqa: PLC0415  not on every system

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


class WorkerProcess:
    """A worker as this process sees it. ``numbers``: those of its connections, by its own numbers less one; ``late``:
    connections that got a number there when all was read, and have none here yet.

    ``spool``: a file for its messages. Raises OSError if the system cannot fork.
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
                os._exit(status)  # this process must not flush or clean up anything of its parent
        os.close(target)
        self.pipe = os.fdopen(source, "rb", 1 << 20)
        self.numbers: list[int] = []
        self.late: deque[NumberedConnection] = deque()

    def next(self) -> Message:
        """Return its next message. Raises ``NeedsOneProcess`` if it has died."""
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
        """Return its messages before the first of ``kind``, and that one. Raises ``NeedsOneProcess``."""
        messages: list[Message] = []
        while (message := self.next()).kind != kind:
            messages.append(message)
        return messages, message

    def end(self) -> None:
        """End the process."""
        self.pipe.close()
        if self._spool is not None:
            self._spool.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

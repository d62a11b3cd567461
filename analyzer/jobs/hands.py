"""Processes that work for this one, and what they send."""

from __future__ import annotations

import marshal
import os
import signal
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..shares import Place

__all__ = ["Alone", "Hand", "Message", "packed"]

_length = Struct("=Q")
_PIPE = 1 << 20  # bytes that a worker can leave behind and go on: about what it has to say of one block of a capture


class Alone(Exception):
    """One process has to do it."""


class Message(NamedTuple):
    """From the worker number ``hand``. ``begun``: places at which connections got numbers; ``ends``: where they ended,
    and their lines; ``offers``: servers that were found to offer STARTTLS, or not to."""

    hand: int
    kind: str
    more: Any
    begun: list[Place]
    ends: list[tuple[Place, bytes]]
    offers: list[tuple[tuple[str, ...], bool]]


def packed(
    kind: str,
    more: Any,
    begun: list[Place],
    ends: list[tuple[Place, bytes]],
    offers: list[tuple[tuple[str, ...], bool]],
) -> bytes:
    """A message as a worker sends it. ``more``: of what ``marshal`` takes."""
    body = marshal.dumps((kind, more, begun, ends, offers))
    return _length.pack(len(body)) + body


def _widen(pipe: int) -> None:
    """Let more than the usual 64 KB wait in ``pipe``, where the system can do that."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl  # noqa: PLC0415  not on every system

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


class Hand:
    """A worker as this process sees it. ``numbers``: of its connections, by those that it gave them, less one.

    Raises OSError where the system gives no process.
    """

    def __init__(self, run: Callable[[int], None], others: Sequence[Hand]) -> None:
        self._number = len(others)
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
                run(target)
                status = 0
            finally:
                os._exit(status)  # nothing of the first process is this one's to flush or to take down
        os.close(target)
        self.pipe = os.fdopen(source, "rb", 1 << 20)
        self.numbers: list[int] = []

    def next(self) -> Message:
        """Its next message. Raises ``Alone`` if it has died."""
        head = self.pipe.read(_length.size)
        body = self.pipe.read(_length.unpack(head)[0]) if len(head) == _length.size else b""
        if not body:
            raise Alone
        message = Message(self._number, *marshal.loads(body))
        if message.kind == "alone":
            raise Alone
        return message

    def until(self, kind: str) -> tuple[list[Message], Message]:
        """Its messages up to the first of ``kind``, and that one. Raises ``Alone``."""
        messages: list[Message] = []
        while (message := self.next()).kind != kind:
            messages.append(message)
        return messages, message

    def end(self) -> None:
        """It is wanted no longer."""
        self.pipe.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

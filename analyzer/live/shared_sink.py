"""What the processes of a live audit send to the one that reports."""

# Theory
# ------
# Each process of a live audit runs the usual loop on its own rings; only its sink is another one. It sends everything
# through a pipe to the process that has the real sink, which only passes it on, adds up counts, and joins the captures.
# If the report is NDJSON, the lines are made before they are sent, so passing on costs nearly nothing.

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct, msgpack
from msgspec.structs import replace

from ..model import Capture, Connection, Finding, Summary
from .line_sinks import JsonLinesSink
from .sinks import Sink, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..reports.output import Output

__all__ = ["Inbox", "Message", "PipeSink"]

_LENGTH = 4  # bytes of the length in front of a message
_READ = 1 << 20


class Lines(Struct, tag=True):
    """Lines of NDJSON."""

    data: bytes


class Found(Struct, tag=True):
    """``Sink.finding``; the connection has no dialogue."""

    finding: Finding
    connection: Connection


class ConnectionEnded(Struct, tag=True):
    """``Sink.ended``."""

    connection: Connection


class Standing(Struct, tag=True):
    """``Sink.standing``."""

    connections: list[Connection]
    time: str


class Notice(Struct, tag=True):
    """``Sink.notice``."""

    text: str


class Tick(Struct, tag=True):
    """``Sink.tick``: the fields of ``Totals``."""

    frames: int
    octets: int
    dropped: int
    open: int
    summary: Summary


class Read(Struct, tag=True):
    """``Sink.capture``."""

    capture: Capture


class Finished(Struct, tag=True):
    """``Sink.finish``."""

    summary: Summary


Message = Lines | Found | ConnectionEnded | Standing | Notice | Tick | Read | Finished


class PipeSink(Sink):
    """Sends everything to ``pipe``. ``as_lines``: findings and connections as lines of NDJSON."""

    def __init__(self, pipe: int, *, as_lines: bool) -> None:
        self._pipe = pipe
        self._encode = msgpack.Encoder().encode
        lines: Output = self  # type: ignore[assignment]  # it has the only method that is used
        self._lines = JsonLinesSink(lines) if as_lines else None

    def write(self, data: bytes) -> None:
        """Send lines."""
        self._send(Lines(data))

    def finding(self, finding: Finding, connection: Connection) -> None:
        """See ``Sink``."""
        if self._lines is not None:
            self._lines.finding(finding, connection)
        else:
            self._send(Found(finding, replace(connection, dialogue=[], messages=[], findings=[])))

    def ended(self, connection: Connection) -> None:
        """See ``Sink``."""
        if self._lines is not None:
            self._lines.ended(connection)
        else:
            self._send(ConnectionEnded(connection))

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """See ``Sink``."""
        self._send(Standing(list(connections), time))

    def notice(self, text: str) -> None:
        """See ``Sink``."""
        self._send(Notice(text))

    def tick(self, totals: Totals) -> None:
        """See ``Sink``."""
        self._send(Tick(*totals))

    def capture(self, capture: Capture) -> None:
        """See ``Sink``."""
        self._send(Read(capture))

    def finish(self, summary: Summary) -> None:
        """See ``Sink``."""
        self._send(Finished(summary))

    def _send(self, message: Message) -> None:
        encoded = self._encode(message)
        rest = memoryview(len(encoded).to_bytes(_LENGTH, "big") + encoded)
        while rest:
            rest = rest[os.write(self._pipe, rest) :]


class Inbox:
    """The other end of a pipe. ``closed``: its process has ended."""

    def __init__(self, pipe: int) -> None:
        self.closed = False
        self._pipe = pipe
        self._waiting = b""
        self._decoder = msgpack.Decoder(Message)

    def fileno(self) -> int:
        """Return the descriptor, for select and poll."""
        return self._pipe

    def read(self) -> Iterator[Message]:
        """Yield the messages that are there. Waits for the first bytes."""
        data = os.read(self._pipe, _READ)
        self.closed = not data
        waiting, at = self._waiting + data, 0
        while len(waiting) >= at + _LENGTH:
            start = at + _LENGTH
            end = start + int.from_bytes(waiting[at:start], "big")
            if end > len(waiting):
                break
            yield self._decoder.decode(memoryview(waiting)[start:end])
            at = end
        self._waiting = waiting[at:]

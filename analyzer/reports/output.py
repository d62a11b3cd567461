"""The destination of a report: a byte stream, and what it can show (width, colour, characters)."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING, BinaryIO, NoReturn, Protocol, runtime_checkable

from ..errors import OutputError

if TYPE_CHECKING:
    from ..model import Capture, Connection, Summary

__all__ = ["Lines", "Output", "Writer", "plural"]

# A terminal may have any width; text is readable between these limits.
MIN_WIDTH = 40
MAX_WIDTH = 120
# The width for a file or a pipe, which have none. COLUMNS overrides it.
FILE_WIDTH = 100
_BLOCK = 1 << 18  # bytes written at once if no reader waits for each item

# Used if the encoding of the output does not have the character.
_ASCII = str.maketrans(
    {"→": ">", "←": "<", "⇒": "=>", "⇐": "<=", "│": "|", "└": "`", "─": "-", "…": "...", "§": "section ", "·": "-"}
)


class Writer(Protocol):
    """Takes the items of a run in the order in which they become known. ``streams``: it writes them at once."""

    streams: bool

    def capture(self, capture: Capture) -> None:
        """An input was read to its end."""

    def connection(self, connection: Connection) -> None:
        """A connection ended."""

    def finish(self, summary: Summary) -> None:
        """The run is over, or was interrupted."""


@runtime_checkable
class Lines(Protocol):
    """A writer that accepts connections as lines of NDJSON, which another one of its kind made."""

    def put(self, lines: bytes) -> None:
        """Write lines as they are."""


class Output:
    """A byte stream and the properties of its destination.

    ``live`` is true for a pipe, a socket or a terminal: someone may wait for output, so each item is flushed. After
    ``be_patient``, items are flushed only when ``settle`` is called.
    """

    def __init__(self, stream: BinaryIO | IO[bytes], *, name: str = "standard output", encoding: str = "utf-8") -> None:
        self._name = name
        self._stream = stream
        self.encoding = encoding
        self.terminal = stream.isatty()
        self.live = self.terminal or not _is_regular(stream)
        self._patient = False
        self._waiting: list[bytes] = []  # data of write() that is not in the stream yet
        self._waits = 0  # bytes in it
        self.colour = _wants_colour(self.terminal)
        columns = shutil.get_terminal_size((FILE_WIDTH, 24)).columns
        self.width = min(max(columns, MIN_WIDTH), MAX_WIDTH)
        self._plain_ascii = not _can_encode("→←⇒⇐│└─…§·", encoding)

    def through(self, pipe: BinaryIO | IO[bytes]) -> Output:
        """Return an output that writes into ``pipe``, a program that shows the text here."""
        other = Output(pipe, name="the pager", encoding=self.encoding)
        other.terminal, other.colour, other.width = self.terminal, self.colour, self.width
        return other

    def write(self, data: bytes) -> None:
        """Write all of one item. Raises ``BrokenPipeError`` if the reader has gone, else ``OutputError``."""
        if self._patient:
            self._waiting.append(data)
            self._waits += len(data)
            if self._waits >= _BLOCK:
                self._send()
            return
        try:
            self._write_all(data)
            if self.live:
                self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _write_all(self, data: bytes) -> None:
        """Write all of ``data``: a stream without a buffer (PYTHONUNBUFFERED) may take only a part, because a signal
        ends a write into a full pipe."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) or 0 :]

    def _send(self) -> None:
        """Write the waiting data in one piece: a system call costs as much as making a line."""
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        self._waiting, self._waits = [], 0
        try:
            self._write_all(data)
        except OSError as error:
            self._failed(error)

    def be_patient(self) -> None:
        """From now on ``settle`` is called each time before a pause in the output."""
        self._patient = True

    def settle(self) -> None:
        """Deliver everything that is known so far. Raises as ``write`` does."""
        if self.live:
            self.flush()
        else:
            self._send()

    def text(self, text: str) -> None:
        """Write ``text``. Characters that the encoding does not have become ASCII of the same meaning, else escapes."""
        if self._plain_ascii:
            text = text.translate(_ASCII)
        self.write(text.encode(self.encoding, "backslashreplace"))

    def flush(self) -> None:
        """Write what is still buffered. Raises as ``write`` does."""
        self._send()
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> NoReturn:
        # The interpreter flushes standard output again when it ends, and would report the error again.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise error
        raise OutputError(f"cannot write ({error.strerror}): {self._name}: name another file with -o") from error


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: ``1 frame``, ``1,204 frames``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _is_regular(stream: BinaryIO | IO[bytes]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        # It has no descriptor (a buffer in memory), so no reader waits for it.
        return True


def _wants_colour(terminal: bool) -> bool:
    """Follow the common conventions: https://no-color.org, FORCE_COLOR, and dumb terminals."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True

"""Where a report goes: a byte stream, and what it can show (width, colour, characters)."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Protocol

from ..errors import OutputError

if TYPE_CHECKING:
    from ..model import Capture, Connection, Summary

__all__ = ["Output", "Writer", "plural"]

# A terminal may be of any width; text stays readable between these.
MIN_WIDTH = 40
MAX_WIDTH = 120
# Of a file or a pipe, which have none. COLUMNS overrides it.
FILE_WIDTH = 100
_BLOCK = 1 << 18  # bytes that are handed over at once, where nobody waits for each item

# Used where the output's encoding lacks the character.
_ASCII = str.maketrans({"→": ">", "←": "<", "│": "|", "└": "`", "─": "-", "…": "...", "§": "section ", "·": "-"})


class Writer(Protocol):
    """Takes the items of a run in the order in which they become known; ``streams``: and writes them at once."""

    streams: bool

    def capture(self, capture: Capture) -> None:
        """An input was read to its end."""

    def connection(self, connection: Connection) -> None:
        """A connection ended."""

    def finish(self, summary: Summary) -> None:
        """The run is over, or was interrupted."""


class Output:
    """A byte stream and what is at the other end of it.

    ``live`` is true for a pipe, a socket or a terminal: someone may be waiting, so that each item is flushed; behind
    ``be_patient``, when ``settle`` is called.
    """

    def __init__(self, stream: BinaryIO, *, name: str = "standard output", encoding: str = "utf-8") -> None:
        self._name = name
        self._stream = stream
        self.encoding = encoding
        self.terminal = stream.isatty()
        self.live = self.terminal or not _is_regular(stream)
        self._patient = False
        self._waiting: list[bytes] = []  # written, and not handed over yet
        self._waits = 0  # bytes of it
        self.colour = _wants_colour(self.terminal)
        columns = shutil.get_terminal_size((FILE_WIDTH, 24)).columns
        self.width = min(max(columns, MIN_WIDTH), MAX_WIDTH)
        self._plain_ascii = not _can_encode("→←│└─…§·", encoding)

    def write(self, data: bytes) -> None:
        """Write all of one item. Raises ``BrokenPipeError`` where nobody reads any more, else ``OutputError``."""
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
        """A stream without a buffer (PYTHONUNBUFFERED) may take a part: a signal ends a write into a full pipe."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) or 0 :]

    def _send(self) -> None:
        """Hand over in one piece what waits: a call of the system costs as much as to make a line."""
        if not self._waiting:
            return
        data = b"".join(self._waiting)
        self._waiting, self._waits = [], 0
        try:
            self._write_all(data)
        except OSError as error:
            self._failed(error)

    def be_patient(self) -> None:
        """From now on ``settle`` is called whenever there will be nothing to write for a while."""
        self._patient = True

    def settle(self) -> None:
        """All that is known for now was written: let them have it who wait for it. Raises as ``write`` does."""
        if self.live:
            self.flush()
        else:
            self._send()

    def text(self, text: str) -> None:
        """Write ``text``; what the encoding lacks is replaced by ASCII of the same meaning, else escaped."""
        if self._plain_ascii:
            text = text.translate(_ASCII)
        self.write(text.encode(self.encoding, "backslashreplace"))

    def flush(self) -> None:
        """Write what is still held back. Raises as ``write`` does."""
        self._send()
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> NoReturn:
        # The interpreter flushes standard output once more when it ends, and would complain once more.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise error
        raise OutputError(f"cannot write ({error.strerror}): {self._name}: name another file with -o") from error


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 frame``, ``1,204 frames``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _is_regular(stream: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        # No descriptor behind it (a buffer in memory): nobody waits for it.
        return True


def _wants_colour(terminal: bool) -> bool:
    """The common conventions: https://no-color.org, FORCE_COLOR, and dumb terminals."""
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

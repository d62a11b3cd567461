"""Lines for the person at the terminal: notices on standard error, results of commands on standard output."""

# Every line of a command that is no report goes through these two functions, so no name reaches a terminal unescaped,
# and a stream that is full or gone costs the line, not the run.

from __future__ import annotations

import os
import sys
from contextlib import suppress

from .errors import OutputError, display_path

__all__ = ["drop_output", "notice", "say"]


def notice(text: str) -> None:
    """Print one line to standard error. A line that cannot be printed is dropped."""
    try:
        print(f"smtpwire: {display_path(text)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _drop_the_rest(2)


def say(text: str) -> None:
    """Print one line to standard output. Raises BrokenPipeError if the reader has gone, else OutputError."""
    encoding = sys.stdout.encoding or "utf-8"
    line = display_path(text).encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(line, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise OutputError(f"cannot write ({error.strerror}): standard output: name another file") from error


def drop_output() -> None:
    """Drop what is still to be written to standard output."""
    _drop_the_rest(1)


def _drop_the_rest(fd: int) -> None:
    """Send what is still buffered to nowhere: the interpreter would try it again when it ends, and report it again."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, fd)
        os.close(nowhere)

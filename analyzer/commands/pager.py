"""A pager for what a person reads on a terminal, as git has one."""

# SMTPWIRE_PAGER, or PAGER, or `less` if it is there. `less` is told to show colours, to end by itself if everything
# fits on the screen, and to leave it there. An empty value, or `cat`, is no pager; a dumb terminal gets none.

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..console import drop_output, notice
from .settings import output_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from ..reports.output import Output

__all__ = ["paged"]

_LESS = "FRX"
_OF_A_SHELL = frozenset("|&;<>()$`")


@contextmanager
def paged(*, wanted: bool = True) -> Iterator[Output]:
    """Open standard output, through a pager if it is a terminal. ``wanted``: otherwise without a pager."""
    out = output_to()
    process = _started(out) if wanted and out.terminal else None
    if process is None:
        try:
            yield out
        except BrokenPipeError:
            drop_output()  # `| head` has seen enough
        return
    pipe: IO[bytes] = process.stdin  # type: ignore[assignment]  # it was asked for
    try:
        yield out.through(pipe)
    except BrokenPipeError:
        pass  # the reader left the pager before the end
    finally:
        with suppress(OSError):
            pipe.close()
        _wait_for(process)


def _started(out: Output) -> subprocess.Popen[bytes] | None:
    command = os.environ.get("SMTPWIRE_PAGER", os.environ.get("PAGER", "less" if shutil.which("less") else ""))
    if os.environ.get("TERM") == "dumb":
        return None
    try:
        words = ["sh", "-c", command] if set(command) & _OF_A_SHELL else shlex.split(command)
        if not words or words == ["cat"]:
            return None
        return subprocess.Popen(words, stdin=subprocess.PIPE, env={"LESS": _LESS, "LV": "-c", **os.environ})
    except (OSError, ValueError) as error:
        notice(f"no pager: {command}: {error}")
        return None


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Wait until the reader leaves the pager. Ctrl-C is for the pager alone now."""
    while True:
        try:
            process.wait()
        except KeyboardInterrupt:
            continue
        return

"""The command ``smtpwire`` with short timeouts: stopped while it waits for input, it reports at once.

Only the time that a block may take is shorter; signals, pipes and reports are the real ones. The real time is tested
in ``tests/commands/test_cli.py``.
"""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
import time
from typing import IO

__all__ = ["IMPATIENT", "until_full", "until_read"]

IMPATIENT = [
    sys.executable,
    "-c",
    "from smtpwire.analyzer import cli, interrupt\n"
    "interrupt.MAX_BLOCK_SECONDS, interrupt.TICK_SECONDS = 0.2, 0.01\n"
    "cli.main()",
]


def _waiting(pipe: IO[bytes]) -> int:
    """Return the number of bytes in the pipe."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


def until_read(pipe: IO[bytes], seconds: float = 60) -> None:
    """Wait until the reader of the pipe has taken all that was written."""
    end = time.monotonic() + seconds
    while _waiting(pipe):
        assert time.monotonic() < end, "nothing reads the pipe"
        time.sleep(0.01)


def until_full(pipe: IO[bytes], seconds: float = 60) -> None:
    """Wait until the writer of the pipe has waited for room for 0.2 s."""
    end = time.monotonic() + seconds
    before, alike = 0, 0
    while alike < 20 or before < 1 << 15:
        assert time.monotonic() < end, "the pipe was never full"
        time.sleep(0.01)
        now = _waiting(pipe)
        before, alike = now, alike + 1 if now == before else 0

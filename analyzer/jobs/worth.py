"""Whether captures are worth more than one process."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from ..capture import STDIN, Source
from ..errors import InputError
from ..pcap import MAGICS
from ..pcapng import MAGIC
from ..rules import RULES
from ..segments import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Options

__all__ = ["plan", "whole", "worth_sharing"]

SMALL = 8 << 20  # bytes of all inputs below which a second process takes longer to start than it saves
DENSE = 0.3  # share of frames on ports of SMTP from which on the work on them is most of it
MAX_JOBS = 4  # without being asked for: the first process has to keep up with all others
# The share of the bytes that is the first half. Who has the second one counts the frames of the first, while who puts
# both together can write that one as it comes; where there is little to write, counting weighs more.
DENSE_HALF, HALF = 0.5, 0.54
LOOKS, BETWEEN = 20, 0.001  # at what is running, and seconds between them
_LOAD = Path("/proc/loadavg")  # proc_loadavg(5)


def plan(options: Options, paths: Sequence[str], jobs: int | None) -> tuple[int, int | None]:
    """How many processes share these inputs, and the byte at which two of them cut the one input that there is; None:
    they share its connections. ``jobs``: how many were asked for, None: as many as it is worth."""
    if jobs is None:
        jobs = worth_sharing(options, paths)
    size = whole(options, paths) if jobs == 2 else 0
    if not size:
        return jobs, None
    return jobs, int(size * (DENSE_HALF if _is_dense(paths[0], options.ports) else HALF))


def worth_sharing(options: Options, paths: Sequence[str]) -> int:
    """How many processes these inputs are worth: 1, or as many as there are cores that nobody uses; no more than two
    where they are not mostly mail."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores < 2 or not hasattr(os, "fork") or options.decoder != "raw" or options.baseline is not None:
        return 1
    sizes = [_size(path) for path in paths]
    if not all(sizes) or sum(sizes) < SMALL:
        return 1
    most = 2 if whole(options, paths) else 1
    if (cores > most or most == 1) and _is_dense(paths[0], options.ports):
        most = MAX_JOBS
    return max(1, min(most, cores - _busy())) if most > 1 else 1


def whole(options: Options, paths: Sequence[str]) -> int:
    """Bytes of the one input that two processes can divide by place (`halved`); 0: it has to be shared otherwise. What
    is packed cannot be entered in the middle, and rules of others may want to see all connections."""
    size = _size(paths[0])
    if len(paths) != 1 or not size or options.baseline is not None:
        return 0
    if not all(RULES[rule].own for rule in options.rules()):
        return 0
    try:
        with Path(paths[0]).open("rb") as file:
            start = file.read(4)
    except OSError:
        return 0
    return size if start in MAGICS or start == MAGIC else 0


def _size(path: str) -> int:
    """Bytes of a regular file; 0: it is none, or it is empty."""
    try:
        status = Path(path).stat() if path != STDIN else None
    except OSError:
        return 0
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


def _busy() -> int:
    """Processes beside this one that want to run now; 0 where the system does not say. What was busy a minute ago may
    have been this command's own kind, one after the other; and what runs at one moment may be the system's own for a
    moment, so there are several looks."""
    busy: list[int] = []
    for _ in range(LOOKS):
        try:
            busy.append(int(_LOAD.read_text("ascii").split()[3].partition("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return 0
        if not busy[-1]:
            break
        sleep(BETWEEN)
    return min(busy)


def _is_dense(path: str, ports: frozenset[int]) -> bool:
    """Whether most of what the input begins with is mail."""
    found = 0

    def sink(
        key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
    ) -> None:
        nonlocal found
        sides = int.from_bytes(key[-4:-2], "big"), int.from_bytes(key[-2:], "big")
        found += not ports.isdisjoint(sides)

    try:
        with Source(path).open(1 << 18) as opened:
            for _ in opened.reader.run(SegmentDecoder(sink)):
                return found > DENSE * opened.reader.frames
    except InputError:
        pass
    return False

"""The division of captures between the processes that the user asked for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files.reading import open_input
from ..frames.inputs import STDIN, Source
from ..frames.pcap import MAGICS
from ..frames.pcapng import MAGIC
from ..rules import RULES
from ..rules import __name__ as RULES_PACKAGE
from ..segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Options

__all__ = ["plan", "whole"]

_OWN_RULES = f"{RULES_PACKAGE}."  # rules of plugins are declared elsewhere
DENSE = 0.3  # share of frames on ports of SMTP from which on the work on them is most of it
# The share of the bytes in the first half. The process with the second half counts the frames of the first, while the
# process that merges both can write the first as it comes; if there is little to write, counting costs more.
DENSE_HALF, HALF = 0.5, 0.54


def plan(options: Options, paths: Sequence[str], jobs: int) -> int | None:
    """Return the byte at which two processes split the only input; None: ``jobs`` processes share its connections."""
    size = whole(options, paths) if jobs == 2 else 0
    if not size:
        return None
    return int(size * (DENSE_HALF if _is_dense(paths[0], options.ports) else HALF))


def whole(options: Options, paths: Sequence[str]) -> int:
    """Return the bytes of the only input if two processes can split it by position (`connections.split`); 0: it must be
    shared otherwise.

    A compressed file cannot be entered in the middle, and rules of plugins may need all connections.
    """
    size = _size(paths[0])
    if len(paths) != 1 or not size or options.baseline is not None:
        return 0
    if not all(RULES[rule].check.__module__.startswith(_OWN_RULES) for rule in options.rules()):
        return 0
    try:
        with os.fdopen(open_input(paths[0], found=True), "rb") as file:
            start = file.read(4)
    except OSError:
        return 0
    return size if start in MAGICS or start == MAGIC else 0


def _size(path: str) -> int:
    """Return the bytes of a regular file; 0 if it is not one, or is empty."""
    try:
        status = Path(path).stat() if path != STDIN else None
    except OSError:
        return 0
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


def _is_dense(path: str, ports: frozenset[int]) -> bool:
    """Whether most frames at the start of the input are mail."""
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

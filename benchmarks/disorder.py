"""Write three disordered copies of a capture: frames doubled, frames swapped, and frames missing.

    PYTHON benchmarks/disorder.py CAPTURE FOLDER [--seed N]

The copies are ``doubled.pcap`` (30 % of the frames twice in a row), ``swapped.pcap`` (30 % of the frames change places
with the next but one, times stay in order) and ``missing.pcap`` (5 % of the frames are left out). The same seed gives
the same copies. CAPTURE is a little-endian pcap file.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Record = tuple[bytes, bytes]
"""The time of a frame as its eight bytes in the file, and the rest of its record."""

DOUBLED = 0.3
SWAPPED = 0.3
MISSING = 0.05


def records(path: Path) -> tuple[bytes, list[Record]]:
    """Return the header of a capture, and its records."""
    data = path.read_bytes()
    found: list[Record] = []
    at = 24
    while at + 16 <= len(data):
        end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
        found.append((data[at : at + 8], data[at + 8 : end]))
        at = end
    return data[:24], found


def doubled(found: list[Record], choice: random.Random) -> list[Record]:
    """Repeat some records at once."""
    return [one for record in found for one in [record] * (1 + (choice.random() < DOUBLED))]


def swapped(found: list[Record], choice: random.Random) -> list[Record]:
    """Let some frames change places with the next but one. The times keep their places."""
    frames = [frame for _, frame in found]
    for at in range(len(frames) - 2):
        if choice.random() < SWAPPED:
            frames[at], frames[at + 2] = frames[at + 2], frames[at]
    return [(time, frame) for (time, _), frame in zip(found, frames, strict=True)]


def missing(found: list[Record], choice: random.Random) -> list[Record]:
    """Leave out some records."""
    return [record for record in found if choice.random() >= MISSING]


WAYS: dict[str, Callable[[list[Record], random.Random], list[Record]]] = {
    "doubled": doubled,
    "swapped": swapped,
    "missing": missing,
}


def main() -> int:
    """Write the copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=5321)
    asked = parser.parse_args()
    header, found = records(asked.capture)
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, change in WAYS.items():
        with (asked.folder / f"{name}.pcap").open("wb") as file:
            file.write(header)
            file.writelines(part for record in change(found, random.Random(asked.seed)) for part in record)
    return 0


if __name__ == "__main__":
    sys.exit(main())

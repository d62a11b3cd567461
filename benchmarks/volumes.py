"""Measure memory and time of what only is many; ``python benchmarks/volumes.py`` writes a table into robustness.md."""

# What bytes can do is in `attacks`. Here only the number is wrong: of connections, SYNs, chunks, attachments or files.
# Each is run at four sizes, each twice the one before, by the program itself in a process of its own. Time is
# processor time, memory the peak of the process.

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attacks import SYN, File, Talk, packet

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "robustness.md"
HEADING = "## Large numbers\n"
SIZES = 4
_TO = b"\xc0\x00\x02\x02"
_HEAD = b"From: a@client.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
_PART = b'--b\r\nContent-Type: application/x\r\nContent-Disposition: attachment; filename="%d"\r\n\r\nx\r\n'


class Volume(NamedTuple):
    """``most``: the largest number. ``command``: words of the program. ``write``: puts the inputs into a folder."""

    name: str
    most: int
    command: tuple[str, ...]
    write: Callable[[Path, int], None]


class Run(NamedTuple):
    """One run: its number, MB of input, processor seconds, and peak memory in MB."""

    number: int
    input_mb: float
    seconds: float
    peak_mb: float


def _address(number: int) -> bytes:
    return (0x0A000000 + number).to_bytes(4, "big")


def _one(make: Callable[[int], bytes]) -> Callable[[Path, int], None]:
    def write(folder: Path, number: int) -> None:
        (folder / "in.pcap").write_bytes(make(number))

    return write


def _idle(number: int) -> bytes:
    """Connections that stay open after the hello."""
    file = File()
    for n in range(number):
        Talk(file, source=_address(n)).hello()
    return file.done()


def _syns(number: int) -> bytes:
    file = File()
    for n in range(number):
        file.frame(packet((_address(n), _TO, 1024 + n % 60_000, 25), n * 7919, 0, SYN))
    return file.done()


def _chunks(number: int) -> bytes:
    """Chunks of one octet, each answered before the next one."""
    talk = Talk().envelope()
    for _ in range(number):
        talk.c(b"BDAT 1\r\nx").s(b"250 ok\r\n")
    return talk.c(b"BDAT 0 LAST\r\n").s(b"250 ok\r\n").over()


def _attachments(number: int) -> bytes:
    text = _HEAD + b"".join(_PART % n for n in range(number)) + b"--b--\r\n.\r\n"
    return Talk().data().c(text).s(b"250 ok\r\n").over()


def _files(folder: Path, number: int) -> None:
    """Files with one session each."""
    session = Talk().data().c(b"From: a@client.example\r\n\r\nx\r\n.\r\n").s(b"250 ok\r\n").over()
    for n in range(number):
        (folder / f"{n:06}.pcap").write_bytes(session)


VOLUMES = (
    Volume("connections that stay idle after the hello", 50_000, ("audit",), _one(_idle)),
    Volume("a SYN flood", 1_000_000, ("audit",), _one(_syns)),
    Volume("BDAT chunks of one octet", 98_304, ("audit",), _one(_chunks)),
    Volume("attachments of one message, audited", 100_000, ("audit",), _one(_attachments)),
    Volume("attachments of one message, extracted", 100_000, ("extract",), _one(_attachments)),
    Volume("files", 10_000, ("audit",), _files),
)


def _written(volume: Volume, folder: Path, number: int) -> None:
    """Write the inputs in a process of its own: the peak of a process is at least that of the one that starts it."""
    writer = os.fork()
    if not writer:
        try:
            volume.write(folder, number)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(writer, 0)[1]:
        raise SystemExit(f"{volume.name}, {number:,}: the inputs cannot be written")


def run(volume: Volume, number: int) -> Run:
    """Run the program on so many."""
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        inputs = Path(folder) / "in"
        inputs.mkdir()
        _written(volume, inputs, number)
        size = sum(path.stat().st_size for path in inputs.iterdir()) / (1 << 20)
        words = [sys.executable, "-m", "smtpwire", *volume.command, "--no-config", str(inputs)]
        words += ["-o", f"{folder}/out"] if volume.command == ("extract",) else ["--format", "ndjson"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{volume.name}, {number:,}: exit status {process.returncode}")
    return Run(number, size, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _row(volume: Volume, runs: list[Run]) -> str:
    cells = [f"{one.number:,}: {one.seconds:.1f} s, {one.peak_mb:.0f} MB" for one in runs]
    first, last = runs[0], runs[-1]
    more = last.number - first.number
    micros = 1e6 * (last.seconds - first.seconds) / more
    octets = (last.peak_mb - first.peak_mb) * (1 << 20) / more
    return f"| {volume.name} | {' | '.join(cells)} | {micros:.0f} µs, {octets:.0f} bytes |"


def section() -> str:
    """Run all volumes, and return the section of the page."""
    rows = []
    for volume in VOLUMES:
        runs = [run(volume, volume.most >> doubling) for doubling in range(SIZES - 1, -1, -1)]
        rows.append(_row(volume, runs))
        print(rows[-1], flush=True)
    head = "| what | an eighth | a quarter | half | all | one more |\n|---|---|---|---|---|---|\n"
    return f"{HEADING}\n{_TEXT}\n{head}" + "\n".join(rows) + "\n"


_TEXT = """Here only the number is wrong. `python benchmarks/volumes.py` makes this table: the program with its
start, at four sizes, each twice the one before. The last column is the slope of both straight lines, from an eighth to
all.
"""


def main() -> None:
    """Replace the section of the page."""
    page = PAGE.read_text("utf-8").partition(HEADING)[0].rstrip("\n")
    PAGE.write_text(f"{page}\n\n{section()}", "utf-8")


if __name__ == "__main__":
    main()

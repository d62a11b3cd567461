"""Memory does not grow with the size of the capture, and only little with the number of open connections."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import Record, pcap, pcap_record
from scripts import MESSAGE, Segment, envelope, hello, lines, records, segments

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the peak"),
]

HELLO = hello("PIPELINING", "SIZE 100000")
WHOLE = [*HELLO, *envelope(), *lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 queued")]
WHOLE += lines("C QUIT", "S 221 bye", "FC", "FS")

PEAK = """
import os, sys
from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.limits import Limits
audit = Audit(Options(limits=Limits(closed_connections=100)))
for _ in audit.run([sys.argv[1]]):
    pass
assert audit.summary.connections == int(sys.argv[2])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def write(path: Path, *parts: tuple[Iterable[int], list[Segment]], clients: int = 1 << 24) -> Path:
    """Write a capture: for each part, its connection as many times, one millisecond after the other. ``clients``:
    how many addresses they come from, in turn."""
    with path.open("wb") as file:
        file.write(pcap([]))
        for numbers, sent in parts:
            made = records(sent)
            places = [
                26 if one.key.startswith(bytes((192, 0, 2, 1))) else 30 for one in sent
            ]  # of the client's address
            for number in numbers:
                address = bytes((10, *(number % clients).to_bytes(3, "big")))
                for record, at in zip(made, places, strict=True):
                    frame = record.data[:at] + address + record.data[at + 4 :]
                    file.write(pcap_record(Record(frame, record.time_ns + number * 1_000_000)))
    return path


def peak_mb(path: Path, connections: int) -> float:
    """Return the most memory that the audit of a capture with so many connections takes, in MB."""
    command = [sys.executable, "-W", "ignore", "-c", PEAK, str(path), str(connections)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(run.stdout) / 1024


def test_a_capture_of_twice_the_size_takes_no_more_memory(tmp_path: Path) -> None:
    sent = segments(WHOLE)
    once, twice = (peak_mb(write(tmp_path / f"{n}.pcap", (range(n), sent), clients=1000), n) for n in (1500, 3000))
    assert twice < once + 1


def test_open_connections_take_little_memory(tmp_path: Path) -> None:
    """Connections with a greeting and a hello and then nothing, while others continue."""
    known, sent = (range(10), segments([*HELLO, *lines("C QUIT", "S 221 bye", "FC", "FS")])), segments(HELLO)
    few, many = (peak_mb(write(tmp_path / f"{n}.pcap", known, (range(10, n), sent)), n) for n in (1010, 11_010))
    assert (many - few) / 10_000 * 1024 < 3.6  # KB each

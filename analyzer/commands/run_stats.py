"""What a run took: frames per second, which decoder read them, seconds and memory."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..audit import Audit
from ..reports.output import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Capture, Connection, Summary
    from ..parallel.engine import ParallelAudit
    from ..reports.output import Writer

__all__ = ["Stats"]

_HIGH_WATER = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Stats:
    """Clocks of one run, started when this is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.writing = 0.0

    def around(self, writer: Writer) -> Writer:
        """Return ``writer``, with its time measured."""
        return _TimedLines(writer, self) if isinstance(writer, Lines) else _Timed(writer, self)

    def lines(self, audit: Audit | ParallelAudit) -> Iterator[str]:
        """Yield the statistics as lines for a person, after the run."""
        seconds = time.perf_counter() - self._started
        frames = sum(capture.frames for capture in audit.captures)
        size = sum(capture.bytes for capture in audit.captures)
        rate = frames / seconds if seconds else 0.0
        yield f"{frames:,} frames, {size / 1e6:,.1f} MB in {seconds:.2f} s: {rate:,.0f} frames per second"
        fast, raw, scapy = audit.decoder_counts
        decoded = fast + raw + scapy or 1
        shares = zip(("hot loop", "raw decoder", "Scapy"), (fast, raw, scapy), strict=True)
        yield "decoded by " + ", ".join(f"{name} {100 * part / decoded:.1f} %" for name, part in shares)
        yield f"{audit.summary.connections:,} connections, {audit.summary.messages:,} messages"
        yield f"{seconds - self.writing:.2f} s reading and judging, {self.writing:.2f} s writing"
        peak = _peak_mb()
        memory = "" if peak is None else f"peak memory {peak:,.0f} MB"
        if not isinstance(audit, Audit):
            yield f"{audit.processes} processes, {audit.spooled / 1e6:,.1f} MB in the spool"
            memory = f"{memory} in this process"
        if peak is not None:
            yield memory


class _Timed:
    """A writer whose time is measured."""

    def __init__(self, writer: Writer, stats: Stats) -> None:
        self.streams = writer.streams
        self._writer = writer
        self._stats = stats

    def capture(self, capture: Capture) -> None:
        started = time.perf_counter()
        self._writer.capture(capture)
        self._stats.writing += time.perf_counter() - started

    def connection(self, connection: Connection) -> None:
        started = time.perf_counter()
        self._writer.connection(connection)
        self._stats.writing += time.perf_counter() - started

    def finish(self, summary: Summary) -> None:
        started = time.perf_counter()
        self._writer.finish(summary)
        self._stats.writing += time.perf_counter() - started


class _TimedLines(_Timed):
    """The same for a writer of lines."""

    def put(self, lines: bytes) -> None:
        started = time.perf_counter()
        assert isinstance(self._writer, Lines)
        self._writer.put(lines)
        self._stats.writing += time.perf_counter() - started


def _peak_mb() -> float | None:
    """Return the peak memory of the process in MB; None if the system does not report it."""
    # On Linux ru_maxrss is inherited from the parent process, so a large parent would be reported.
    try:
        found = _HIGH_WATER.search(Path("/proc/self/status").read_bytes())
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) / (1 << 10)
    try:
        import resource  # noqa: PLC0415  there is none on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)

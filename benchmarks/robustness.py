"""Measure time and memory by the size of each attack; ``python benchmarks/robustness.py`` writes docs/robustness.md."""

# Each attack is played at five sizes, each twice the one before. A new process audits each file and writes NDJSON. Time
# is the processor time of the audit, memory the peak of the process. "Growth" is the slope between the first and the
# last size in a log-log plot: 1 is linear, below 1 is less than linear.

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from math import log2
from pathlib import Path
from typing import NamedTuple

import tricks  # noqa: F401  adds more to ATTACKS
import volumes
from attacks import ATTACKS, Attack

ROOT = Path(__file__).parents[1]
DOUBLINGS = 4
PATIENCE_SECONDS = 120
MARKED_GROWTH = 1.25  # a growth above this is marked; noise of timers and garbage collection is below it
SHORT_SECONDS = 0.02  # a time below this is too short to compute a growth


class Point(NamedTuple):
    """One run of an attack: its size, the size of the file in MB, processor seconds, and peak memory in MB."""

    number: int
    file_mb: float
    seconds: float
    peak_mb: float


# -- one run, in its own process --------------------------------------------------------------------------------------


def child(path: str) -> None:
    """Audit ``path``; print processor seconds and peak memory in MB."""
    from smtpwire.analyzer.audit import Audit  # noqa: PLC0415  the parent needs no audit
    from smtpwire.analyzer.model import Capture  # noqa: PLC0415
    from smtpwire.analyzer.reports.json_ import NdjsonWriter  # noqa: PLC0415
    from smtpwire.analyzer.reports.output import Output  # noqa: PLC0415

    with Path(os.devnull).open("wb") as null:
        writer = NdjsonWriter(Output(null))
        started = time.process_time()
        run = Audit()
        for item in run.run([path]):
            if isinstance(item, Capture):
                writer.capture(item)
            else:
                writer.connection(item)
        writer.finish(run.summary)
        seconds = time.process_time() - started
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(seconds, peak / 1024)


def played(attack: Attack, number: int) -> Point | None:
    """Play the attack at one size; return None if it takes longer than PATIENCE_SECONDS."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as file:
        file.write(attack.make(number))
        file.flush()
        size = os.path.getsize(file.name) / (1 << 20)  # noqa: PTH202  a temporary file has only a name
        command = [sys.executable, __file__, "--child", file.name]
        try:
            out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS).stdout
        except subprocess.TimeoutExpired:
            return None
    seconds, peak = map(float, out.split())
    return Point(number, size, seconds, peak)


def growth(points: list[Point]) -> float | None:
    """Return the slope of time over size, for sizes that take SHORT_SECONDS or more; None if fewer than two do."""
    measured = [point for point in points if point.seconds >= SHORT_SECONDS]
    if len(measured) < 2:
        return None
    first, last = measured[0], measured[-1]
    return log2(last.seconds / first.seconds) / log2(last.number / first.number)


# -- output -----------------------------------------------------------------------------------------------------------

_CELL_WIDTH, _CELL_HEIGHT, _COLUMNS = 220, 130, 4
_PLOT = (34, 34, 204, 108)  # left, top, right, bottom of the plot in a cell


def _line(values: list[float], top: float, colour: str) -> str:
    left, upper, right, lower = _PLOT
    places = [2**n for n in range(len(values))]
    points = " ".join(
        f"{left + (right - left) * place / 2**DOUBLINGS:.1f},{lower - (lower - upper) * value / top:.1f}"
        for place, value in zip(places, values, strict=True)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _cell(attack: Attack, points: list[Point], column: int, row: int) -> str:
    left, upper, right, lower = _PLOT
    seconds = [point.seconds for point in points]
    memory = [point.peak_mb for point in points]
    most_seconds, most_memory = max(*seconds, 0.05), max(*memory, 100.0)
    name = attack.name.replace("&", "&amp;").replace("<", "&lt;")
    largest = f"{points[-1].number:,} {attack.what}"
    return "\n".join(
        (
            f'<g transform="translate({column * _CELL_WIDTH},{row * _CELL_HEIGHT})">',
            f'<text x="6" y="14" class="n">{name[:38]}</text>',
            f'<text x="6" y="27" class="b">{most_seconds:.2f} s</text>',
            f'<text x="{right}" y="27" class="r" text-anchor="end">{most_memory:.0f} MB</text>',
            f'<path d="M{left},{upper}V{lower}H{right}" fill="none" stroke="#999"/>',
            _line(seconds, most_seconds, "#1f5fa8"),
            _line(memory, most_memory, "#c0561a"),
            f'<text x="{right}" y="{lower + 13}" class="a" text-anchor="end">{largest}</text>',
            "</g>",
        )
    )


def svg(results: list[tuple[Attack, list[Point]]]) -> str:
    """Return small charts of all attacks: time in blue and memory in orange over size, each from zero."""
    rows = -(-len(results) // _COLUMNS)
    width, height = _COLUMNS * _CELL_WIDTH, rows * _CELL_HEIGHT
    cells = [_cell(*one, n % _COLUMNS, n // _COLUMNS) for n, one in enumerate(results) if one[1]]
    style = "text{font:10px sans-serif;fill:#333}.n{font-weight:bold}.b{fill:#1f5fa8}.r{fill:#c0561a}.a{fill:#777}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    title = "<title>Time (blue) and memory (orange) over the size of each attack</title>"
    back = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join((head, title, f"<style>{style}</style>", back, *cells, "</svg>\n"))


def table(results: list[tuple[Attack, list[Point]]]) -> str:
    """Return a table with one row for each attack: its first and its last size."""
    rows = [
        "| attack | largest size | file | time | MB/s | memory at the first size | at the last | growth of time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for attack, points in results:
        last, slope = points[-1], growth(points)
        grown = "too short" if slope is None else f"**{slope:.2f}**" if slope > MARKED_GROWTH else f"{slope:.2f}"
        rows.append(
            f"| {attack.name} | {last.number:,} {attack.what} | {last.file_mb:.1f} MB | {last.seconds:.2f} s "
            f"| {last.file_mb / max(last.seconds, 0.001):.1f} | {points[0].peak_mb:.0f} MB | {last.peak_mb:.0f} MB "
            f"| {grown}{'' if len(points) > DOUBLINGS else ', larger ones took too long'} |"
        )
    return "\n".join(rows)


_PAGE = """# Attacks on the auditor

The cost of each attack at five sizes, each twice the one before. `python benchmarks/robustness.py` makes this page: it
plays the attacks of [benchmarks/attacks.py](../benchmarks/attacks.py). Nothing here is written by hand.

{machine}

![Time and memory over the size of each attack](robustness.svg)

Time (blue) and memory (orange) start at zero; a straight line is the goal. In the table, growth 1.00 is linear; below
1.00, a part of the cost does not grow. Memory that has a limit ([limits](../analyzer/limits.py)) stops growing when the
limit is reached; for the turns of one connection (200,000) this is beyond most of these sizes.

{table}
"""


def main() -> None:
    """Play all attacks. With words on the command line, play only attacks whose names contain one, and only print."""
    words = sys.argv[1:]
    results: list[tuple[Attack, list[Point]]] = []
    for attack in ATTACKS:
        if words and not any(word in attack.name for word in words):
            continue
        points: list[Point] = []
        for doubling in range(DOUBLINGS + 1):
            point = played(attack, attack.base << doubling)
            if point is None:
                break
            points.append(point)
        if points:
            results.append((attack, points))
        print(f"{attack.name}: " + ", ".join(f"{p.seconds:.2f} s {p.peak_mb:.0f} MB" for p in points), flush=True)
    if words:
        return
    machine = f"Python {platform.python_version()} on {platform.machine()}, one process, one core."
    (ROOT / "docs" / "robustness.svg").write_text(svg(results), "utf-8")
    page = _PAGE.format(machine=machine, table=table(results))
    (ROOT / "docs" / "robustness.md").write_text(f"{page}\n{volumes.section()}", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main()

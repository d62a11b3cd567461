"""Measure smtpwire and other programs, round by round in one run, and write the tables of docs/performance.md."""

# Whole commands are measured from start to end, in seconds that a user waits. smtpwire is called with --jobs 1, and
# also with --jobs 2. A ratio compares two runs of one round, and a number in the tables is the median over all rounds.
# The speed of a machine changes within minutes, so only runs of the same round are compared. Memory is that of the
# largest process of the command. Programs that are too slow for a whole capture get its first frames, and their time is
# scaled.

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from traffic import CAPTURES, first_frames, make

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
SLICE = 8_000  # frames for the slow programs
STARTS = 15  # rounds for commands that take a tenth of a second
FIELDS = (
    "-Y smtp -T fields -e frame.number -e tcp.stream -e smtp.req.command -e smtp.req.parameter -e smtp.response.code "
    "-e smtp.rsp.parameter"
)
PEERS = {
    "tshark -T fields": f"tshark -n -r {{path}} {FIELDS}",
    "tshark -z expert,smtp": "tshark -n -q -r {path} -z expert,smtp",
    "tcpdump | tshark": f"tcpdump -r {{path}} -w - tcp port 25 2>/dev/null | tshark -n -r - {FIELDS}",
    "tcpflow": "folder=$(mktemp -d); tcpflow -o $folder -r {path} port 25; rm -rf $folder",
}
GOALS = {
    ("small", "tshark -T fields"): 2.3,
    ("unique", "tshark -T fields"): 2.3,
    ("big", "tshark -T fields"): 5,
    ("big", "tshark -z expert,smtp"): 2.5,
    ("mixed", "tshark -T fields"): 50,
    ("mixed", "tcpdump | tshark"): 1.5,
}
STAGES = {
    "reading frames": ("frames", "segments"),
    "streams in order": ("streams", "connections"),
    "lines and replies": ("lines", "dissectors"),
    "messages": ("content",),
    "pairing and states": ("exchanges",),
    "rules": ("rules", "findings"),
    "redaction": ("redact",),
    "writing": ("reports", "run", "audit", "interrupt", "timestamps"),
}


class Run(NamedTuple):
    """One command: elapsed seconds, processor seconds, and the memory of its largest process in MB."""

    seconds: float
    busy: float
    megabytes: float


def timed(command: str) -> Run:
    """Run a shell command to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in {0, 1}:
        raise SystemExit(f"failed: {command}")
    return Run(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def ours(path: Path, *options: str) -> str:
    """Return the command of the audit that is compared: every rule, a line for each connection."""
    command = [sys.executable, "-m", "smtpwire", "audit", str(path), "--format", "ndjson", "--no-config", *options]
    return shlex.join(command)


# -- tables ------------------------------------------------------------------------------------------------------------


def compared(paths: dict[str, Path], names: list[str], rounds: int) -> list[str]:
    """Return the table of ratios."""
    lines = [
        "| capture | smtpwire | with --jobs 2 | " + " | ".join(peer.replace("|", "\\|") for peer in PEERS) + " |",
        "|---|--:|--:|" + "--:|" * len(PEERS),
    ]
    for name in names:
        path = paths[name]
        timed(f"cat {path} >/dev/null")
        mine: list[Run] = []
        two: list[Run] = []
        peers: dict[str, list[Run]] = {peer: [] for peer in PEERS}
        for number in range(rounds):
            mine.append(timed(ours(path, "--jobs", "1")))
            two.append(timed(ours(path, "--jobs", "2")))
            for peer, command in PEERS.items():
                if name != "mixed" or peer != "tshark -T fields" or number == 0:  # it takes a minute
                    peers[peer].append(timed(command.format(path=path)))
        cells = [f"{statistics.median(r.seconds for r in mine):.2f} s, {max(r.megabytes for r in mine):.0f} MB"]
        cells.append(f"{statistics.median(r.seconds for r in two):.2f} s")
        for peer, runs in peers.items():
            ratio = statistics.median(run.seconds / own.seconds for run, own in zip(runs, mine, strict=False))
            goal = GOALS.get((name, peer))
            short = " (goal " + f"{goal:g})" if goal is not None and ratio < goal else ""
            cells.append(f"{ratio:.2f} ×{short}, {max(run.megabytes for run in runs):.0f} MB")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def starts(rounds: int) -> list[str]:
    """Return the table of start-up: small uses of the command, compared with tshark and an empty Python program."""
    command = shlex.quote(str(Path(sys.executable).parent / "smtpwire"))
    demo = shlex.quote(str(ROOT / "samples" / "demo.pcap"))
    commands = {
        "`python -c pass`": f"{shlex.quote(sys.executable)} -c pass",
        "`smtpwire --version`": f"{command} --version",
        "`smtpwire audit demo.pcap --format ndjson`": f"{command} audit {demo} --format ndjson",
        "`tshark -n -q -r demo.pcap -z expert,smtp`": f"tshark -n -q -r {demo} -z expert,smtp",
    }
    runs: dict[str, list[float]] = {what: [] for what in commands}
    for _ in range(rounds):
        for what, line in commands.items():
            runs[what].append(timed(f"exec {line}").busy)
    lines = ["| | |", "|---|--:|"]
    lines += [f"| {what} | {1000 * statistics.median(seconds):.0f} ms |" for what, seconds in runs.items()]
    print(*lines, sep="\n", flush=True)
    return lines


def slow_ones(path: Path, rounds: int) -> list[str]:
    """Return the table of the libraries: measured on the first frames of ``path``, scaled to all of its frames."""
    frames = int(subprocess.check_output(["capinfos", "-TrcM", str(path)]).split(b"\t")[1])
    lines = ["| | measured | for all of it | times smtpwire |", "|---|--:|--:|--:|"]
    own = statistics.median(timed(ours(path, "--jobs", "1")).seconds for _ in range(rounds))
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "slice.pcap"
        first_frames(path, SLICE, part)
        for peer, what, number in (("dpkt", path, frames), ("pyshark", part, SLICE), ("scapy", part, SLICE)):
            if importlib.util.find_spec(peer) is None:
                lines.append(f"| {peer} | not installed | | |")
                continue
            command = [sys.executable, str(ROOT / "benchmarks" / "slow_peers.py"), peer, str(what)]
            seconds = timed(shlex.join(command)).seconds
            whole = seconds * frames / number
            lines.append(f"| {peer} | {number:,} frames in {seconds:.1f} s | {whole:.0f} s | {whole / own:.1f} × |")
            print(lines[-1], flush=True)
    return lines


def profile(path: Path) -> list[str]:
    """Return the table of a profile by py-spy: microseconds for each frame and for each turn of a dialogue."""
    if shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") is None:
        return ["py-spy is not installed: no profile."]
    spy = str(Path(sys.executable).parent / "py-spy")
    spy = spy if Path(spy).exists() else "py-spy"
    report = subprocess.run(shlex.split(ours(path)), capture_output=True, check=False).stdout
    frames = turns = 0
    for item in map(json.loads, report.splitlines()):
        frames += item["frames"] if item["type"] == "capture" else 0
        turns += len(item["dialogue"]) if item["type"] == "connection" else 0
    seconds = timed(ours(path, "--jobs", "1")).busy
    with tempfile.NamedTemporaryFile() as raw:
        command = f"{spy} record -r 400 -f raw -o {raw.name} -- {ours(path)}"
        timed(command)
        samples = Path(raw.name).read_text("utf-8").splitlines()
    found: collections.Counter[str] = collections.Counter()
    for line in samples:
        stack, _, count = line.rpartition(" ")
        found[_stage(stack.split(";"))] += int(count)
    lines = ["| | share | µs a frame | µs a turn |", "|---|--:|--:|--:|"]
    for stage, times in found.most_common():
        share = times / found.total()
        micros = share * seconds * 1e6
        lines.append(f"| {stage} | {100 * share:.0f} % | {micros / frames:.2f} | {micros / turns:.2f} |")
    micros = seconds * 1e6
    lines.append(f"| all: {frames:,} frames, {turns:,} turns | 100 % | {micros / frames:.2f} | {micros / turns:.2f} |")
    return lines


def _stage(stack: list[str]) -> str:
    """Return the stage of the innermost function of smtpwire in ``stack``."""
    if any("importlib" in frame for frame in stack):
        return "start-up"
    for frame in reversed(stack):
        if "smtpwire" in frame:
            folder = frame.partition("analyzer/")[2].partition("/")[0].partition(".py")[0]
            folder = "dissectors" if "dissectors/" in frame else folder
            return next((stage for stage, names in STAGES.items() if folder in names), "other")
    return "start-up"


# -- the page ----------------------------------------------------------------------------------------------------------


def put(page: str, name: str, lines: list[str]) -> str:
    """Return ``page`` with ``lines`` between the marks of ``name``."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    return before + start + "\n" + "\n".join(lines) + "\n\n" + end + after


def main() -> None:
    """Make the missing captures, run everything, and write the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default=",".join(CAPTURES), help="captures, separated by commas")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "smtpwire-benchmarks"
    options.add_argument("--folder", type=Path, default=cache, help="where the captures are made and kept (1.3 GB)")
    options.add_argument("--dry", action="store_true", help="only print, do not change docs/performance.md")
    given = options.parse_args()
    missing = [p for p in ("tshark", "tcpdump", "tcpflow", "editcap", "capinfos") if shutil.which(p) is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}: install tshark, tcpdump and tcpflow")
    paths = make(given.folder)
    version = subprocess.check_output(["tshark", "-v"], text=True, stderr=subprocess.DEVNULL).split()[2].rstrip(".")
    about = [
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} processors, {platform.system()}, CPython "
        f"{platform.python_version()}, tshark {version}, rounds: {given.rounds}."
    ]
    blocks = {"machine": about, "table": compared(paths, given.only.split(","), given.rounds)}
    blocks["start-up"] = starts(STARTS)
    blocks["libraries"] = slow_ones(paths["small"], given.rounds)
    for name in ("small", "pipelined", "big", "mixed"):
        blocks[f"profile of {name}"] = profile(paths[name])
    for name, lines in blocks.items():
        print(f"\n{name}\n" + "\n".join(lines))
    if not given.dry:
        page = PAGE.read_text("utf-8")
        for name, lines in blocks.items():
            page = put(page, name, lines)
        PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()

"""Measure frames that smtpwire, tshark and Scapy lose at a given rate; write the table of docs/live.md."""

# There is a pair of virtual interfaces in a network namespace. tcpreplay sends a capture into one interface at an even
# rate; the program under test reads the other one. smtpwire runs on one processor, with every rule on. It must find the
# same as an audit of the capture, compared by rule. Needs root, tcpreplay and tshark.

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from performance import put
from traffic import make

PAGE = Path(__file__).parents[1] / "docs" / "live.md"
SPACE = "smtpwire-live"
INSIDE = ["ip", "netns", "exec", SPACE]
SETTLE = 1.5  # seconds until every reader listens
LINGER = 3  # seconds that a reader gets for its waiting frames; smtpwire ends by itself after the last frame
SMTPWIRE = [sys.executable, "-m", "smtpwire", "live", "-i", "v1", "--format", "ndjson", "--no-config"]
TSHARK = shlex.split("tshark -n -l -i v1 -f 'tcp port 25' -Y smtp -T fields -e frame.number -e smtp.req.command")
SCAPY = """
import signal, sys
from scapy.all import TCPSession, sniff
frames = 0
def count(packet):
    global frames
    frames += 1
signal.signal(signal.SIGINT, lambda *_: (print(frames, flush=True), sys.exit()))
sniff(iface="v1", filter="tcp port 25", session=TCPSession, store=False, prn=count)
"""


def space() -> None:
    """Create the namespace; remove an old one."""
    subprocess.run(["ip", "netns", "del", SPACE], check=False, capture_output=True)
    for command in (
        f"ip netns add {SPACE}",
        f"ip netns exec {SPACE} ip link add v0 type veth peer name v1",
        f"ip netns exec {SPACE} sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
        f"ip netns exec {SPACE} ip link set v0 up",
        f"ip netns exec {SPACE} ip link set v1 up",
    ):
        subprocess.run(command.split(), check=True)


def offered(command: list[str], capture: Path, rate: int) -> tuple[bytes, bytes, float, float]:
    """Run a reader while ``capture`` is sent. Return its standard output and standard error, the seconds that it needed
    after the last frame was sent, and its processor time in seconds."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        reader = subprocess.Popen([*INSIDE, *command], stdout=output, stderr=errors)
        time.sleep(SETTLE)
        send = f"tcpreplay -q -i v0 --pps={rate} --preload-pcap {capture}"
        subprocess.run([*INSIDE, *send.split()], check=True, capture_output=True)
        sent = time.perf_counter()
        while not (ended := os.wait4(reader.pid, os.WNOHANG))[0]:
            if time.perf_counter() > sent + LINGER:
                reader.send_signal(signal.SIGINT)
                ended = os.wait4(reader.pid, 0)
                break
            time.sleep(0.01)
        usage = ended[2]
        delay = time.perf_counter() - sent
        output.seek(0)
        errors.seek(0)
        return output.read(), errors.read(), delay, usage.ru_utime + usage.ru_stime


def findings(lines: bytes) -> collections.Counter[str]:
    """Return the number of findings of each rule."""
    return collections.Counter(one["rule"] for one in map(json.loads, lines.splitlines()) if one["type"] == "finding")


def row(name: str, seen: str, delay: float, busy: float) -> str:
    """Return a row of the table."""
    return f"| {name} | {seen} | {delay:.1f} s | {busy:.1f} s |"


def measured(capture: Path, rate: int) -> list[str]:
    """Return the rows for one capture."""
    frames = int(subprocess.check_output(["capinfos", "-TrcM", str(capture)]).split(b"\t")[1])
    audit = [sys.executable, "-m", "smtpwire", "audit", str(capture), "--format", "ndjson", "--no-config"]
    whole = subprocess.run(audit, capture_output=True, check=False).stdout
    sessions = whole.count(b'"type":"connection"')
    what = f"{rate:,} frames/s for {frames / rate:.0f} s"
    output, _, delay, busy = offered(["taskset", "-c", "0", *SMTPWIRE, "--count", str(frames)], capture, rate)
    counted = next(one for one in map(json.loads, output.splitlines()) if one["type"] == "capture")
    same = "the same findings" if findings(output) == findings(whole) else "OTHER FINDINGS"
    found = output.count(b'"type":"connection"')
    seen = f"{counted['frames']:,} of {frames:,} frames, {found:,} of {sessions:,} sessions, {same}"
    rows = [row(f"{what}: `smtpwire live` on one processor", seen, delay, busy)]
    _, errors, delay, busy = offered(TSHARK, capture, rate)
    lost = re.search(rb"(\d+) packets? dropped", errors)
    captured = re.search(rb"(\d+) packets? captured", errors)
    kept = int(captured[1]) if captured else 0
    rows.append(
        row(
            f"{what}: `tshark -Y smtp -T fields`",
            f"{kept:,} lines, {int(lost[1]) if lost else 0:,} frames dropped",
            delay,
            busy,
        )
    )
    output, _, delay, busy = offered([sys.executable, "-c", SCAPY], capture, rate)
    packets = int(output or b"0")
    rows.append(
        row(f"{what}: Scapy `sniff`, TCPSession", f"{packets:,} of {frames:,} ({packets / frames:.1%})", delay, busy)
    )
    return rows


def main() -> None:
    """Make the missing captures, run everything, and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=int, default=100_000, help="frames for each second")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "smtpwire-benchmarks"
    options.add_argument("--folder", type=Path, default=cache, help="where the captures are made and kept")
    options.add_argument("--dry", action="store_true", help="only print, do not change docs/live.md")
    given = options.parse_args()
    missing = [p for p in ("tcpreplay", "tshark", "capinfos", "taskset") if shutil.which(p) is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}: install tcpreplay, tshark and util-linux")
    paths = make(given.folder)
    lines = ["| offered | seen | behind at the end | processor time |", "|---|---|--:|--:|"]
    space()
    try:
        for name in ("small", "pipelined"):
            lines += measured(paths[name], given.rate)
            print(*lines[-3:], sep="\n", flush=True)
    finally:
        subprocess.run(["ip", "netns", "del", SPACE], check=False)
    if not given.dry:
        PAGE.write_text(put(PAGE.read_text("utf-8"), "measured", lines), "utf-8")


if __name__ == "__main__":
    main()

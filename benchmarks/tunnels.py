"""Measure what a frame costs in each encapsulation, against a plain frame: python benchmarks/tunnels.py [--need 2]."""

# A capture of many equal sessions is written once plain, and once in each encapsulation that only has to be skipped.
# Each is audited by a whole command; the start of the program is subtracted. Processor time, the least of some rounds,
# in which the captures alternate.

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from encapsulations import FAST, Wrap, under_ethernet

SESSIONS = 1500
PLAIN = "plain"


def session(port: int) -> list[bytes]:
    """Return the IPv4 packets of one session of mail."""
    turns = [
        (0, b"220 mx.example ESMTP\r\n"),
        (1, b"EHLO client.example\r\n"),
        (0, b"250 mx.example\r\n"),
        (1, b"MAIL FROM:<a@client.example>\r\n"),
        (0, b"250 2.1.0 Ok\r\n"),
        (1, b"RCPT TO:<b@mx.example>\r\n"),
        (0, b"250 2.1.5 Ok\r\n"),
        (1, b"DATA\r\n"),
        (0, b"354 Go on\r\n"),
        (1, b"Subject: benchmark\r\n\r\n" + b"A line of text in a message.\r\n" * 30 + b".\r\n"),
        (0, b"250 2.0.0 Ok\r\n"),
        (1, b"QUIT\r\n"),
        (0, b"221 2.0.0 Bye\r\n"),
    ]
    packets, numbers = [], [port * 1000, port * 7000]  # of the server and of the client

    def send(side: int, flags: int, payload: bytes = b"") -> None:
        ports = (25, port) if not side else (port, 25)
        hosts = bytes((192, 0, 2, 1 + side, 192, 0, 2, 2 - side))
        ack = numbers[1 - side] if flags & 16 else 0
        segment = struct.pack("!HHIIBBHHH", *ports, numbers[side], ack, 80, flags, 65535, 0, 0) + payload
        head = struct.pack("!BBHHHBBH8s", 69, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0, hosts)
        packets.append(head + segment)
        numbers[side] += len(payload) + (flags & 3 > 0)

    send(1, 2)
    send(0, 18)
    send(1, 16)
    for side, text in turns:
        send(side, 24, text)
        send(1 - side, 16)
    send(0, 17)
    send(1, 17)
    send(0, 16)
    return packets


def write(path: Path, wrap: Wrap) -> int:
    """Write the capture in one encapsulation. Returns its number of frames."""
    number = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for one in range(SESSIONS):
            for packet in session(10_000 + one):
                frame = wrap(packet)
                number += 1
                file.write(struct.pack("<IIII", 1_767_323_045, number, len(frame), len(frame)) + frame)
    return number


def busy(*arguments: str) -> float:
    """Return the processor seconds of one command."""
    program = [sys.executable, "-m", "smtpwire", *arguments]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--need", type=float, default=2.0, help="the largest ratio that is allowed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measure only names that contain this")
    options = parser.parse_args()
    chosen = {PLAIN: under_ethernet, **{name: wrap for name, wrap in FAST.items() if options.only in name}}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{number}.pcap" for number, name in enumerate(chosen)}
        frames = {name: write(paths[name], wrap) for name, wrap in chosen.items()}[PLAIN]
        empty = Path(folder) / "empty.pcap"
        empty.write_bytes(paths[PLAIN].read_bytes()[:24])
        audit = ("audit", "--no-config", "--fail-on", "never", "--format", "ndjson")
        start = min(busy(*audit, str(empty)) for _ in range(5))
        times: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(options.rounds):
            for name in chosen:
                times[name].append(busy(*audit, str(paths[name])) - start)
    costs = {name: min(each) / frames * 1e6 for name, each in times.items()}
    for name, cost in sorted(costs.items(), key=lambda item: item[1]):
        print(f"{name:30} {cost:6.1f} microseconds a frame, {cost / costs[PLAIN]:4.2f} times plain")
    worst = max(costs.values()) / costs[PLAIN]
    print(f"{frames} frames; the most is {worst:.2f} times plain, {options.need:g} are allowed")
    return int(worst > options.need)


if __name__ == "__main__":
    sys.exit(main())

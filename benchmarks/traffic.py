"""The captures of the benchmark: real traffic of smtp-source and smtp-sink, and generated traffic."""

# Real traffic runs through the loopback interface of its own network namespace, with packets as small as on a wire (MTU
# 1500, no segments joined by the kernel). smtp-source does not pipeline, so pipelined groups of commands as Postfix
# sends them are generated here, with two faults in every tenth session. The noise is what most captures consist of:
# other protocols over TCP and UDP, IPv4 and IPv6, with correct headers and random content.

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CAPTURES", "first_frames", "frames_of", "make"]

SPACE = "smtpwire-bench"
SESSIONS = 20_000
MIXED_FRAMES = 1_000_000
SMTP_EVERY = 20  # one of this many frames in the mixed capture is SMTP
NOISE_FLOWS = 500
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
START = 1_780_000_000_000_000  # microseconds

CAPTURES = ("small", "unique", "pipelined", "big", "pcapng", "mixed")


def make(folder: Path) -> dict[str, Path]:
    """Return the paths of the captures in ``folder``; make those that do not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.pcap" for name in CAPTURES}
    paths["pcapng"] = folder / "small.pcapng"
    real = {
        "small": ("-s", "20", "-m", str(SESSIONS), "-l", "1024"),
        "unique": ("-s", "20", "-m", str(SESSIONS), "-l", "1024", "-N", "-r", "2"),
        "big": ("-s", "4", "-m", "300", "-l", "200000"),
    }
    for name, options in real.items():
        if not paths[name].exists():
            _real(paths[name], options)
    if not paths["pcapng"].exists():
        subprocess.run(["editcap", "-F", "pcapng", paths["small"], paths["pcapng"]], check=True)
    for name, write in (("pipelined", _pipelined), ("mixed", _mixed)):
        if not paths[name].exists():
            part = folder / f"{name}.part"
            write(part, paths["small"])
            part.rename(paths[name])
    return paths


# -- real traffic ------------------------------------------------------------------------------------------------------


def _inside(*command: str) -> list[str]:
    return ["ip", "netns", "exec", SPACE, *command]


def _real(path: Path, options: tuple[str, ...]) -> None:
    """Capture the traffic of smtp-source with ``options``."""
    for program in ("ip", "tcpdump", "smtp-source", "smtp-sink"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing: install iproute2, tcpdump and postfix")
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in (
            ["ip", "link", "set", "lo", "up", "mtu", "1500", "gso_max_segs", "1", "gso_max_size", "1500"],
            ["sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65000", "net.ipv4.tcp_tw_reuse=1"],
        ):
            subprocess.run(_inside(*command), check=True)
        running.append(
            subprocess.Popen(_inside("smtp-sink", "-u", "nobody", "-h", "sink.example", "127.0.0.1:25", "999"))
        )
        part = path.with_suffix(".part")
        capture = _inside("tcpdump", "-i", "lo", "-s0", "-B", "262144", "-Z", "root", "-w", str(part), "tcp port 25")
        running.append(subprocess.Popen(capture, stderr=subprocess.DEVNULL))
        time.sleep(1.5)
        names = ("-M", "client.example", "-f", "alice@client.example", "-t", "bob@sink.example")
        subprocess.run(_inside("smtp-source", *options, *names, "127.0.0.1:25"), check=True)
        time.sleep(1.5)
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait()
        subprocess.run(["ip", "netns", "del", SPACE], check=True)
    part.rename(path)


# -- generated traffic -------------------------------------------------------------------------------------------------


def _ethernet_ip(source: bytes, target: bytes, protocol: int, body: bytes) -> bytes:
    """Return an Ethernet frame, IPv6 if the addresses have 16 bytes, otherwise IPv4."""
    if len(source) == 16:
        head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source + target
        return b"\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd" + head + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0x4000, 64, protocol, 0, source, target)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + head + body


def _record(frame: bytes, micros: int) -> bytes:
    return struct.pack("<4I", *divmod(micros, 1_000_000), len(frame), len(frame)) + frame


class _Session:
    """Frames of one TCP connection; the next segment of the peer acknowledges each segment with data."""

    def __init__(self, number: int) -> None:
        addresses = bytes((10, 1, number >> 8 & 255, number & 255)), bytes((192, 0, 2, 25))
        ports = 10_000 + number % 50_000, 25
        self._ends = [
            (addresses[0], addresses[1], ports[0], ports[1]),
            (addresses[1], addresses[0], ports[1], ports[0]),
        ]
        self._next = [number * 7919 & 0xFFFFFFFF, number * 104_729 & 0xFFFFFFFF]

    def send(self, side: int, flags: int, payload: bytes = b"") -> bytes:
        source, target, from_port, to_port = self._ends[side]
        seq, ack = self._next[side], self._next[1 - side] if flags & 16 else 0
        self._next[side] = (seq + len(payload) + bool(flags & 3)) & 0xFFFFFFFF
        head = struct.pack("!HHIIBBHHH12x", from_port, to_port, seq, ack, 0x80, flags, 502, 0, 0)
        return _ethernet_ip(source, target, 6, head + payload)


def _group(number: int) -> list[tuple[int, bytes]]:
    """Return what both sides of a pipelined session send, in order: 0 is the client."""
    with_faults = number % 10 == 0
    date = b"" if with_faults else b"Date: Mon, 2 Nov 2026 10:%02d:%02d +0000\r\n" % (number // 60 % 60, number % 60)
    header = date + b"From: a%d@client.example\r\nTo: b@mx.example\r\nSubject: number %d\r\n" % (number, number)
    body = b"caf\xe9 " * 10 + b"\r\n" if with_faults else b"Nothing is wrong with this line of the message.\r\n" * 15
    hello = b"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n"
    group = b"MAIL FROM:<a%d@client.example> SIZE=%d\r\nRCPT TO:<b%d@mx.example>\r\nDATA\r\n"
    return [
        (1, b"220 mx.example ESMTP Postfix\r\n"),
        (0, b"EHLO client.example\r\n"),
        (1, hello),
        (0, group % (number, len(header) + len(body) + 2, number % 977)),
        (1, b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"),
        (0, header + b"\r\n" + body + b".\r\nQUIT\r\n"),
        (1, b"250 2.0.0 Ok: queued as %X\r\n221 2.0.0 Bye\r\n" % (number * 31_337)),
    ]


def _pipelined(path: Path, _: Path) -> None:
    """Write sessions with groups of commands, 20 at the same time."""

    def frames(number: int) -> Iterator[bytes]:
        session = _Session(number)
        yield from (session.send(0, 2), session.send(1, 18), session.send(0, 16))
        for side, said in _group(number):
            for at in range(0, len(said), 1448):
                yield session.send(side, 24, said[at : at + 1448])
        yield from (session.send(0, 17), session.send(1, 17), session.send(0, 16))

    with path.open("wb") as file:
        file.write(FILE_HEADER)
        micros = START
        for first in range(0, SESSIONS, 20):
            open_sessions = [frames(number) for number in range(first, first + 20)]
            while open_sessions:
                for one in list(open_sessions):
                    frame = next(one, None)
                    if frame is None:
                        open_sessions.remove(one)
                        continue
                    micros += 40
                    file.write(_record(frame, micros))


def frames_of(path: Path) -> Iterator[bytes]:
    """Yield the frames of a little-endian pcap file."""
    with path.open("rb") as file:
        file.read(24)
        while head := file.read(16):
            yield file.read(struct.unpack_from("<I", head, 8)[0])


def first_frames(path: Path, number: int, to: Path) -> None:
    """Copy the first ``number`` frames of a capture."""
    with path.open("rb") as file, to.open("wb") as out:
        out.write(file.read(24))
        for _ in range(number):
            head = file.read(16)
            out.write(head + file.read(struct.unpack_from("<I", head, 8)[0]))


def _mixed(path: Path, small: Path) -> None:
    """Write a mix of noise with a little SMTP."""
    choice = random.Random(5321)
    content = os.urandom(1 << 16)
    noise = [_noise(choice, content, number) for number in range(NOISE_FLOWS)]
    smtp = frames_of(small)
    with path.open("wb") as file:
        file.write(FILE_HEADER)
        micros = START
        for number in range(MIXED_FRAMES):
            micros += choice.randrange(2, 30)
            frame = next(smtp) if number % SMTP_EVERY == 0 else next(noise[choice.randrange(NOISE_FLOWS)])
            file.write(_record(frame, micros))


def _noise(choice: random.Random, content: bytes, number: int) -> Iterator[bytes]:
    """Yield the frames of one endless flow: twice as many come from the server as from the client."""
    tcp = choice.random() < 0.7
    six = choice.random() < 0.2
    here = bytes(14) + struct.pack("!H", number) if six else struct.pack("!BBH", 10, 9, number)
    there = bytes((32, 1, 13, 184)) + bytes(11) + b"\7" if six else bytes((198, 51, 100, 7))
    ports = choice.randrange(20_000, 60_000), choice.choice((443, 443, 443, 80, 5432, 8080) if tcp else (443, 53, 5004))
    seq = [choice.randrange(1 << 32), choice.randrange(1 << 32)]
    while True:
        down = choice.randrange(3) > 0
        at = choice.randrange(1 << 15)
        payload = content[at : at + (1400 if down else choice.choice((0, 0, 90)))]
        source, target = (there, here) if down else (here, there)
        from_port, to_port = reversed(ports) if down else ports
        if tcp:
            head = struct.pack("!HHIIBBHHH", from_port, to_port, seq[down], seq[not down], 0x50, 24, 502, 0, 0)
            seq[down] = (seq[down] + len(payload)) & 0xFFFFFFFF
        else:
            head = struct.pack("!HHHH", from_port, to_port, 8 + len(payload), 0)
        yield _ethernet_ip(source, target, 6 if tcp else 17, head + payload)

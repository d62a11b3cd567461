"""A network of its own for a test: a namespace with a pair of interfaces, and ``smtpwire live`` watching in it.

What is sent into ``v0`` comes out of ``v1``. Needs root and ``ip`` (iproute2): ``needs_namespace`` marks the tests.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import struct
import subprocess
import sys
import threading
from queue import Empty, Queue
from signal import SIGINT, Signals
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Live", "Namespace", "frames_of", "needs_namespace"]


def _reason() -> str | None:
    if not sys.platform.startswith("linux") or shutil.which("ip") is None:
        return "needs Linux and ip (iproute2)"
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    name = f"probe{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return None


_why_not = _reason()
needs_namespace = pytest.mark.skipif(_why_not is not None, reason=_why_not or "")

_SEND = """
import socket, struct, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
pause = float(sys.argv[2])
data, at = sys.stdin.buffer.read(), 0
while at < len(data):
    size = struct.unpack_from("=I", data, at)[0]
    out.send(data[at + 4 : at + 4 + size])
    at += 4 + size
    if pause:
        time.sleep(pause)
"""


def frames_of(path: Path) -> list[bytes]:
    """Return the frames of a classic little-endian pcap file."""
    data, at, found = path.read_bytes(), 24, []
    assert data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


class Namespace:
    """The interfaces ``lo`` and ``v0`` with ``v1`` at its other end, all up."""

    def __init__(self) -> None:
        self.name = f"smtpwire{secrets.token_hex(3)}"

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link", "set", "lo", "up")
        self.pair()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def pair(self) -> None:
        self.ip("link", "add", "v0", "mtu", "9000", "type", "veth", "peer", "name", "v1", "mtu", "9000")
        for name in ("v0", "v1"):
            self.command("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
            self.ip("link", "set", name, "up")

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def inside(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]

    def command(self, *words: str) -> None:
        subprocess.run(self.inside(*words), check=False, capture_output=True)

    def send(self, frames: Iterable[bytes], interface: str = "v0", pause: float = 0) -> None:
        data = b"".join(struct.pack("=I", len(frame)) + frame for frame in frames)
        subprocess.run(self.inside(sys.executable, "-c", _SEND, interface, str(pause)), input=data, check=True)


class Live:
    """``smtpwire live`` in a namespace; its output is read as it comes."""

    def __init__(
        self, space: Namespace, *arguments: str, form: str = "ndjson", env: dict[str, str] | None = None
    ) -> None:
        words = [sys.executable, "-m", "smtpwire", "live", "--no-config", "--format", form, *arguments]
        # Not through `ip netns exec`, so that signals reach the program itself.
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{space.name}", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.said: list[str] = []
        self.lines: list[str] = []
        self._out: Queue[str] = Queue()
        self._err: Queue[str] = Queue()
        self._threads = [
            threading.Thread(target=_pump, args=(stream, queue), daemon=True)
            for stream, queue in ((self.process.stdout, self._out), (self.process.stderr, self._err))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def started(self) -> Self:
        self.hear("capturing on")
        return self

    def hear(self, words: str, seconds: float = 10) -> str:
        """Wait until ``words`` are printed on standard error."""
        end = monotonic() + seconds
        while True:
            try:
                line = self._err.get(timeout=max(0.01, end - monotonic()))
            except Empty:
                raise AssertionError(f"never said {words!r}; said {self.said}, printed {self.lines}") from None
            self.said.append(line)
            if words in line:
                return line

    def line(self, words: str, seconds: float = 10) -> str:
        """Wait for the next line of standard output with ``words`` in it."""
        end = monotonic() + seconds
        while True:
            try:
                line = self._out.get(timeout=max(0.01, end - monotonic()))
            except Empty:
                raise AssertionError(f"never printed {words!r}; printed {self.lines}, said {self.said}") from None
            self.lines.append(line)
            if words in line:
                return line

    def connection(self, port: int, seconds: float = 10) -> None:
        """Wait until the connection of the client with this port has ended."""
        while True:
            one = json.loads(self.line('"connection"', seconds))
            if one["type"] == "connection" and one["client"]["port"] == port:
                return

    def signal(self, number: Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: Signals = SIGINT) -> int:
        """End the program; after that ``lines`` and ``said`` are complete."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = 30) -> int:
        status = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(5)
        self.lines += _rest(self._out)
        self.said += _rest(self._err)
        return status

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of this type that were printed so far."""
        found = [json.loads(line) for line in self.lines]
        return [one for one in found if one.pop("type") == kind]


def _pump(stream: Any, queue: Queue[str]) -> None:
    for line in stream:
        queue.put(line)


def _rest(queue: Queue[str]) -> Iterator[str]:
    while not queue.empty():
        yield queue.get()

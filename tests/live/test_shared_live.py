"""``smtpwire live --jobs``: several processes watch an interface, and report what one process reports."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from captures import Conversation
from netns import Live, Namespace, needs_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, needs_namespace]


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with Namespace() as one:
        yield one


def talk(port: int, *extensions: bytes, wrong: bool = True) -> Conversation:
    """A session with MAIL before EHLO if ``wrong``, else with these extensions."""
    one = Conversation(port).open()
    one.server(b"220 mx.example ESMTP\r\n")
    if wrong:
        one.client(b"MAIL FROM:<a@client.example>\r\n").server(b"250 ok\r\n")
    else:
        lines = (b"250-mx.example\r\n", *(b"250-%b\r\n" % name for name in extensions), b"250 HELP\r\n")
        one.client(b"EHLO client.example\r\n").server(b"".join(lines))
    return one.client(b"QUIT\r\n").server(b"221 bye\r\n").close()


def frames(ports: range) -> list[bytes]:
    talks = [[record.data for record in talk(port).records] for port in ports]
    return [talk[at] for at in range(max(map(len, talks))) for talk in talks if at < len(talk)]


def watched(space: Namespace, sent: list[bytes], *arguments: str) -> Live:
    with Live(space, "-i", "v1", *arguments) as live:
        live.started()
        space.send(sent)
        time.sleep(1)
        assert live.stop() == 0
    return live


def facts(live: Live) -> list[Any]:
    """Return what is said of each connection, without its number and those of frames."""
    found = []
    for one in live.items("connection"):
        turns = [
            [turn.get(name) for name in ("type", "side", "offset", "verb", "code", "text")] for turn in one["dialogue"]
        ]
        mine = [finding for finding in live.items("finding") if finding["connection"] == one["id"]]
        findings = sorted((f["rule"], f["side"], f["offset"], f["message"], f["evidence"]) for f in mine)
        found.append((one["client"]["port"], one["closing"], one["opening"], turns, findings))
    return sorted(found, key=lambda one: one[0])


def test_two_processes_report_what_one_reports(space: Namespace) -> None:
    sent = frames(range(41_000, 41_060))
    one, two = watched(space, sent), watched(space, sent, "--jobs", "2")
    assert facts(two) == facts(one)
    assert len(facts(two)) == 60
    ids = [connection["id"] for connection in two.items("connection")]
    assert len(set(ids)) == 60
    assert {number % 2 for number in ids} == {0, 1}  # both had some
    (alone,), (both,) = one.items("summary"), two.items("summary")
    assert both == alone
    (capture,) = two.items("capture")
    assert capture["frames"] == one.items("capture")[0]["frames"] == len(sent)
    assert capture["problems"] == []


def test_fragments_of_ipv4(space: Namespace) -> None:
    sent = []
    for number, frame in enumerate(frames(range(42_000, 42_020))):
        parts = range(34, len(frame), 24)
        for at in parts:
            place = (at - 34) // 8 | (0x2000 if at != parts[-1] else 0)
            head = bytearray(frame[14:34])
            head[2:8] = struct.pack("!HHH", 20 + len(frame[at : at + 24]), number, place)
            head[10:12] = bytes(2)
            words = sum(struct.unpack("!10H", head))
            head[10:12] = (~(words % 0xFFFF) & 0xFFFF).to_bytes(2, "big")
            sent.append(frame[:14] + bytes(head) + frame[at : at + 24])
    assert len(sent) > len(frames(range(42_000, 42_020)))
    live = watched(space, sent, "--jobs", "3")
    assert [one[0] for one in facts(live)] == list(range(42_000, 42_020))
    assert all(one[3] for one in facts(live))


def test_offers_that_other_processes_saw(space: Namespace) -> None:
    offers = [talk(port, b"STARTTLS", wrong=False) for port in range(43_000, 43_008)]
    misses = [talk(port, b"PIPELINING", wrong=False) for port in range(43_100, 43_108)]
    with Live(space, "-i", "v1", "--jobs", "2") as live:
        live.started()
        for some in (offers, misses):
            space.send(record.data for one in some for record in one.records)
            time.sleep(0.5)
        assert live.stop() == 0
    found = [one for one in live.items("finding") if one["rule"] == "SEC633"]
    assert len(found) == 8
    offered = {one["id"] for one in live.items("connection") if one["client"]["port"] < 43_100}
    assert {one["values"]["connection"] for one in found} <= offered


def test_text_open_connections_and_a_second_report_of_settings(space: Namespace) -> None:
    half = frames(range(44_000, 44_006))[: 6 * 6]
    with Live(space, "-i", "v1", "--jobs", "2", form="text") as live:
        live.started()
        space.send(half)
        time.sleep(0.5)
        live.signal(signal.SIGUSR1)
        live.line("6 open connections")
        live.signal(signal.SIGHUP)
        live.hear("the configuration was read again")
        assert live.stop(signal.SIGTERM) == 0
    assert any(re.search(r"v1: 36 frames", line) for line in live.lines)


def test_a_process_that_dies_is_named(space: Namespace) -> None:
    with Live(space, "-i", "v1", "--jobs", "2") as live:
        live.started()
        children: list[str] = []
        while len(children) < 2:
            time.sleep(0.05)
            found = subprocess.run(["pgrep", "-P", str(live.process.pid)], capture_output=True, text=True, check=False)
            children = found.stdout.split()
        time.sleep(0.3)
        os.kill(int(children[0]), signal.SIGKILL)
        space.send(frames(range(45_000, 45_020)))
        time.sleep(0.5)
        live.stop()
    (capture,) = live.items("capture")
    assert capture["problems"] == [f"process {children[0]} has died: its open connections are missing"]
    assert 0 < len(live.items("connection")) < 20


@pytest.mark.parametrize("arguments", [("--write", "x.pcapng"), ("--count", "5"), ("--watch", "/")])
def test_what_needs_one_process(arguments: tuple[str, ...]) -> None:
    source = () if arguments[0] == "--watch" else ("-i", "lo")
    command = [sys.executable, "-m", "smtpwire", "live", *source, *arguments, "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{arguments[0]} needs one process" in done.stderr


def test_it_ends_when_its_reader_has_gone(space: Namespace) -> None:
    words = [sys.executable, "-m", "smtpwire", "live", "--no-config", "--format", "ndjson", "-i", "v1", "--jobs", "2"]
    with subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{space.name}", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"capturing on" in process.stderr.readline()
        time.sleep(0.5)
        space.send(frames(range(46_000, 46_003)))
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        for first in range(46_100, 46_400, 100):
            space.send(frames(range(first, first + 60)))
            time.sleep(0.3)
        assert process.wait(10) == 0

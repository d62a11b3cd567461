"""The ring inside Scapy, and its replacement on systems without a ring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import Conversation
from netns import Namespace, needs_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, needs_namespace]

_SCRIPT = """
import json, sys, time
from scapy.all import AsyncSniffer, TCP
from smtpwire.analyzer.live.scapy_socket import RingSocket
from smtpwire.analyzer.scapy_session import SMTPSession
def until(seen, count):
    end = time.monotonic() + 10
    while len(seen) < count and time.monotonic() < end:
        time.sleep(0.01)
{body}
"""

_AUDIT = """
socket, session = RingSocket("v1"), SMTPSession()
found = []
sniffer = AsyncSniffer(opened_socket=socket, session=session, prn=found.append, store=False)
sniffer.start()
print("ready", flush=True)
sys.stdin.readline()
until(found, 1)
sniffer.stop()
found += session.close()
print(json.dumps([[finding.rule for finding in one.connection.findings] for one in found]))
"""

_PACKETS = """
socket = RingSocket("v1")
seen = []
sniffer = AsyncSniffer(opened_socket=socket, store=True, prn=seen.append)
sniffer.start()
print("ready", flush=True)
until(seen, int(sys.stdin.readline()))
sniffer.stop()
print(json.dumps([bytes(one).hex() for one in sniffer.results]))
"""

_FALLBACK = """
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.live.live_audit import LiveAudit
from smtpwire.analyzer.live.scapy_source import ScapySource
from smtpwire.analyzer.segments.decoder import SegmentDecoder
source, audit = ScapySource(["v1"], frozenset({25})), LiveAudit(Options())
decoder = SegmentDecoder(audit.tracker.segment)
print("ready", flush=True)
found, end = [], time.monotonic() + 10
while len(found) < 2 and time.monotonic() < end:
    source.take(decoder)
    found += [finding.rule for update in audit.updates() for finding in update.findings]
source.close(decoder)
print(json.dumps([found, source.captures[0].frames, source.captures[0].problems]))
"""


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with Namespace() as one:
        yield one


def frames() -> list[bytes]:
    one = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@client.example>\r\n")
    one.server(b"250 ok\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n").close()
    return [record.data for record in one.records]


def run(space: Namespace, body: str) -> Any:
    command = space.inside(sys.executable, "-c", _SCRIPT.format(body=body))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        space.send(frames(), pause=0.005)
        out, _ = process.communicate(f"{len(frames())}\n", timeout=30)
    return json.loads(out.splitlines()[-1])


def test_sniff_gets_connections_from_the_ring(space: Namespace) -> None:
    (rules,) = run(space, _AUDIT)
    assert {"SEQ101", "SEQ120"} <= set(rules)


def test_sniff_without_a_session_gets_packets(space: Namespace) -> None:
    assert run(space, _PACKETS) == [frame.hex() for frame in frames()]


def test_scapys_own_socket_without_a_ring(space: Namespace) -> None:
    found, count, problems = run(space, _FALLBACK)
    assert {"SEQ101", "SEQ120"} <= set(found)
    assert count >= 6
    assert problems == ["lost frames are not counted: there is no ring on this system"]


def test_the_tutorial_of_scapy_names_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "live.md").read_text("utf-8")
    assert "RingSocket" in text

"""Comments in a running capture: on their own frame while it waits, on the last one after that."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from captures import Conversation, pcap

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.model import Finding
from smtpwire.analyzer.wireshark import extcap_sink as live
from smtpwire.analyzer.wireshark.extcap_sink import HeldBlocks, capture, capture_command
from smtpwire.analyzer.wireshark.pcapng_blocks import OutputBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEQ = Options(select=("SEQ101",))


def talk() -> Conversation:
    """SEQ101 is on frame 5, and certain after frame 6."""
    said = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@b.example>\r\n")
    said.server(b"503 5.5.1 hello first\r\n").client(b"EHLO c.example\r\n").server(b"250 mx.example\r\n")
    return said.close()


def packets(data: bytes) -> list[bytes]:
    """Return the bodies of the enhanced packet blocks of a little-endian capture."""
    found, at = [], 0
    while at < len(data):
        kind, length = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4))
        if kind == 6:
            found.append(data[at + 8 : at + length - 4])
        at += length
    assert at == len(data)
    return found


def commented(data: bytes) -> dict[int, str]:
    """Return the comments by frame; here no frame has two."""
    found = {}
    for number, body in enumerate(packets(data), 1):
        at = body.find(b"smtpwire: ")
        if at >= 0:
            found[number] = body[at : body.find(b"\0", at)].decode()
    return found


class Pipe(io.RawIOBase):
    """A stream that passes its content to a function at each write."""

    def __init__(self, show: Callable[[bytes], None]) -> None:
        self.data = b""
        self._show = show

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        self._show(self.data)
        return len(data)


def program(script: str, *data: bytes, folder: Path) -> list[str]:
    """Return a program that writes pieces of a capture. ``script`` says when; it may wait for a file in ``folder``."""
    names = []
    for number, piece in enumerate(data):
        (folder / str(number)).write_bytes(piece)
        names.append(str(folder / str(number)))
    begin = (
        "import os, sys, time\n"
        "def put(n):\n sys.stdout.buffer.write(open(sys.argv[n], 'rb').read())\n sys.stdout.flush()\n"
        f"def wait(name):\n for _ in range(2000):\n  if os.path.exists(os.path.join({str(folder)!r}, name)): return\n"
        "  time.sleep(0.01)\n sys.exit('it never came')\n"
    )
    return [sys.executable, "-c", begin + script, *names]


@pytest.mark.slow
def test_a_finding_is_on_its_own_frame(tmp_path: Path) -> None:
    out = io.BytesIO()
    capture(program("put(1)", pcap(talk().records), folder=tmp_path), out, SEQ)
    assert len(packets(out.getvalue())) == len(talk().records)
    found = commented(out.getvalue())
    assert found.keys() == {5}
    assert found[5].startswith("smtpwire: error SEQ101 client: MAIL was sent although")


def in_two_pieces(folder: Path) -> tuple[list[str], Pipe]:
    """Return a program that continues only when frame 5 was written, and the stream that it is written to."""
    whole = pcap(talk().records)
    cut = len(pcap(talk().records[:5]))
    command = program("put(1); wait('seen'); put(2)", whole[:cut], whole[cut:], folder=folder)

    def show(data: bytes) -> None:
        if len(packets(data)) == 5:
            (folder / "seen").touch()

    return command, Pipe(show)


@pytest.mark.slow
def test_a_finding_that_comes_late_names_its_frame(tmp_path: Path) -> None:
    command, out = in_two_pieces(tmp_path)
    capture(command, out, SEQ, hold_seconds=0.05)  # type: ignore[arg-type]
    found = commented(out.data)
    assert found.keys() == {6}
    assert found[6].startswith("smtpwire: error SEQ101 client: in frame 5: MAIL was sent although")


@pytest.mark.slow
def test_a_consequence_names_its_cause(tmp_path: Path) -> None:
    said = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@b.example>\r\n")
    said.server(b"250 ok\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n")
    out = io.BytesIO()
    capture(program("put(1)", pcap(said.close().records), folder=tmp_path), out, Options(select=("SEQ",)))
    found = commented(out.getvalue())
    assert found.keys() == {5, 6}
    assert "SEQ120 server" in found[6]
    assert "Follows from SEQ101 in frame 5." in found[6]


@pytest.mark.slow
@pytest.mark.parametrize(("redact", "shown"), [(Redact.SECRETS, False), (Redact.NONE, True)])
def test_no_comment_contains_a_secret(tmp_path: Path, redact: Redact, shown: bool) -> None:
    """The response to a challenge that never came is treated as a command, and rules name it."""
    said = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"EHLO a.example\r\n")
    said.server(b"250-mx.example\r\n250 AUTH LOGIN\r\n").client(b"AUTH LOGIN\r\n").server(b"504 not that one\r\n")
    said.client(b"Y29ycmVjdGhvcnNl\r\n").server(b"500 unknown\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n")
    out = io.BytesIO()
    capture(program("put(1)", pcap(said.close().records), folder=tmp_path), out, Options(redact=redact))
    texts = "\n".join(commented(out.getvalue()).values())
    assert "smtpwire: " in texts
    assert ("y29ycmvjdghvcnnl" in texts.lower()) is shown


@pytest.mark.slow
def test_frames_come_while_the_capture_waits(tmp_path: Path) -> None:
    command, out = in_two_pieces(tmp_path)
    capture(command, out, SEQ, hold_seconds=0.05)  # type: ignore[arg-type]
    assert (tmp_path / "seen").exists()
    assert len(packets(out.data)) == len(talk().records)  # or the program would have given up


@pytest.mark.slow
def test_it_ends_without_a_message_when_its_reader_has_gone(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", 0) as out:
        start = time.monotonic()
        capture(program("put(1); time.sleep(30)", pcap(talk().records), folder=tmp_path), out, SEQ)
        assert time.monotonic() - start < 20


@pytest.mark.slow
def test_a_stop_signal_keeps_the_captured_frames(tmp_path: Path) -> None:
    """Wireshark stops an extcap with SIGTERM."""
    out = tmp_path / "out.pcapng"
    command = program("put(1); time.sleep(30)", pcap(talk().records), folder=tmp_path)
    code = (
        "import sys; from smtpwire.analyzer.wireshark.extcap_sink import capture; from smtpwire import Options\n"
        f"with open({str(out)!r}, 'wb', 0) as stream: capture({command!r}, stream, Options())"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 20
        while not (out.exists() and out.stat().st_size > 500) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert len(packets(out.read_bytes())) == len(talk().records)


@pytest.mark.slow
def test_the_reason_why_nothing_was_captured_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)^nothing was captured: .*: no such device$"):
        capture(program("sys.exit('no such\\ndevice')", folder=tmp_path), io.BytesIO(), SEQ)


@pytest.mark.slow
def test_handlers_are_restored(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    capture(program("put(1)", pcap(talk().records), folder=tmp_path), io.BytesIO(), SEQ)
    assert signal.getsignal(signal.SIGTERM) is before


# -- the queue --------------------------------------------------------------------------------------------------------


def blocks(count: int, size: int = 32) -> Iterator[OutputBlock]:
    raw = b"\x06\0\0\0" + size.to_bytes(4, "little") + bytes(size - 12) + size.to_bytes(4, "little")
    return (OutputBlock(raw, "little", number, raw) for number in range(1, count + 1))


def add_finding(held: HeldBlocks, frame: int) -> None:
    finding = Finding("SEQ101", "x", "error", "client", "certain", "m", "", None, None, frame, "", 0, 0, "")
    held.add_finding(finding, [finding])


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HOLD_BYTES", 3200)
    out = io.BytesIO()
    held = HeldBlocks(out, 1000)
    for block in blocks(150):
        held.add(block)
    assert len(out.getvalue()) == 50 * 32
    add_finding(held, 50)  # already written
    add_finding(held, 51)  # the first in the queue
    held.close()
    assert commented(out.getvalue()) == {51: "smtpwire: error SEQ101 client: m", 150: LATE}


LATE = "smtpwire: error SEQ101 client: in frame 50: m"


def test_a_finding_without_any_frame_left_is_counted() -> None:
    held = HeldBlocks(io.BytesIO(), 0)
    for block in blocks(3):
        held.add(block)
    held.write_expired()
    assert held.seconds_left() is None
    add_finding(held, 2)
    assert held.lost == 1


def test_capture_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"dumpcap": "/usr/bin/dumpcap", "tcpdump": "/usr/bin/tcpdump"}
    monkeypatch.setattr(shutil, "which", there.get)
    assert capture_command("lo", "tcp port 25") == [
        *("/usr/bin/dumpcap", "-P", "-q", "-i", "lo", "-w", "-", "-f", "tcp port 25")
    ]
    del there["dumpcap"]
    assert capture_command("lo", "")[0] == "/usr/bin/tcpdump"
    there.clear()
    with pytest.raises(UsageError, match="install dumpcap"):
        capture_command("lo", "")

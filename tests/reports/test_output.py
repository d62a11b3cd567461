"""The destination of a report: what it can show, and what happens if it cannot be written."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import pcap
from handmade import capture, connection, summary_of
from repeats import dialogue
from scripts import hello, lines, records
from short_timeouts import IMPATIENT, until_full

from smtpwire.analyzer.errors import OutputError
from smtpwire.analyzer.reports.output import Output, plural
from smtpwire.analyzer.reports.text import TextWriter

if TYPE_CHECKING:
    from typing_extensions import Buffer


def painted(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.BytesIO()
    writer = TextWriter(Output(stream))
    writer.capture(capture())
    writer.connection(connection())
    writer.finish(summary_of(connection()))
    return stream.getvalue().decode()


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in painted(monkeypatch)


def test_colour_can_be_forced_and_the_text_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = painted(monkeypatch, FORCE_COLOR="1")
    assert "\x1b[1;31merror SEQ101\x1b[0m" in coloured
    assert "\x1b" not in painted(monkeypatch, FORCE_COLOR="1", NO_COLOR="1")


def test_the_width_is_that_of_columns_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    for columns in ("10", "80", "5000"):
        monkeypatch.setenv("COLUMNS", columns)
        widths.append(Output(io.BytesIO()).width)
    assert widths == [40, 80, 120]


def test_a_pipe_is_flushed_and_a_file_is_not(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe, os.fdopen(reader, "rb"):
        assert Output(pipe).live
    with (tmp_path / "report").open("wb") as file:
        assert not Output(file).live


@pytest.mark.parametrize("patient", [False, True])
def test_a_stream_that_accepts_a_part_gets_the_rest(*, patient: bool) -> None:
    class Narrow(io.BytesIO):
        def write(self, data: Buffer, /) -> int:
            return super().write(memoryview(data)[:1000])

    stream = Narrow()
    output = Output(stream)
    if patient:
        output.be_patient()
    data = bytes(range(256)) * 2000
    output.write(data)
    output.write(b"end")
    output.flush()
    assert stream.getvalue() == data + b"end"


@pytest.mark.slow
def test_nothing_is_lost_in_a_pipe_without_a_buffer(tmp_path: Path) -> None:
    """A signal interrupts a write into a full pipe, and one comes with each tick of the timer."""
    sent = [one for number in range(400) for one in dialogue([*hello(), *lines("C QUIT", "S 221 bye")], number)]
    (tmp_path / "a.pcap").write_bytes(pcap(records(sent)))
    command = [*IMPATIENT, "audit", str(tmp_path / "a.pcap"), "--format", "ndjson"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        until_full(process.stdout)
        report = process.stdout.read()
    assert len(report) > 1 << 18  # more than the size of a pipe
    kinds = [json.loads(line)["type"] for line in report.splitlines()]
    assert kinds.count("connection") == 400


def test_a_reader_that_has_gone_is_a_broken_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe, pytest.raises(BrokenPipeError):
        Output(pipe).write(b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(OutputError) as caught:
        Output(full, name="r.json").write(b"x")
    assert str(caught.value) == "cannot write (No space left on device): r.json: name another file with -o"


def test_counts_are_words() -> None:
    assert [plural(n, "byte") for n in (0, 1, 1204)] == ["0 bytes", "1 byte", "1,204 bytes"]

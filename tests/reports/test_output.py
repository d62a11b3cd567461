"""Where a report goes: what it can show, and what happens when it cannot be written."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from handmade import capture, connection, summary_of

from smtpwire.analyzer.reports.output import Output, OutputError, plural
from smtpwire.analyzer.reports.text import TextWriter


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


def test_no_colour_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in painted(monkeypatch)


def test_colour_can_be_asked_for_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = painted(monkeypatch, FORCE_COLOR="1")
    assert "\x1b[1;31merror SEQ101\x1b[0m" in coloured
    assert "\x1b" not in painted(monkeypatch, FORCE_COLOR="1", NO_COLOR="1")


def test_the_width_is_that_of_columns_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
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

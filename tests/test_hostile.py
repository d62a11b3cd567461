"""The command under hostile conditions: capture content, output targets, and signals."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from captures import pcap
from hostile import FILE_NAME, hostile_capture
from scripts import hello, lines, records, segments
from short_timeouts import IMPATIENT, until_read

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.errors import is_visible
from smtpwire.analyzer.model import Capture
from smtpwire.analyzer.reports.formats import FORMATS, Style
from smtpwire.analyzer.reports.output import Output

COMMAND = [sys.executable, "-m", "smtpwire"]
STYLES = {"plain": Style(), "concise": Style(concise=True), "zeek json": Style(zeek_json=True)}
WRITERS = [
    pytest.param(form, style, id=f"{form.value} {name}")
    for form, chosen in FORMATS.items()
    if chosen.stream is not None
    for name, style in STYLES.items()
]


def moves_or_hides(text: str) -> list[str]:
    """Return the characters that do more than show a glyph, or show none: controls, format characters such as those of
    bidi, fillers and selectors, marks without a letter."""
    return sorted({c for c in text if not is_visible(c) and c not in "\t\r\n"})


def smtpwire(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Return a capture whose report is larger than a pipe buffer."""
    wrong = [*hello(), *lines("C FOO \x1b[31m", "S 500 \x07what") * 20]
    path = tmp_path / "big.pcap"
    path.write_bytes(pcap([record for port in range(150) for record in records(segments(wrong, port=10_000 + port))]))
    return path


@pytest.mark.parametrize(("form", "style"), WRITERS)
def test_no_format_has_characters_that_move_a_cursor_or_hide_text(form: object, style: Style, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME.replace("/", "")
    path.write_bytes(hostile_capture())
    stream = io.BytesIO()
    make = FORMATS[form].stream  # type: ignore[index]
    assert make is not None
    writer, run = make(Output(stream), style), Audit()
    for item in run.run([path]):
        if isinstance(item, Capture):
            writer.capture(item)
        else:
            writer.connection(item)
    writer.finish(run.summary)
    text = stream.getvalue().decode("utf-8")  # this also checks that it is UTF-8
    assert text
    assert moves_or_hides(text) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_a_table_has_no_formula(form: str, tmp_path: Path) -> None:
    if form not in {one.value for one in FORMATS}:
        pytest.skip("no such format")
    path = tmp_path / "a.pcap"
    path.write_bytes(hostile_capture())
    out = smtpwire("audit", path, "--format", form).stdout
    assert "cmd|" in out
    assert not re.search(r'(?:^|[,\t\n])"?[=+@]', out)
    assert not re.search(r'(?:^|[,\t\n])"?-(?![\d,"\n])', out)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("form", [form.value for form, chosen in FORMATS.items() if chosen.stream is not None])
def test_a_full_disk_is_one_line_in_every_format(form: str, big: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [*COMMAND, "audit", str(big), "--format", form], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert run.stderr.count("\n") == 1
    assert "No space left on device" in run.stderr
    assert run.returncode not in {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("form", [form.value for form, chosen in FORMATS.items() if chosen.stream is not None])
def test_a_reader_that_goes_away_ends_the_run_silently(form: str, big: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "audit", str(big), "--format", form], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.read(10)
        run.stdout.close()
        errors = run.stderr.read().decode()
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_a_stopped_run_reports_what_was_read(number: signal.Signals, form: str, big: Path) -> None:
    """The capture comes through a pipe that stays open, so the run waits for more input."""
    data = big.read_bytes()
    with subprocess.Popen(
        [*IMPATIENT, "audit", "-", "--format", form],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdin is not None
        run.stdin.write(data[: len(data) // 2])
        run.stdin.flush()
        until_read(run.stdin)
        run.send_signal(number)
        out, errors = run.stdout.read().decode(), run.stderr.read().decode()  # type: ignore[union-attr]
    assert run.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    objects = [json.loads(line) for line in out.splitlines()]
    summary = objects[0]["summary"] if form == "json" else objects[-1]
    assert summary["connections"] > 20


@pytest.mark.slow
def test_two_runs_at_once_do_not_disturb_each_other(big: Path, tmp_path: Path) -> None:
    """Both write the same file; the result is the complete report of one of them."""
    target = tmp_path / "r.json"
    command = [*COMMAND, "audit", str(big), "-o", f"json:{target}"]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode in {0, 1}, errors
    assert json.loads(target.read_text())["summary"]["connections"] == 150
    assert [path.name for path in tmp_path.iterdir() if path != big] == ["r.json"]


@pytest.mark.slow
def test_no_secret_is_in_any_format(tmp_path: Path) -> None:
    password = "AHVzZXIAc2VjcmV0LXBhc3N3b3Jk"
    script = [
        *hello("AUTH PLAIN LOGIN"),
        *lines(f"C AUTH PLAIN {password}", "S 535 no", "C AUTH LOGIN", "S 334 VXNlcm5hbWU6"),
    ]
    script += lines("C dXNlci1uYW1lLXg=", "S 334 UGFzc3dvcmQ6", "C c2VjcmV0LXBhc3N3b3Jk", "S 235 ok")
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(records(segments(script))))
    for form, chosen in FORMATS.items():
        if chosen.stream is None:
            continue
        out = smtpwire("audit", path, "--format", form.value)
        for secret in (password, "dXNlci1uYW1lLXg", "c2VjcmV0LXBhc3N3b3Jk", "secret-password", "user-name-x"):
            assert secret not in out.stdout + out.stderr, form

"""Several processes over one capture write what one process writes, byte by byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import pcap
from repeats import dialogue
from scripts import END, WHOLE, WRONG, hello, records

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.limits import Limits
from smtpwire.analyzer.parallel.partitioned_audit import SharedAudit
from smtpwire.analyzer.parallel.processes import WorkerProcess
from smtpwire.analyzer.reports.json_ import NdjsonWriter
from smtpwire.analyzer.reports.output import Output
from smtpwire.analyzer.run import FailOn, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts import Script

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")]

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap*"))
SHARED = sorted((Path(__file__).parents[3] / "shared" / "captures").glob("*/*.pcap*"))


def written(paths: Sequence[str | Path], jobs: int, options: Options | None = None) -> bytes:
    """Return the report of ``jobs`` processes; the summary's counts by rule are compared without their order."""
    buffer = BytesIO()
    output = Output(buffer)
    options = options or Options()
    audit = SharedAudit(options, jobs) if jobs > 1 else Audit(options)
    run(audit, list(map(str, paths)), NdjsonWriter(output), output, FailOn.NEVER)
    return buffer.getvalue()


def same(paths: Sequence[str | Path], options: Options | None = None) -> bytes:
    alone = written(paths, 1, options)
    for jobs in (2, 3):
        assert written(paths, jobs, options).splitlines()[:-1] == alone.splitlines()[:-1]
    return alone


def capture(path: Path, *scripts: Script, open_last: int = 0) -> Path:
    """Connections one after the other, the last few at the same time."""
    sent = [
        one for number, script in enumerate(scripts[: len(scripts) - open_last]) for one in dialogue(script, number)
    ]
    side = [dialogue(s, n) for n, s in enumerate(scripts)][len(scripts) - open_last :]
    sent += [talk[at] for at in range(max(map(len, side), default=0)) for talk in side if at < len(talk)]
    path.write_bytes(pcap(records(sent)))
    return path


def test_all_samples_at_once() -> None:
    assert len(same(SAMPLES).splitlines()) > 50


@pytest.mark.skipif(not SHARED, reason="the captures of others are not here")
def test_captures_of_others() -> None:
    for path in SHARED:
        same([path])


def test_connections_side_by_side_and_open_at_the_end(tmp_path: Path) -> None:
    scripts = [*[WHOLE] * 6, WRONG, WHOLE, WRONG, *[WHOLE] * 5, *[WHOLE[:-4]] * 5]
    path = capture(tmp_path / "a.pcap", *scripts, open_last=9)
    found = same([path])
    assert found.count(b'"type":"connection"') == 19
    assert found.count(b'"type":"finding"') == 2


def test_connections_that_continue_in_the_next_file(tmp_path: Path) -> None:
    sent = records([one for number in range(9) for one in dialogue(WHOLE, number)])
    paths = []
    for number in range(5):
        paths.append(tmp_path / f"{number}.pcap")
        paths[-1].write_bytes(pcap(sent[number * len(sent) // 5 : (number + 1) * len(sent) // 5]))
    assert same(paths).count(b'"type":"connection"') == 9


def vanished(tmp_path: Path) -> Path:
    """A server that offers STARTTLS at first and later does not."""
    return capture(tmp_path / "a.pcap", *[[*hello("STARTTLS"), *END]] * 8, *[[*hello("PIPELINING"), *END]] * 3)


def test_a_case_that_only_one_process_can_decide_is_decided_by_one(tmp_path: Path) -> None:
    assert same([vanished(tmp_path)]).count(b'"SEC633"') >= 3


def test_limits_for_open_connections_apply_to_all_processes(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE[:-4]] * 30)
    found = same([path], Options(limits=Limits(connections=10, idle_seconds=300)))
    assert b"no longer followed" in found


def test_an_unreadable_input_is_reported_as_by_one_process(tmp_path: Path) -> None:
    (tmp_path / "no.pcap").write_bytes(b"nothing that is a capture")
    same([SAMPLES[0], tmp_path / "no.pcap", tmp_path / "missing.pcap", SAMPLES[1]])
    (tmp_path / "cut.pcap").write_bytes(SAMPLES[0].read_bytes()[:-7])
    assert b"cut short" in same([tmp_path / "cut.pcap"])


def test_the_death_of_a_process_does_not_change_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE] * 20)
    alone = written([path], 1)
    taken = WorkerProcess.next

    def next_of_the_dead(self: WorkerProcess) -> object:
        os.kill(self.pid, signal.SIGKILL)
        return taken(self)

    monkeypatch.setattr(WorkerProcess, "next", next_of_the_dead)
    assert written([path], 2) == alone


def test_without_new_processes_one_does_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE] * 4)
    alone = written([path], 1)

    def full() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", full)
    assert written([path], 3) == alone


def smtpwire(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "smtpwire", "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_the_option(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE] * 4)
    two, one = (smtpwire(path, "--format", "ndjson", "--jobs", jobs) for jobs in ("2", "1"))
    assert (two.returncode, two.stdout) == (one.returncode, one.stdout)
    other = smtpwire(path, "--jobs", "2")
    assert other.returncode == 2
    assert b"--jobs needs ndjson" in other.stderr


def test_all_processes_end_when_the_reader_has_gone(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE] * 300)
    command = f"{sys.executable} -m smtpwire audit {path} --format ndjson --jobs 3 | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


@pytest.mark.parametrize("jobs", ["2", "3"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_after_an_interrupt_they_report_what_was_read(tmp_path: Path, signum: signal.Signals, jobs: str) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE] * 40)
    once = path.read_bytes()[24:]
    with path.open("ab") as file:
        file.write(once * 200)  # several blocks
    command = [sys.executable, "-m", "smtpwire", "audit", str(path), "--format", "ndjson", "--jobs", jobs]
    written = tmp_path / "report"
    with written.open("wb") as to, subprocess.Popen(command, stdout=to, stderr=subprocess.PIPE) as process:
        while not written.stat().st_size and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signum)
        _, errors = process.communicate(timeout=60)
    report = [json.loads(line) for line in written.read_bytes().splitlines()]
    ids = [one["id"] for one in report if one["type"] == "connection"]
    assert sorted(ids) == list(range(1, len(ids) + 1))
    assert report[-1]["type"] == "summary"
    assert report[-1]["connections"] == len(ids)
    (read,) = (one for one in report if one["type"] == "capture")
    assert read["frames"] > 20 * (len(ids) - 1)
    assert process.returncode in {0, 130}  # it may have been over already
    assert process.returncode == 0 or b"interrupted" in errors


def test_no_process_is_left_running(tmp_path: Path) -> None:
    same([capture(tmp_path / "a.pcap", *[WHOLE] * 4)])
    time.sleep(0.05)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_no_run_uses_a_second_process_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = capture(tmp_path / "a.pcap", *[WHOLE] * 40)
    once = path.read_bytes()[24:]
    with path.open("ab") as file:
        file.write(once * (9_000_000 // len(once)))

    def forked() -> int:
        pytest.fail("a second process")

    monkeypatch.setattr(os, "fork", forked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    status = command_line(["audit", str(path), "--format", "ndjson", "--no-config"], standalone_mode=False)
    assert status == 0
    assert capfdbinary.readouterr().out.count(b'"type":"connection"') >= 40

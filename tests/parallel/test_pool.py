"""Processes that die, disks that are full, runs that are interrupted and finished later."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import pcap
from repeats import dialogue
from scripts import END, WHOLE, WRONG, hello, records
from side_by_side import Here, divided, report_of, whole

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.files.storage import Storage
from smtpwire.analyzer.frames import inputs
from smtpwire.analyzer.model import Connection
from smtpwire.analyzer.parallel import engine, pieces
from smtpwire.analyzer.parallel.engine import ParallelAudit
from smtpwire.analyzer.parallel.executors import Workers
from smtpwire.analyzer.parallel.mapping import map_batch
from smtpwire.analyzer.parallel.reducing import reduce_partition
from smtpwire.analyzer.reports.json_ import NdjsonWriter
from smtpwire.analyzer.reports.output import Output
from smtpwire.analyzer.run import FailOn, Status, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smtpwire.analyzer.parallel.mapping import Mapped, MapTask
    from smtpwire.analyzer.parallel.reducing import Reduced, ReduceTask

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")]

FORMATS = ("text", "json", "ndjson", "html", "markdown", "sarif", "junit", "github", "csv", "eve", "ecs", "zeek")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "BLOCK", 400)
    monkeypatch.setattr(pieces, "_SMALLEST", 1000)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    offers, misses = [*hello("STARTTLS"), *END], [*hello("PIPELINING"), *END]
    scripts = [*[WHOLE, WRONG] * 8, offers, offers, misses, misses]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(list(records([one for n, script in enumerate(scripts) for one in dialogue(script, n)]))))
    return path


@pytest.fixture(name="pool")
def _pool() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def smtpwire(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "smtpwire", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120, **more)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format(path: Path, form: str) -> None:
    arguments = ("audit", path, "--no-config", "--format", form, "--fail-on", "warning")
    one, three = smtpwire(*arguments, "--jobs", "1"), smtpwire(*arguments, "--jobs", "3")
    now = re.compile(rb"^#(open|close)\t.*$", re.MULTILINE)  # times in logs of Zeek
    assert now.sub(b"", three.stdout) == now.sub(b"", one.stdout)
    assert (three.returncode, three.stderr) == (one.returncode, one.stderr)
    assert three.returncode == 1


def test_stores_several_reports_and_filters(path: Path, tmp_path: Path) -> None:
    select = "SELECT connection, server_port, started FROM connections ORDER BY connection"
    found = []
    for jobs in ("1", "3"):
        store, page = tmp_path / f"{jobs}.sqlite", tmp_path / f"{jobs}.json"
        done = smtpwire("audit", path, "--no-config", "-o", store, "-o", page, "--rule", "SEQ103", "--jobs", jobs)
        assert done.returncode in {0, 1}, done.stderr
        found.append((json.loads(page.read_bytes()), smtpwire("query", select, "--db", store).stdout))
    assert found[0] == found[1]
    assert len(found[0][0]["connections"]) == 8
    assert found[0][1].count(b"\n") >= 8


def test_messages_that_are_extracted(path: Path, tmp_path: Path) -> None:
    rest = [one for number in range(40, 44) for one in dialogue([*WHOLE[:-8]], number)]  # that never end
    more = tmp_path / "b.pcap"
    more.write_bytes(pcap(list(records(rest))))
    found = []
    for jobs in ("1", "3"):
        folder = tmp_path / jobs
        done = smtpwire("extract", path, more, "-o", folder, "--no-config", "--jobs", jobs, "--max-size", "40")
        assert done.returncode == 0, done.stderr
        files = {one.relative_to(folder): one.read_bytes() for one in folder.rglob("*.*")}
        found.append((files, done.stdout.replace(str(folder).encode(), b"DIR")))
    assert found[0] == found[1]
    assert sum(name.suffix == ".eml" for name in found[0][0]) >= 8


def test_a_capture_with_comments(path: Path, tmp_path: Path) -> None:
    copies = []
    for jobs in ("1", "2"):
        copy = tmp_path / f"{jobs}.pcapng"
        assert smtpwire("annotate", path, "-o", copy, "--no-config", "--jobs", jobs).returncode == 0
        copies.append(copy.read_bytes())
    assert copies[0] == copies[1]
    assert copies[0].count(b"SEQ103") >= 8


# -- processes that die ------------------------------------------------------------------------------------------------


def died_before(task: MapTask | ReduceTask, times: int = 1) -> bool:
    """Note that a task runs; return whether it did so ``times`` times before."""
    for number in range(times):
        mark = Path(task.spool.place) / f"mark-{task.name}-{number}"
        if not mark.exists():
            mark.write_bytes(b"")
            return False
    return True


def die_once_mapping(task: MapTask) -> Mapped:
    if task.name == "map-3" and not died_before(task):
        os.kill(os.getpid(), signal.SIGKILL)
    return map_batch(task)


def die_once_reducing(task: ReduceTask) -> Reduced:
    if task.name == "reduce-1-of-7-lines" and not died_before(task):
        os.kill(os.getpid(), signal.SIGKILL)
    return reduce_partition(task)


def die_mapping(task: MapTask) -> Mapped:
    if task.name == "map-3":
        os.kill(os.getpid(), signal.SIGKILL)
    return map_batch(task)


def die_reducing(task: ReduceTask) -> Reduced:
    if task.name == "reduce-1-of-7-lines":
        os.kill(os.getpid(), signal.SIGKILL)
    return reduce_partition(task)


@pytest.mark.parametrize(("step", "dying"), [("map_batch", die_once_mapping), ("reduce_partition", die_once_reducing)])
def test_a_process_that_dies_changes_nothing(
    path: Path, pool: Workers, monkeypatch: pytest.MonkeyPatch, step: str, dying: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(engine, step, dying)
    assert divided([path], pool) == whole([path])


@pytest.mark.parametrize(("step", "dying"), [("map_batch", die_mapping), ("reduce_partition", die_reducing)])
def test_what_kills_every_process_is_named(
    path: Path, pool: Workers, monkeypatch: pytest.MonkeyPatch, step: str, dying: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(engine, step, dying)
    audits: list[ParallelAudit] = []
    report = [json.loads(line) for line in divided([path], pool, audits=audits)]
    ids = [one["id"] for one in report if one["type"] == "connection"]
    assert ids
    assert set(ids) <= set(range(1, 20))
    assert len(ids) == len(set(ids)) == report[-1]["connections"]
    (error,) = audits[0].unreadable
    assert error.what.startswith("not audited")
    assert error.where == (str(path) if step == "map_batch" else "share 2 of 4 of the connections")


def test_no_process_is_left(path: Path) -> None:
    with Workers(3) as workers:
        divided([path], workers)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# -- a full disk -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "missing"), [("map-2", "a.pcap"), ("reduce-0-of-7-lines", "share 1 of 4 of the connections")]
)
def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch, full: str, missing: str) -> None:
    write = Storage.write

    def fails(self: Storage, name: str) -> Any:
        if name == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, name)

    monkeypatch.setattr(Storage, "write", fails)
    audits: list[ParallelAudit] = []
    report = [json.loads(line) for line in divided([path], 2, audits=audits)]
    (error,) = audits[0].unreadable
    assert error.what == "not audited: No space left on device"
    assert error.where.endswith(missing)
    assert 0 < report[-1]["connections"] < 20


def test_all_captures_that_are_missing_are_named(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [path, *(tmp_path / f"{number}.pcap" for number in range(30))]
    late = list(records(dialogue(WHOLE, 900)))
    for number, one in enumerate(paths[1:]):
        one.write_bytes(pcap([record._replace(time_ns=record.time_ns + number * 10**12) for record in late]))

    def fails(task: Any) -> Any:
        if task.name == "map-2":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return map_batch(task)

    monkeypatch.setattr(engine, "map_batch", fails)
    audits: list[ParallelAudit] = []
    divided(paths, 1, audits=audits)
    read = {capture.path for capture in audits[0].captures if capture.frames}
    assert {error.where for error in audits[0].unreadable} == {str(one) for one in paths} - read
    assert 0 < len(read) < 31


def test_the_exit_status_says_that_something_is_missing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "map_batch", die_mapping)
    with Workers(2) as workers, (tmp_path / "report").open("wb") as stream:
        audit = ParallelAudit(Options(), workers, Storage(str(tmp_path / "spool")))
        output = Output(stream)
        assert run(audit, [str(path)], NdjsonWriter(output), output, FailOn.NEVER) == Status.UNREADABLE
    assert re.search(r"not audited: .*a\.pcap: see to", capfd.readouterr().err)


# -- runs that are finished later --------------------------------------------------------------------------------------


def spooled(path: Path, spool: Path, *, resume: bool = False) -> tuple[list[bytes], ParallelAudit]:
    audit = ParallelAudit(Options(), Workers(2, lambda _: Here()), Storage(str(spool)), resume=resume)
    return report_of(audit, [path]), audit


@pytest.mark.parametrize("step", ["map_batch", "reduce_partition"])
def test_a_run_that_failed_is_finished(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    spool = tmp_path / "spool"
    done = getattr(engine, step)
    last = "map-4" if step == "map_batch" else "reduce-2-of-7-lines"

    def fails(task: Any) -> Any:
        if task.name == last:
            raise OSError(errno.EIO, "the cluster is gone")
        return done(task)

    with monkeypatch.context() as patch:
        patch.setattr(engine, step, fails)
        _, audit = spooled(path, spool)
        assert audit.unreadable
    before = {one.name: one.stat().st_mtime_ns for one in spool.iterdir()}
    assert sum(name.startswith("map-") for name in before) >= 4
    report, audit = spooled(path, spool, resume=True)
    assert report == whole([path])
    assert not audit.unreadable
    kept = [name for name in before if name.startswith("map-")]
    if step == "reduce_partition":
        kept += [f"reduce-{number}-of-7-lines" for number in (0, 1, 3)]
    assert all(before[name] == (spool / name).stat().st_mtime_ns for name in kept)


def test_a_spool_belongs_to_one_run(path: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spooled(path, spool)
    with pytest.raises(UsageError, match="holds a run that began earlier"):
        spooled(path, spool)
    with path.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(UsageError, match="holds another run"):
        spooled(path, spool, resume=True)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be used"):
        spooled(path, tmp_path / "file" / "spool")


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(("--resume",), "--resume needs --spool"), (("--jobs", "2", "-"), "standard input is read by one process")],
)
def test_options_that_contradict_each_other(path: Path, arguments: tuple[str, ...], error: str) -> None:
    done = smtpwire("audit", path, *arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert error in done.stderr.decode()


def test_the_spool_and_the_statistics(path: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    first = smtpwire("audit", path, "--format", "ndjson", "--spool", spool, "--stats", "--no-config")
    assert (spool / "plan").exists()
    assert "MB in the spool" in first.stderr.decode()
    again = smtpwire("audit", path, "--format", "ndjson", "--spool", spool, "--resume", "--no-config")
    assert again.stdout == first.stdout
    assert smtpwire("audit", path, "--format", "ndjson", "--spool", spool, "--no-config").returncode == 2


def test_all_processes_end_when_the_reader_has_gone(path: Path) -> None:
    command = f"{sys.executable} -m smtpwire audit {path} --no-config --format ndjson --jobs 3 | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


# -- an interrupt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 2, 5, 9, 10])
def test_after_an_interrupt_what_was_done_is_reported(path: Path, tmp_path: Path, after: int) -> None:
    """In the map step that is the input so far, in the reduce step some partitions."""
    calls = 0

    def progress(done: int, total: int | None) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise KeyboardInterrupt

    audit = ParallelAudit(Options(), Workers(2, lambda _: Here()), Storage(str(tmp_path / "spool")))
    reported = []
    try:
        reported += list(audit.run([path], progress))
    except KeyboardInterrupt:
        reported += list(audit.stop())
    found = [one for one in reported if isinstance(one, Connection)]
    assert audit.summary.connections == len(found)
    assert sorted(one.id for one in found) == list(range(1, len(found) + 1))
    (capture,) = audit.captures
    assert capture.frames > 0
    assert (len(found) == 20) == (after == 0)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(path: Path, tmp_path: Path, signum: signal.Signals) -> None:
    once = path.read_bytes()[24:]
    with path.open("ab") as file:
        file.write(once * 400)
    command = [sys.executable, "-m", "smtpwire", "audit", str(path), "--format", "ndjson", "--jobs", "2", "--no-config"]
    spool, written = tmp_path / "spool", tmp_path / "report"
    with (
        written.open("wb") as to,
        subprocess.Popen([*command, "--spool", spool], stdout=to, stderr=subprocess.PIPE) as process,
    ):
        while not list(spool.glob("map-*")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signum)
        _, errors = process.communicate(timeout=60)
    report = [json.loads(line) for line in written.read_bytes().splitlines()]
    ids = [one["id"] for one in report if one["type"] == "connection"]
    assert sorted(ids) == list(range(1, len(ids) + 1))
    assert report[-1]["type"] == "summary"
    assert report[-1]["connections"] == len(ids)
    assert process.returncode in {0, 130}
    assert process.returncode == 0 or b"interrupted" in errors


# -- what a reader of the report must not miss -------------------------------------------------------------------------


def test_numbers_of_connections_are_given_by_one_process(path: Path) -> None:
    chosen = ("audit", path, "--no-config", "--format", "ndjson", "--connection", "3,7")
    assert smtpwire(*chosen, "--jobs", "3").returncode == 2
    report = [json.loads(line) for line in smtpwire(*chosen).stdout.splitlines()]
    assert [one["id"] for one in report if one["type"] == "connection"] == [3, 7]


def test_a_part_of_a_capture_that_cannot_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a cluster of which one machine does not have the capture, or while a file gets shorter."""

    def fails(task: Any) -> Any:
        if task.name != "map-3":
            return map_batch(task)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 4])
        try:
            return map_batch(task)
        finally:
            path.write_bytes(data)

    monkeypatch.setattr(engine, "map_batch", fails)
    audits: list[ParallelAudit] = []
    report = [json.loads(line) for line in divided([path], 2, audits=audits)]
    (error,) = audits[0].unreadable
    assert (error.what, error.where) == ("the file became shorter while it was read", str(path))
    (capture,) = (one for one in report if one["type"] == "capture")
    assert capture["problems"] == ["the file became shorter while it was read: audit it again when it is complete"]


def test_a_report_without_a_share_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(task: Any) -> Any:
        if task.name.startswith("reduce-1"):
            raise OSError(errno.EIO, "bad disk")
        return reduce_partition(task)

    monkeypatch.setattr(engine, "reduce_partition", fails)
    report = [json.loads(line) for line in divided([path], 2)]
    (capture,) = (one for one in report if one["type"] == "capture")
    assert capture["problems"] == ["not audited: bad disk: share 2 of 4 of the connections"]


def test_the_spool_of_another_format(path: Path, tmp_path: Path) -> None:
    spool = ("--spool", tmp_path / "spool", "--no-config", "--rule", "SEQ,RPL", "--verb", "MAIL,RCPT,QUIT")
    first = smtpwire("audit", path, "--format", "ndjson", *spool)
    for form in ("json", "ndjson"):
        again = smtpwire("audit", path, "--format", form, *spool, "--resume")
        alone = smtpwire("audit", path, "--format", form, *spool[2:], "--jobs", "1")
        assert again.stdout == alone.stdout, again.stderr
    assert first.stdout == again.stdout


def test_processes_end_with_the_one_that_started_them(path: Path) -> None:
    once = path.read_bytes()[24:]
    with path.open("ab") as file:
        file.write(once * 400)
    command = [sys.executable, "-m", "smtpwire", "audit", str(path), "--format", "ndjson", "--jobs", "3", "--no-config"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while not Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            time.sleep(0.01)
        time.sleep(0.2)
        process.kill()
        process.stdout.read()  # it would not end if another process held the pipe

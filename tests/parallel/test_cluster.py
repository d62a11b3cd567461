"""A real scheduler with two workers on this machine, and captures in an S3 on this machine."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from captures import pcap, pcapng
from mixtures import mixture
from repeats import dialogue
from scripts import END, WHOLE, WRONG, hello, records

pytest.importorskip("distributed")
pytest.importorskip("fsspec")
pytest.importorskip("pyarrow")
moto_server = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

BUCKET = "s3://captures"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Site:
    """The environment of programs, and the scheduler's address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.s3 = f"http://127.0.0.1:{free_port()}"
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.s3,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        (folder / "sitecustomize.py").write_text(SLOW)

    def start(self, name: str, *command: str, **more: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment | more, stdout=log, stderr=log, cwd=self.folder)
        self.processes.append(process)
        return process

    def worker(self, name: str, **more: str) -> subprocess.Popen[bytes]:
        python = (sys.executable, "-m", "dask", "worker", self.address)
        return self.start(name, *python, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--name", name, **more)

    def scheduler(self) -> subprocess.Popen[bytes]:
        host, port = self.address.removeprefix("tcp://").split(":")
        python = (sys.executable, "-m", "dask", "scheduler", "--host", host, "--port", port)
        return self.start("scheduler", *python, "--no-dashboard")

    def smtpwire(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "smtpwire", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, check=False, timeout=180)

    def cluster(self, spool: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        options = ("--cluster", self.address, "--spool", spool, "--no-config")
        return self.smtpwire("audit", *arguments, *options)

    def files(self) -> Any:
        return s3fs.S3FileSystem(endpoint_url=self.s3, key="x", secret="x", skip_instance_cache=True)


# With SMTPWIRE_TEST_DIES set to the start of a task's name, a process ends when it begins such a task.
SLOW = """
import os
wanted = os.environ.get("SMTPWIRE_TEST_DIES")
if wanted:
    import signal
    from smtpwire.analyzer.files.storage import Storage
    write = Storage.write
    def dies(self, name):
        if name.startswith(wanted):
            os.kill(os.getpid(), signal.SIGKILL)
        return write(self, name)
    Storage.write = dies
"""


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    port = int(site.s3.rpartition(":")[2])
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        site.scheduler()
        for name in ("one", "two"):
            site.worker(name)
        site.files().mkdir("captures")
        yield site
    finally:
        for process in site.processes:
            process.kill()
            process.wait()
        server.stop()


@contextmanager
def dying(site: Site, task: str) -> Iterator[subprocess.Popen[bytes]]:
    """Add a worker that ends when it begins such a task."""
    worker = site.worker("dying", SMTPWIRE_TEST_DIES=task, PYTHONPATH=str(site.folder))
    try:
        time.sleep(4)
        yield worker
    finally:
        worker.kill()
        worker.wait()


@pytest.fixture(scope="module", name="captures")
def _captures(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], str]:
    """One capture in many files, here and in the bucket: the local names, and the URL."""
    folder = tmp_path_factory.mktemp("captures")
    offers, misses = [*hello("STARTTLS"), *END], [*hello("PIPELINING"), *END]
    talks = [dialogue(script, n) for n, script in enumerate([*[WHOLE, WRONG] * 12, offers, misses, offers, misses])]
    sent = list(records([one for talk in talks for one in talk]))
    sent += [one._replace(time_ns=one.time_ns + 10**14) for one in records(mixture(random.Random(7)))]
    paths = []
    for number in range(9):
        data = (pcap if number % 2 else pcapng)(sent[number * len(sent) // 9 : (number + 1) * len(sent) // 9])
        path = folder / f"part-{number}.pcap{'.gz' if number % 3 == 0 else ''}"
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        site.files().put(str(path), f"captures/in/{path.name}")
        paths.append(path)
    return paths, f"{BUCKET}/in/*.pcap*"


def local_report(site: Site, paths: Sequence[Path]) -> list[bytes]:
    done = site.smtpwire("audit", *map(str, paths), "--format", "ndjson", "--jobs", "1", "--no-config")
    folder = str(paths[0].parent).encode()
    return done.stdout.replace(folder, f"{BUCKET}/in".encode()).splitlines()


def test_captures_in_a_bucket(site: Site, captures: tuple[list[Path], str]) -> None:
    paths, url = captures
    expected = local_report(site, paths)
    alone = site.smtpwire("audit", url, "--format", "ndjson", "--jobs", "1", "--no-config")
    assert alone.stdout.splitlines() == expected, alone.stderr
    done = site.cluster(f"{BUCKET}/spool-1", url, "--format", "ndjson")
    assert done.stdout.splitlines() == expected, done.stderr
    assert b"2 workers, dashboard: http" in done.stderr
    assert done.returncode == alone.returncode


def test_reports_in_parts(site: Site, captures: tuple[list[Path], str], tmp_path: Path) -> None:
    paths, url = captures
    out = f"{BUCKET}/audit/"
    done = site.cluster(f"{BUCKET}/spool-2", url, "-o", f"ndjson:{out}lines/", "-o", f"parquet:{out}tables/")
    assert done.returncode in {0, 1}, done.stderr
    files = site.files()
    parts = files.glob("captures/audit/lines/*.ndjson")
    assert len(parts) == 5, (files.find("captures/audit"), done.stderr, done.stdout)
    lines = [line for part in parts for line in files.cat_file(part).splitlines()]
    assert sorted(lines) == sorted(local_report(site, paths))
    files.get("captures/audit/tables/", str(tmp_path / "tables"), recursive=True)
    site.smtpwire("audit", *map(str, paths), "-o", f"parquet:{tmp_path}/local/", "--jobs", "1", "--no-config")
    for select in (
        "SELECT connection, started, client_port, capture FROM connections ORDER BY 1",
        "SELECT connection, rule, frame, message FROM findings ORDER BY 1, 2, 3, 4",
        "SELECT frames FROM captures ORDER BY capture",
        "SELECT connections, errors FROM runs",
    ):
        found = [site.smtpwire("query", select, "--db", str(tmp_path / one)).stdout for one in ("tables", "local")]
        assert found[0] == found[1]
        assert found[0].count(b"\n") > 1


@pytest.mark.parametrize("task", ["map-", "reduce-"])
def test_a_worker_that_dies(site: Site, captures: tuple[list[Path], str], task: str, tmp_path: Path) -> None:
    paths, url = captures
    with dying(site, task) as worker:
        done = site.cluster(f"{BUCKET}/spool-{task}", url, "--format", "ndjson")
        assert done.stdout.splitlines() == local_report(site, paths), done.stderr
        assert worker.wait(timeout=30) == -signal.SIGKILL


def test_a_spool_that_workers_do_not_see(site: Site, captures: tuple[list[Path], str]) -> None:
    done = site.cluster("memory://spool", captures[1])
    assert done.returncode == 2
    assert b"it does not see memory://spool" in done.stderr


def test_what_is_missing_is_named(site: Site, captures: tuple[list[Path], str]) -> None:
    done = site.cluster(f"{BUCKET}/spool-3", captures[1], f"{BUCKET}/in/nothing.pcap", "--format", "ndjson")
    assert done.returncode == 3
    assert b"no such object: s3://captures/in/nothing.pcap" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["connections"] > 20


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--cluster", "tcp://127.0.0.1:1"), "--cluster needs --spool"),
        (("--cluster", "tcp://127.0.0.1:1", "--spool", "x", "--jobs", "2"), "--jobs and --cluster together"),
        (("-o", "sqlite:s3://captures/a.db"), "sqlite cannot be written to a URL"),
        (("nosuch://bucket/a.pcap",), "no such URL"),
    ],
)
def test_wrong_use(site: Site, captures: tuple[list[Path], str], arguments: tuple[str, ...], error: str) -> None:
    done = site.smtpwire("audit", captures[1], *arguments, "--no-config")
    assert error in done.stderr.decode()
    assert done.returncode in {2, 3}


def test_the_scheduler_goes_away_and_the_run_is_finished(
    site: Site, captures: tuple[list[Path], str], tmp_path: Path
) -> None:
    """Last, because it ends the scheduler of all."""
    paths, url = captures
    spool = f"{BUCKET}/spool-4"
    command = [sys.executable, "-m", "smtpwire", "audit", url, "--cluster", site.address, "--spool", spool]
    command += ["--format", "ndjson", "--no-config"]
    with subprocess.Popen(command, env=site.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        files = site.files()
        while not files.glob("captures/spool-4/map-*") and run.poll() is None:
            files.invalidate_cache()
            time.sleep(0.02)
        site.processes[0].kill()
        out, errors = run.communicate(timeout=120)
    assert run.returncode == 3, errors
    assert b"not audited" in errors
    assert json.loads(out.splitlines()[-1])["connections"] < len(local_report(site, paths))
    done = site.smtpwire("audit", url, "--spool", spool, "--resume", "--format", "ndjson", "--no-config")
    assert done.stdout.splitlines() == local_report(site, paths), done.stderr

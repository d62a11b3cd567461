"""Ctrl-C is raised once, when no segment is half processed, and is never lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

DEMO = Path(str(resources.files("smtpwire.samples") / "demo.pcap"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timers"),
]

BEGIN = """
import os, signal, threading, time
from smtpwire.analyzer import interrupt
from smtpwire.analyzer.interrupt import interruptible
interrupt.MAX_BLOCK_SECONDS, interrupt.TICK_SECONDS = 0.1, 0.02
signal.signal(signal.SIGINT, signal.default_int_handler)
seen = []
def progress(done, total): seen.append(done)
"""


def printed(code: str) -> list[str]:
    """Return the output of a separate process: signals reach only the main thread. A process that hangs is a
    failure."""
    run = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False, timeout=60)
    assert run.stderr == ""
    return run.stdout.split()


def test_it_waits_for_the_end_of_a_block() -> None:
    code = """
with interruptible(progress) as step:
    try:
        signal.raise_signal(signal.SIGINT)
        print("working")
        step(1, None)
    except KeyboardInterrupt:
        print("stopped")
print(*seen, "over")
"""
    assert printed(code) == ["working", "stopped", "over"]


def test_a_waiting_reader_is_interrupted() -> None:
    code = """
pipe = os.pipe()
with interruptible(progress):
    try:
        signal.raise_signal(signal.SIGTERM)
        os.read(pipe[0], 1)
    except KeyboardInterrupt:
        print("stopped")
"""
    assert printed(code) == ["stopped"]


def test_a_signal_that_does_not_end_the_read_is_noticed() -> None:
    """A signal that another thread receives does not end the read of the main thread. Neither does one that comes just
    before it."""
    code = """
pipe = os.pipe()
def other():
    time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
with interruptible(progress):
    try:
        threading.Thread(target=other, daemon=True).start()
        os.read(pipe[0], 1)
    except KeyboardInterrupt:
        print("stopped")
"""
    assert printed(code) == ["stopped"]


def test_the_report_after_it_may_take_long() -> None:
    code = """
with interruptible(progress) as step:
    try:
        signal.raise_signal(signal.SIGINT)
        step(1, None)
    except KeyboardInterrupt:
        time.sleep(0.2)
        print("reported")
"""
    assert printed(code) == ["reported"]


def test_a_second_one_is_raised_at_once() -> None:
    code = """
with interruptible(progress) as step:
    try:
        signal.raise_signal(signal.SIGINT)
        print("first")
        signal.raise_signal(signal.SIGINT)
        print("never")
    except KeyboardInterrupt:
        print("second")
"""
    assert printed(code) == ["first", "second"]


def test_handlers_and_timer_are_restored() -> None:
    code = """
numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
before = [signal.getsignal(number) for number in numbers]
with interruptible(progress) as step:
    step(1, None)
print(before == [signal.getsignal(number) for number in numbers], signal.getitimer(signal.ITIMER_REAL)[0], *seen)
"""
    assert printed(code) == ["True", "0.0", "1"]


def test_a_run_terminated_while_writing_leaves_no_file(tmp_path: Path) -> None:
    """Also if the reading is over or has not started."""
    code = f"""
import sys
from smtpwire.analyzer.cli import main
from smtpwire.analyzer.reports.json_ import JsonWriter
def finish(self, summary):
    for _ in range(2):
        signal.raise_signal(signal.SIGTERM)
JsonWriter.finish = finish
sys.argv = ["smtpwire", "audit", {str(DEMO)!r}, "-o", {str(tmp_path / "r.json")!r}]
sys.stderr = sys.stdout
main()
"""
    words = [sys.executable, "-c", BEGIN + code]
    run = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 130
    assert run.stdout.splitlines()[0] == "smtpwire: interrupted: the report is incomplete, and no file was written"
    assert list(tmp_path.iterdir()) == []


def test_a_run_interrupted_while_writing_writes_to_the_end(tmp_path: Path) -> None:
    code = f"""
import sys
from smtpwire.analyzer.cli import main
from smtpwire.analyzer.reports.json_ import JsonWriter
finish = JsonWriter.finish
def finish_(self, summary):
    signal.raise_signal(signal.SIGINT)
    finish(self, summary)
JsonWriter.finish = finish_
sys.argv = ["smtpwire", "audit", {str(DEMO)!r}, "-o", {str(tmp_path / "r.json")!r}, "--fail-on", "never"]
main()
"""
    assert printed(code) == []
    assert len(json.loads((tmp_path / "r.json").read_bytes())["connections"]) == 6

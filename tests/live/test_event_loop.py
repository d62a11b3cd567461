"""The end of a live run: frames that came before it are read, later ones are not, and what is left is named."""

from __future__ import annotations

import os
import signal
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from captures import START, Conversation
from rings import FakeRing, ring_block

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.frames.inputs import Source as CaptureFile
from smtpwire.analyzer.frames.inputs import read_capture
from smtpwire.analyzer.live import event_loop, interfaces
from smtpwire.analyzer.live import signals as signals_module
from smtpwire.analyzer.live.event_loop import EventLoop
from smtpwire.analyzer.live.interfaces import Interfaces
from smtpwire.analyzer.live.live_audit import LiveAudit
from smtpwire.analyzer.live.signals import Signals
from smtpwire.analyzer.live.sinks import Sink
from smtpwire.analyzer.live.wall_clock import Clock
from smtpwire.analyzer.segments.decoder import SegmentDecoder
from smtpwire.analyzer.timestamps import format_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from captures import Record

    from smtpwire.analyzer.model import Capture, Connection

SECOND = 1_000_000_000


class Heard(Sink):
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.captures: list[Capture] = []
        self.connections: list[Connection] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def capture(self, capture: Capture) -> None:
        self.captures.append(capture)

    def ended(self, connection: Connection) -> None:
        self.connections.append(connection)


class Machine:
    """A machine whose clock advances only while the loop waits, and when the test says so. Its run starts at START."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.sink = Heard()
        self.signals = Signals()
        self._timers: list[tuple[float, Callable[[], object]]] = []
        FakeRing.made.clear()
        monkeypatch.setattr(interfaces, "PacketRing", FakeRing)
        monkeypatch.setattr(event_loop, "monotonic", lambda: self.now)
        monkeypatch.setattr(event_loop, "time", SimpleNamespace(sleep=self.wait))
        monkeypatch.setattr(event_loop, "select", SimpleNamespace(select=self._select))
        self.source = Interfaces(["eth0"], frozenset({25}))
        (self.ring,) = FakeRing.made

    def wait(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)
        while self._timers and self._timers[0][0] <= self.now:
            self._timers.pop(0)[1]()

    def at(self, seconds: float, call: Callable[[], object]) -> None:
        """Call this when the run is so many seconds old."""
        self._timers.append((100.0 + seconds, call))

    def _select(self, read: object, write: object, errors: object, seconds: float) -> tuple[list[int], ...]:
        self.wait(seconds)
        return [], [], []

    def _wall(self) -> int:
        return START + int((self.now - 100.0) * SECOND)

    def stop(self) -> None:
        """Do what a handler of a signal does."""
        self.signals.hurry = self.signals.stop
        self.signals.stop, self.signals.stopped_ns = True, self.signals.stopped_ns or self._wall()

    def fill(self, *blocks: list[Record]) -> None:
        self.ring.waiting.extend(map(ring_block, blocks))

    def run(self, *, seconds: float | None = None, frames: int | None = None) -> Capture:
        audit = LiveAudit(Options())
        clock = Clock(self._wall, lambda: int(self.now * SECOND))
        EventLoop(self.source, audit, self.sink, self.signals, seconds=seconds, frames=frames, clock=clock).run()
        (capture,) = self.sink.captures
        return capture


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def talk(port: int, seconds: float) -> list[Record]:
    """A session of 11 frames in 10 ms. ``seconds``: its start, after START."""
    one = Conversation(port, start_ns=START + int(seconds * SECOND)).open().server(b"220 mx.example ESMTP\r\n")
    one.client(b"EHLO c.example\r\n").server(b"250 mx.example\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n")
    return one.close().records


def clients(machine: Machine) -> list[int]:
    return [one.client.port for one in machine.sink.connections]


def test_frames_that_wait_when_the_time_is_over_are_read(machine: Machine) -> None:
    machine.at(1.9, lambda: machine.fill(*(talk(4000 + number, number / 100) for number in range(50))))
    machine.ring.on_take = lambda: machine.wait(0.05)  # slower than the frames came
    capture = machine.run(seconds=2)
    assert capture.frames == 550
    assert len(clients(machine)) == 50
    assert capture.problems == []
    assert machine.sink.notices == ["reading the frames that came before the end; a second signal ends it at once"]
    assert machine.ring.stopped  # the kernel adds nothing while they are read


def test_frames_after_the_end_are_not_read(machine: Machine) -> None:
    machine.fill(talk(4000, 0), talk(4001, 1.995), talk(4002, 2.1))  # the second is half over at the end
    machine.ring.on_take = lambda: machine.wait(3)
    capture = machine.run(seconds=2)
    assert capture.frames == 11 + 6
    assert capture.last == format_time(START + 2 * SECOND, 9)
    assert clients(machine) == [4000, 4001]
    assert capture.problems == []


def test_a_signal_ends_it_at_the_moment_of_the_signal(machine: Machine) -> None:
    machine.fill(talk(4000, 0.2))
    machine.at(0.5, machine.stop)
    machine.at(0.6, lambda: machine.fill(talk(4001, 0.3) + talk(4002, 0.55)))  # the kernel delivers a block late
    capture = machine.run()
    assert clients(machine) == [4000, 4001]
    assert capture.frames == 22
    assert capture.problems == []


def test_what_is_left_after_five_seconds_is_counted_and_named(machine: Machine) -> None:
    machine.at(1.9, lambda: machine.fill(*(talk(4000 + number, 1) for number in range(20)), talk(5000, 3)))
    machine.ring.on_take = lambda: machine.wait(1)
    capture = machine.run(seconds=2)
    assert capture.frames % 11 == 0
    left = 20 - capture.frames // 11
    assert 13 <= left <= 15  # a block for each second
    said = f"eth0: {left * 11} frames that came before the end of the run were left in the buffer, not read"
    assert capture.problems == [said]
    assert machine.sink.notices[-1] == said
    assert len(clients(machine)) == 20 - left


def test_a_second_signal_ends_it_at_once(machine: Machine) -> None:
    machine.fill(talk(4000, 0))
    machine.ring.on_take = machine.stop  # the first block, and then the first one that was waiting
    machine.signals.stopped_ns = START + SECOND
    machine.fill(*(talk(4001 + number, 0) for number in range(9)))
    capture = machine.run()
    assert capture.frames == 22
    (problem,) = capture.problems
    assert problem == "eth0: 88 frames that came before the end of the run were left in the buffer, not read"
    assert machine.now < 100.5


def test_a_number_of_frames_is_an_end_too_and_nothing_is_left(machine: Machine) -> None:
    machine.fill(*(talk(4000 + number, 0) for number in range(9)))
    capture = machine.run(frames=30)
    assert capture.frames == 30
    assert capture.problems == machine.sink.notices == []


def test_frames_dropped_in_the_last_second_are_reported(machine: Machine) -> None:
    machine.fill(talk(4000, 0))
    machine.at(0.4, lambda: setattr(machine.ring, "dropped", 7))
    capture = machine.run(seconds=0.5)
    assert machine.sink.notices == ["eth0: the kernel dropped 7 frames, 7 since the start"]
    assert len(capture.problems) == 1


def test_the_written_file_has_the_frames_that_were_read(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "mail.pcapng"
    machine.source.record_to(str(path), None)
    machine.fill(talk(4000, 0), talk(4001, 1.995), talk(4002, 2.1))
    machine.ring.on_take = lambda: machine.wait(3)
    capture = machine.run(seconds=2)
    written = CaptureFile(path)
    for _ in read_capture(written, SegmentDecoder(lambda *_: None)):
        pass
    assert written.capture.frames == capture.frames == 17
    assert written.capture.last == capture.last
    assert written.capture.problems == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of POSIX")
def test_a_signal_ends_a_call_that_does_not_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals_module, "MAX_BLOCK_SECONDS", 0.05)
    read, write = os.pipe()
    with Signals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.read(read, 1)  # nothing ever comes
    os.close(read)
    os.close(write)


def test_a_loop_that_has_seen_the_signal_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals_module, "MAX_BLOCK_SECONDS", 0.05)
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert signals.stop
        signals.acknowledge()
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_third_signal_ends_everything(number: signal.Signals) -> None:
    with Signals() as signals:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert signals.hurry
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_a_recording_that_stops_is_reported_at_once(machine: Machine) -> None:
    recorder = SimpleNamespace(fault=None, add=lambda *_: None, close=lambda *_: None)
    machine.source._record = recorder  # type: ignore[assignment]
    machine.at(2, lambda: setattr(recorder, "fault", "cannot write (No space left on device): a.pcapng"))
    said: list[float] = []
    real = machine.sink.notice

    def notice(text: str) -> None:
        said.append(machine.now)
        real(text)

    machine.sink.notice = notice  # type: ignore[method-assign]
    machine.run(seconds=10)
    assert machine.sink.notices == ["cannot write (No space left on device): a.pcapng"]
    assert 102 <= said[0] <= 103.5


@pytest.mark.parametrize("by", [-86_400 * 365 * 60, -3600, 3600, 86_400 * 365 * 200])
def test_the_clock_may_be_set_to_any_time(machine: Machine, by: int) -> None:
    """Backwards before 1970 too: nothing fails, connections go on, and it is said."""
    offset = 0
    machine.fill(talk(40_000, 0)[:5])
    real = machine._wall

    def jump() -> None:
        nonlocal offset
        offset = by * SECOND

    machine._wall = lambda: real() + offset  # type: ignore[method-assign]
    machine.at(3, jump)
    machine.at(5, lambda: machine.fill(talk(40_000, 0)[5:]))
    machine.run(seconds=10)
    assert [text for text in machine.sink.notices if "the clock was set by" in text]

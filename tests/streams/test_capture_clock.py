"""The current time of a capture: a damaged time is not accepted, and the time of a block is the same for all
readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import START, Record, pcap, pcapng
from repeats import dialogue
from scripts import GREETING, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.model import Connection
from smtpwire.analyzer.streams.capture_clock import IdleClock

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * 1_000_000_000


def test_one_damaged_time_is_not_accepted() -> None:
    clock = IdleClock()
    for time_ns in (START, START, START + HOUR, START + 1, START + 2):
        clock.tick(time_ns)
    assert clock.now_ns == START + 2


def test_a_jump_that_another_frame_confirms_is_accepted() -> None:
    clock = IdleClock()
    for time_ns in (START, START, START + HOUR, START + HOUR + 1):
        clock.tick(time_ns)
    assert clock.now_ns == START + HOUR


def test_if_blocks_set_the_time_segments_do_not() -> None:
    for given in (False, True):
        tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
        tracker.streams.clock.ticks_given = given
        for one in segments(hello()):
            tracker.segment(*one)
        assert (tracker.streams.clock.now_ns == 0) is given


def test_a_sweep_is_expected_once_a_minute() -> None:
    clock = IdleClock()
    assert clock.sweep_expected
    clock.note_sweep()
    assert not clock.sweep_expected
    clock.tick(59_000_000_000)
    assert not clock.sweep_expected
    clock.tick(60_000_000_000)
    assert clock.sweep_expected
    clock.note_sweep()
    clock.adjust(-HOUR)  # and the next sweep, too
    assert not clock.sweep_expected
    clock.tick(clock.now_ns + 60_000_000_000)
    assert clock.sweep_expected


@pytest.mark.parametrize("make", [pcap, pcapng])
@pytest.mark.parametrize(("late", "idle"), [(0, False), (1, False), (2, True), (5, True)])
def test_the_last_two_frames_of_a_file_decide_what_is_idle(tmp_path: Path, make: object, late: int, idle: bool) -> None:
    talk = records(dialogue([("S", GREETING), *hello()[1:], *lines("C NOOP", "S 250 ok")]))
    more = [Record(talk[-1].data[:30], talk[-1].time_ns + 3 * HOUR) for _ in range(late)]  # not even IP
    (tmp_path / "a").write_bytes(make([*talk, *more]))  # type: ignore[operator]
    audit = Audit()
    (connection,) = (item for item in audit.run([tmp_path / "a"]) if isinstance(item, Connection))
    assert ("idle for more than 7200 s" in str(connection.notes)) == idle

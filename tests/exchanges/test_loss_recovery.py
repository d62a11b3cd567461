"""What is known after a loss: each event from each set of flags that can be reached."""

from __future__ import annotations

import pytest

from smtpwire.analyzer.exchanges.loss_recovery import Doubt, LossEvent, LossRecovery
from smtpwire.dissectors.lines.commands import parse_command


def after(*events: LossEvent) -> LossRecovery:
    """Return what is known after these events."""
    loss = LossRecovery()
    for event in events:
        loss.note(event)
    return loss


def reachable() -> dict[int, tuple[LossEvent, ...]]:
    """Return each set of flags that events can lead to, with the shortest way there."""
    ways: dict[int, tuple[LossEvent, ...]] = {LossRecovery().flags: ()}
    new = list(ways)
    while new:
        start = new.pop(0)
        for event in LossEvent:
            flags = after(*ways[start], event).flags
            if flags not in ways:
                ways[flags] = (*ways[start], event)
                new.append(flags)
    return ways


WAYS = reachable()
# For each event: what is certain after it, whatever was before.
SKIPS = {LossEvent.MIDSTREAM, LossEvent.CLIENT_GAP, LossEvent.END_LOST}
READS_ON = {LossEvent.RESUMED, LossEvent.RESUMED_LATE, LossEvent.MAIL_DATA}


def test_every_flag_can_be_set_and_cleared() -> None:
    for flag in Doubt:
        assert {bool(flags & flag) for flags in WAYS} == {True, False}, flag.name
    assert len(WAYS) > 20


@pytest.mark.parametrize("event", LossEvent, ids=lambda event: event.name)
def test_an_event_decides_whether_lines_are_skipped_or_leaves_it_as_it_was(event: LossEvent) -> None:
    for way in WAYS.values():
        expected = event in SKIPS or (event not in READS_ON and after(*way).skipping)
        assert after(*way, event).skipping is expected


@pytest.mark.parametrize("event", LossEvent, ids=lambda event: event.name)
def test_a_second_time_changes_nothing(event: LossEvent) -> None:
    for way in WAYS.values():
        assert after(*way, event, event).flags == after(*way, event).flags


def test_replies_are_lost_from_a_gap_of_the_server_until_one_is_paired() -> None:
    for way in WAYS.values():
        assert after(*way, LossEvent.SERVER_GAP).replies_lost
        assert not after(*way, LossEvent.PAIRED).replies_lost
        for event in set(LossEvent) - {LossEvent.SERVER_GAP, LossEvent.PAIRED}:
            assert after(*way, event).replies_lost is after(*way).replies_lost


def test_replies_may_be_old_after_a_late_start_until_all_are_answered() -> None:
    for way in WAYS.values():
        assert after(*way, LossEvent.RESUMED_LATE).replies_may_be_old
        assert not after(*way, LossEvent.ALL_ANSWERED).replies_may_be_old
        assert not after(*way, LossEvent.RESUMED).replies_may_be_old


def resumes(line: bytes, *events: LossEvent) -> bool:
    return after(*events).resumes(parse_command(line), line)


@pytest.mark.parametrize(
    ("line", "first", "replied", "middle"),
    [
        (b"MAIL FROM:<a@x>", True, True, True),  # no text starts like this
        (b"NOOP", True, True, False),
        (b"mail from:<a@x>", True, True, False),
        (b"MAIL a@x", False, True, False),  # malformed: certain only if a reply came before it
        (b"Subject: x", False, False, False),
        (b"", False, False, False),
    ],
)
def test_a_line_counts_if_it_is_certainly_a_command(line: bytes, first: bool, replied: bool, middle: bool) -> None:
    assert resumes(line, LossEvent.CLIENT_GAP) is first
    assert resumes(line, LossEvent.CLIENT_GAP, LossEvent.REPLY) is replied
    assert resumes(line, LossEvent.CLIENT_GAP, LossEvent.SKIPPED_LINE) is middle


def test_a_lone_dot_is_no_command_but_one_comes_next() -> None:
    loss = after(LossEvent.CLIENT_GAP, LossEvent.SKIPPED_LINE)
    assert not loss.resumes(parse_command(b"."), b".")
    assert loss.skipping
    assert loss.resumes(parse_command(b"NOOP"), b"NOOP")
    assert not loss.skipping


def test_the_replies_after_skipped_lines_may_be_to_them() -> None:
    loss = after(LossEvent.CLIENT_GAP)
    assert not loss.resumes(parse_command(b"Subject: x"), b"Subject: x")
    assert loss.resumes(parse_command(b"RSET"), b"RSET")
    assert loss.replies_may_be_old
    answered = after(LossEvent.CLIENT_GAP, LossEvent.REPLY)
    assert answered.resumes(parse_command(b"RSET"), b"RSET")
    assert not answered.replies_may_be_old

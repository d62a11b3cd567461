"""A part of the dialogue can be left out of a report, and numbers of turns still count all of them."""

from __future__ import annotations

import msgspec
from captures import CLIENT, SERVER, START, flow
from scripts import GREETING

from smtpwire.analyzer.exchanges.connection_report import TimeFormat, render
from smtpwire.analyzer.exchanges.exchange import Exchange, ReplySeen
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.limits import NOTES
from smtpwire.analyzer.lines.command_line import read_line
from smtpwire.analyzer.model import CommandTurn, ReplyTurn
from smtpwire.dissectors.lines.replies import parse_reply

SECOND = 1_000_000_000


def long_record(pairs: int) -> ConnectionRecord:
    """Return a greeting and ``pairs`` of NOOP with its reply, each turn half a second after the one before."""
    key = flow(CLIENT, SERVER, 43210, 25)
    record = ConnectionRecord(1, key, profile="rfc5321", opening="handshake", started_ns=START)
    turns = record.dialogue
    turns.append(ReplySeen(parse_reply(GREETING.encode()), 0, 1, START, 0))
    for _ in range(pairs):
        place = len(turns)
        line = read_line(b"NOOP", b"\r\n", 6)
        turns.append(Exchange(line.act, 0, place + 1, START + place * SECOND // 2, line, place))
        place = len(turns)
        turns.append(ReplySeen(parse_reply(b"250 ok\r\n"), 0, place + 1, START + place * SECOND // 2, place, place - 1))
    return record


def test_a_report_without_the_middle_is_the_whole_one_without_the_middle() -> None:
    record = long_record(10)
    whole = render(record, TimeFormat()).dialogue
    assert len(whole) == 21
    for first, end in ((0, 0), (0, 21), (3, 17), (2, 3), (20, 21)):
        part = render(record, TimeFormat(), skip=slice(first, end)).dialogue
        assert part == whole[:first] + whole[end:]


def test_a_reply_after_the_part_left_out_still_names_the_turn_that_it_answers() -> None:
    (*_, command, reply) = render(long_record(10), TimeFormat(), skip=slice(1, 19)).dialogue
    assert isinstance(command, CommandTurn)
    assert isinstance(reply, ReplyTurn)
    assert (command.frame, reply.answers) == (20, 19)


def test_rendering_changes_no_record() -> None:
    record = long_record(3)
    before = msgspec.json.encode(render(record, TimeFormat()))
    render(record, TimeFormat(), skip=slice(0, len(record.dialogue)))
    assert msgspec.json.encode(render(record, TimeFormat())) == before


def test_the_times_of_turns_do_not_depend_on_the_turns_before_them() -> None:
    record = long_record(6)
    whole = [turn.time[17:] for turn in render(record, TimeFormat()).dialogue]
    assert whole[:4] == ["05.123456Z", "05.623456Z", "06.123456Z", "06.623456Z"]
    for place in range(len(whole)):
        rest = render(record, TimeFormat(), skip=slice(0, place)).dialogue
        assert [turn.time[17:] for turn in rest] == whole[place:]


def test_remarks_are_bounded_and_the_last_one_says_so() -> None:
    record = long_record(1)
    for number in range(3 * NOTES):
        record.note(f"remark {number}")
    assert len(record.notes) == NOTES + 1
    assert record.notes[NOTES - 1] == f"remark {NOTES - 1}"
    assert "further" in record.notes[NOTES]

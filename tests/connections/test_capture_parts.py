"""A frame number and its capture, also if a connection continues from one capture to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import Record, pcap
from scripts import envelope, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit, audit
from smtpwire.analyzer.model import Connection
from smtpwire.analyzer.reports.wording import part_of
from smtpwire.analyzer.timestamps import parse_time

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Script

WRONG: Script = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 MAIL first", "C QUIT", "S 221 bye", "FS ", "FC ")]
OPEN: Script = WRONG[:5]
SECOND = 1_000_000_000
RIGHT: Script = [*hello(), *envelope(), *lines("C QUIT", "S 221 bye", "FS ", "FC ")]


def frames(script: Script, port: int = 43210, *, later: int = 0) -> list[Record]:
    return [
        record._replace(time_ns=record.time_ns + later * SECOND)
        for record in records(segments(script, client_port=port))
    ]


def audited(folder: Path, *captures: list[Record]) -> list[Connection]:
    paths = []
    for number, found in enumerate(captures):
        paths.append(folder / f"{number}.pcap")
        paths[-1].write_bytes(pcap(found))
    return list(audit(*paths))


def numbers(connection: Connection) -> list[int]:
    return [part.capture for part in connection.captures]


def test_a_connection_names_its_capture(tmp_path: Path) -> None:
    first, second = audited(tmp_path, frames(WRONG, 1111), frames(RIGHT, 2222, later=60))
    assert (numbers(first), numbers(second)) == ([0], [1])
    assert [part.path for part in second.captures] == [str(tmp_path / "1.pcap")]
    assert second.captures[0].last == second.ended


@pytest.mark.parametrize("at", range(1, 14))
def test_each_frame_is_in_the_capture_that_holds_it(tmp_path: Path, at: int) -> None:
    whole = frames(WRONG)
    (connection,) = audited(tmp_path, whole[:at], whole[at:])
    (alone,) = audited(tmp_path, whole)
    for item, same in zip(
        [*connection.dialogue, *connection.findings], [*alone.dialogue, *alone.findings], strict=True
    ):
        part = part_of(connection.captures, item.time)
        assert part is not None
        assert item.frame + (at if part.path.endswith("1.pcap") else 0) == same.frame


def test_a_syn_without_an_answer_starts_no_later_connection(tmp_path: Path) -> None:
    sent = [one._replace(time_ns=one.time_ns + 600 * SECOND) for one in segments(RIGHT, client_port=1111)]
    other = [one._replace(seq=one.seq + 7, ack=one.ack and one.ack + 7) for one in sent]  # another attempt
    (connection,) = audited(tmp_path, frames(WRONG, 1111)[:1], records(other))
    assert (connection.opening, numbers(connection)) == ("handshake", [1])


def test_an_open_and_silent_connection_is_in_the_capture_where_it_sent_data(tmp_path: Path) -> None:
    silent, other = frames(WRONG, 1111)[:9], frames(RIGHT, 2222, later=60)
    found = {one.client.port: one for one in audited(tmp_path, silent, other, frames(RIGHT, 3333, later=90))}
    assert {port: numbers(one) for port, one in found.items()} == {1111: [0], 2222: [1], 3333: [2]}


def test_a_connection_skips_a_capture_in_which_it_was_silent(tmp_path: Path) -> None:
    whole = frames(WRONG, 1111)
    rest = [record._replace(time_ns=record.time_ns + 90 * SECOND) for record in whole[9:]]
    found = audited(tmp_path, whole[:9], frames(RIGHT, 2222, later=60), rest)
    assert {one.client.port: numbers(one) for one in found} == {2222: [1], 1111: [0, 2]}


def test_reused_ports_are_another_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = frames(WRONG)[:9]
    monkeypatch.setattr("scripts._FIRST", {"C": 70_000, "S": 90_000})
    first, second = audited(tmp_path, before, frames(RIGHT, later=60))
    assert (numbers(first), numbers(second)) == ([0], [1])


def test_a_capture_that_cannot_be_read_has_a_number_too(tmp_path: Path) -> None:
    good = tmp_path / "good.pcap"
    good.write_bytes(pcap(frames(WRONG)))
    run = Audit()
    (connection,) = (item for item in run.run([tmp_path / "missing.pcap", good]) if isinstance(item, Connection))
    (part,) = connection.captures
    assert run.captures[part.capture].path == part.path == str(good)


@pytest.mark.parametrize("skew_ms", [0, 40, -40])
@pytest.mark.parametrize("lost", [7, 9, 11])
def test_a_byte_that_only_the_second_capture_has_names_that(tmp_path: Path, lost: int, skew_ms: int) -> None:
    """Both captures recorded the connection; the second one has more frames before it."""
    whole = frames(OPEN)
    first = [*whole[:lost], *whole[lost + 1 :]]
    second = [record._replace(time_ns=record.time_ns + skew_ms * 1_000_000) for record in whole]
    before = [record._replace(time_ns=record.time_ns + 1) for record in frames(RIGHT, 1111)]
    connections = audited(tmp_path, first, [*before, *second])
    (connection,) = [one for one in connections if one.client.port == 43210]
    (alone,) = audited(tmp_path, whole)
    assert [turn.offset for turn in connection.dialogue] == [turn.offset for turn in alone.dialogue]
    for item, same in zip(
        [*connection.dialogue, *connection.findings], [*alone.dialogue, *alone.findings], strict=True
    ):
        part = part_of(connection.captures, item.time)
        assert part is not None
        where = same.frame - 1  # in the whole capture
        if where == lost:
            assert (part.capture, item.frame) == (1, same.frame + len(before))
            assert part.path == str(tmp_path / "1.pcap")
        else:
            assert (part.capture, item.frame) == (0, same.frame - (where > lost))


def test_each_capture_of_one_direction(tmp_path: Path) -> None:
    whole = frames(OPEN)
    client = [record for record in whole if record.data[26:30] == whole[0].data[26:30]]
    server = [record for record in whole if record.data[26:30] != whole[0].data[26:30]]
    (connection,) = audited(tmp_path, client, server)
    for item in [*connection.dialogue, *connection.findings]:
        part = part_of(connection.captures, item.time)
        assert part is not None
        source = (client, server)[part.capture]
        assert source[item.frame - 1].time_ns // 1000 == parse_time(item.time) // 1000

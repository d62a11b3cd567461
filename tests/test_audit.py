"""Captures in, connections out: several files, connections across files, and unreadable files among readable ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import Record, pcap, pcapng
from scripts import at_random, envelope, hello, lines, play, records, segments

from smtpwire.analyzer.audit import Audit, Options, audit
from smtpwire.analyzer.errors import InputError, UsageError
from smtpwire.analyzer.limits import Limits
from smtpwire.analyzer.model import Capture, Connection
from smtpwire.analyzer.wireshark.annotate import find_comments

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Script

WRONG: Script = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 MAIL first", "C QUIT", "S 221 bye", "FS ", "FC ")]
RIGHT: Script = [*hello(), *envelope(), *lines("C QUIT", "S 221 bye", "FS ", "FC ")]


def frames(script: Script, client_port: int = 43210) -> list[Record]:
    return records(segments(script, client_port=client_port))


def written(folder: Path, name: str, found: list[Record]) -> Path:
    path = folder / name
    path.write_bytes(pcapng(found) if name.endswith("ng") else pcap(found))
    return path


def rules(connection: Connection) -> list[str]:
    return [finding.rule for finding in connection.findings if finding.rule.startswith("SEQ")]


@pytest.mark.parametrize("name", ["a.pcap", "a.pcapng"])
def test_one_file(tmp_path: Path, name: str) -> None:
    (connection,) = audit(written(tmp_path, name, frames(WRONG)))
    assert rules(connection) == ["SEQ103"]
    assert (connection.client.port, connection.server.port) == (43210, 25)
    assert (connection.opening, connection.closing) == ("handshake", "fin")
    assert connection.findings[0].frame == 10


def test_a_file_and_its_segments_give_one_report(tmp_path: Path) -> None:
    path = written(tmp_path, "a.pcap", records(segments(WRONG, cut=at_random(1))))
    (connection,) = audit(path)
    assert [part.path for part in connection.captures] == [str(path)]
    connection.captures = []
    assert connection == play(WRONG, cut=at_random(1))


def test_connections_are_numbered_and_come_as_they_end(tmp_path: Path) -> None:
    first, second = frames(WRONG, 1111), frames(RIGHT, 2222)
    path = written(tmp_path, "a.pcap", [*first[:-1], *second, first[-1]])
    found = list(audit(path))
    assert [(one.id, one.client.port) for one in found] == [(2, 2222), (1, 1111)]


@pytest.mark.parametrize("at", [1, 4, 6, 9, 12])
def test_a_connection_continues_in_the_next_file(tmp_path: Path, at: int) -> None:
    whole = frames(WRONG)
    paths = [written(tmp_path, "1.pcap", whole[:at]), written(tmp_path, "2.pcap", whole[at:])]
    (connection,) = audit(*paths)
    assert rules(connection) == ["SEQ103"]
    assert connection.gaps == []
    assert connection.findings[0].frame == (10 if at >= 10 else 10 - at)  # frames are counted for each file


def test_all_files_of_a_directory_are_read(tmp_path: Path) -> None:
    written(tmp_path, "1.pcap", frames(WRONG, 1111))
    written(tmp_path, "2.pcapng", frames(RIGHT, 2222))
    assert sorted(one.client.port for one in audit(tmp_path)) == [1111, 2222]


def test_an_unreadable_input_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"this is a text")
    good = written(tmp_path, "good.pcap", frames(WRONG))
    run = Audit()
    items = list(run.run([bad, tmp_path / "missing.pcap", good]))
    assert [type(item) for item in items].count(Connection) == 1
    assert len(run.unreadable) == 2
    assert [bool(capture.problems) for capture in run.captures] == [True, True, False]
    assert run.summary.connections == 1


def test_the_audit_function_raises_for_an_unreadable_input(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"this is a text")
    with pytest.raises(InputError, match=r"bad\.pcap"):
        list(audit(bad))


@pytest.mark.parametrize("name", ["a: b.pcap", "a: b: c", "no such file: x"])
def test_an_error_names_the_whole_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        list(audit(tmp_path / name))
    assert (caught.value.what, caught.value.where) == ("no such file", str(tmp_path / name))
    with pytest.raises(InputError) as caught:
        find_comments(str(tmp_path / name), Audit(Options()))
    assert (caught.value.what, caught.value.where) == ("no such file", str(tmp_path / name))


def test_a_file_that_is_cut_short_is_read_up_to_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap(frames(WRONG))[:-20])
    run = Audit()
    (connection,) = [item for item in run.run([path]) if isinstance(item, Connection)]
    assert rules(connection) == ["SEQ103"]
    assert run.captures[0].problems
    assert run.unreadable == []


def test_the_summary_counts_what_was_yielded(tmp_path: Path) -> None:
    run = Audit(Options(select=("SEQ",)))
    path = written(tmp_path, "a.pcap", [*frames(WRONG, 1111), *frames(WRONG, 2222), *frames(RIGHT, 3333)])
    items = list(run.run([path]))
    assert [type(item) for item in items].count(Capture) == 1
    assert run.summary.connections == 3
    assert run.summary.rules == {"SEQ103": 2}
    assert run.summary.findings == {"error": 2, "warning": 0, "info": 0}


def test_rules_can_be_selected_and_ignored(tmp_path: Path) -> None:
    path = written(tmp_path, "a.pcap", frames(WRONG))
    assert [f.rule for one in audit(path, select=["rcpt-before-mail"]) for f in one.findings] == ["SEQ103"]
    assert [f.rule for one in audit(path, select=["SEQ"], ignore=["SEQ103"]) for f in one.findings] == []
    with pytest.raises(UsageError, match="SEQ999"):
        list(audit(path, select=["SEQ999"]))


def test_ports_decide_which_connections_need_no_detection(tmp_path: Path) -> None:
    script = lines("S 220 hi", "C NOOP", "S 250 ok")
    path = written(tmp_path, "a.pcap", records(segments(script, port=9925)))
    assert list(audit(path)) == []
    assert len(list(audit(path, ports=frozenset({9925})))) == 1


def test_an_interrupted_run_reports_what_was_read(tmp_path: Path) -> None:
    first = frames(RIGHT, 1111)
    path = written(tmp_path, "a.pcap", [*first, *frames(WRONG, 2222)[:-2]])
    run = Audit()
    items = run.run([path])
    next(items)
    stopped = list(run.stop())
    assert [item.path for item in stopped if isinstance(item, Capture)] == [str(path)]
    assert run.captures[0].frames > 0


def test_a_flood_of_connections_is_limited_and_all_are_reported(tmp_path: Path) -> None:
    found = [frame for port in range(1000, 1060) for frame in frames(hello(), port)]
    path = written(tmp_path, "a.pcap", found)
    run = Audit(Options(limits=Limits(connections=10)))
    reported = [item for item in run.run([path]) if isinstance(item, Connection)]
    assert len(reported) == 60
    assert all(one.dialogue for one in reported)
    assert run.tracker.streams.housekeeping.evicted >= 50
    assert run.tracker.open == 0


@pytest.mark.parametrize(("magic", "decimals"), [(0xA1B2C3D4, 6), (0xA1B23C4D, 9)])
def test_times_are_as_exact_as_those_of_the_capture(tmp_path: Path, magic: int, decimals: int) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(pcap(frames(lines("S 220 mx ESMTP", "C QUIT", "S 221 bye")), magic=magic))
    (connection,) = (item for item in Audit().run([path]) if isinstance(item, Connection))
    shown = [connection.started, *(turn.time for turn in connection.dialogue)]
    assert {len(time.partition(".")[2]) - 1 for time in shown} == {decimals}

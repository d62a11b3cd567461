"""A SYN with the sequence number of a known connection begins another one if the first is over, or long silent, or of
another time. Two captures of the same connection give one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import FIN, RST, pcap
from scripts import WHOLE, Segment, hello, lines, records, segments

from smtpwire.analyzer.audit import audit

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Script

    from smtpwire.analyzer.model import Connection

MS = 1_000_000
SECOND = 1000 * MS
OPEN: Script = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no")]
FAULTS = ["SEQ103"]
REPLACED = ["a new connection started with the same addresses and ports"]


def shifted(sent: list[Segment], by_ns: int) -> list[Segment]:
    return [one._replace(time_ns=one.time_ns + by_ns) for one in sent]


def after(sent: list[Segment], pause_ns: int) -> list[Segment]:
    """The same segments again; the first comes ``pause_ns`` after the last one."""
    return shifted(sent, sent[-1].time_ns - sent[0].time_ns + pause_ns)


def audited(folder: Path, *captures: list[Segment]) -> list[Connection]:
    paths = []
    for number, sent in enumerate(captures):
        paths.append(folder / f"{number}.pcap")
        paths[-1].write_bytes(pcap(records(sent)))
    return list(audit(*paths))


def reset(sent: list[Segment]) -> list[Segment]:
    """The client ends the connection with a RST."""
    first = next(at for at, one in enumerate(sent) if one.flags & FIN)
    return [*sent[:first], sent[first]._replace(flags=RST | 16)]


@pytest.mark.parametrize("end", [list, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(("pause", "connections"), [(SECOND, 2), (999 * MS, 1)])
def test_after_the_end_a_second_must_pass(end: object, pause: int, connections: int, tmp_path: Path) -> None:
    sent = end(segments(WHOLE))  # type: ignore[operator]
    found = audited(tmp_path, [*sent, *after(sent, pause)])
    assert len(found) == connections
    assert len({len(one.dialogue) for one in found}) == 1


@pytest.mark.parametrize(("pause", "connections"), [(240 * SECOND, 2), (239 * SECOND, 1)])
def test_an_open_connection_must_be_silent_for_twice_the_segment_lifetime(
    pause: int, connections: int, tmp_path: Path
) -> None:
    sent = segments(OPEN)
    found = audited(tmp_path, [*sent, *after(sent, pause)])
    assert [one.closing for one in found] == ["open"] * connections
    assert [[f.rule for f in one.findings if f.severity == "error"] for one in found] == [FAULTS] * connections
    assert found[0].notes == (REPLACED if connections == 2 else [])


def test_a_repeated_syn_of_an_open_connection_is_a_copy(tmp_path: Path) -> None:
    sent = segments(OPEN)
    (one,) = audited(tmp_path, [*sent[:6], sent[0]._replace(time_ns=sent[5].time_ns + MS), *sent[6:]])
    assert one.notes == []
    assert [turn.time for turn in one.dialogue] == [turn.time for turn in audited(tmp_path, sent)[0].dialogue]


@pytest.mark.parametrize("script", [WHOLE, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("later", [3 * SECOND, -60 * SECOND], ids=["later", "earlier"])
def test_another_capture_of_another_time_has_another_connection(script: Script, later: int, tmp_path: Path) -> None:
    sent = segments(script)
    first, second = audited(tmp_path, sent, shifted(sent, later))
    assert [part.capture for part in first.captures] == [0]
    assert [part.capture for part in second.captures] == [1]
    assert len(first.dialogue) == len(second.dialogue)
    assert [f.rule for f in first.findings] == [f.rule for f in second.findings]


@pytest.mark.parametrize("script", [WHOLE, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("skew", [0, MS // 2, 900 * MS, -900 * MS])
def test_a_connection_that_two_captures_recorded_is_one(script: Script, skew: int, tmp_path: Path) -> None:
    sent = segments(script)
    (one,) = audited(tmp_path, sent, shifted(sent, skew))
    (alone,) = audited(tmp_path, shifted(sent, min(skew, 0)))  # the one that began first counts
    assert one.dialogue == alone.dialogue
    assert one.findings == alone.findings
    assert one.notes == alone.notes


def test_the_second_capture_may_continue_longer(tmp_path: Path) -> None:
    sent = segments([*OPEN, *lines("C QUIT", "S 221 bye", "FC", "FS")])
    more = next(at for at, one in enumerate(sent) if one.payload.startswith(b"QUIT"))
    (one,) = audited(tmp_path, sent[:more], sent)
    assert [part.capture for part in one.captures] == [0, 1]
    assert one.closing == "fin"
    (alone,) = audited(tmp_path, sent)
    assert [turn.time for turn in one.dialogue] == [turn.time for turn in alone.dialogue]
    assert [f.rule for f in one.findings] == [f.rule for f in alone.findings]


def test_a_long_message_that_two_captures_recorded_has_no_late_bytes(tmp_path: Path) -> None:
    """What the second capture repeats is further back than what is remembered; it is no retransmission."""
    message = [*hello(), *lines("C MAIL FROM:<a@x.example>", "S 250 ok", "C RCPT TO:<b@y.example>", "S 250 ok")]
    sent = segments([*message, *lines("C DATA", "S 354 go"), ("C", "a line of text\r\n" * 5000)])
    (one,) = audited(tmp_path, sent, shifted(sent, -MS // 4))
    assert one.notes == []
    assert "TCP905" not in {f.rule for f in one.findings}


def test_the_second_capture_fills_what_the_first_one_missed(tmp_path: Path) -> None:
    sent = segments(OPEN)
    lost = next(at for at, one in enumerate(sent) if one.payload.startswith(b"RCPT"))
    (one,) = audited(tmp_path, [*sent[:lost], *sent[lost + 1 :]], sent)
    (alone,) = audited(tmp_path, sent)
    assert one.gaps == []
    assert len(one.dialogue) == len(alone.dialogue)

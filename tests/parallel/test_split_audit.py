"""Two processes that read a half of one capture each write what one process writes."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import START, Record, ethernet, ipv4, ipv4_fragments, pcap, pcapng, tcp
from hypothesis import given, settings
from hypothesis import strategies as st
from repeats import MINUTE, dialogue
from scripts import END, MAIL, WHOLE, WRONG, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.frames import inputs as capture_module
from smtpwire.analyzer.limits import Limits
from smtpwire.analyzer.parallel import planning as worth
from smtpwire.analyzer.parallel import processes
from smtpwire.analyzer.parallel.split_audit import HalvedAudit
from smtpwire.analyzer.parallel.split_workers import REUSED, FirstWorker
from smtpwire.analyzer.reports.json_ import NdjsonWriter
from smtpwire.analyzer.reports.output import Output
from smtpwire.analyzer.run import FailOn, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scripts import Script, Segment

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")]

OTHER = [*lines("C GET / HTTP/1.1", "S HTTP/1.1 200 OK", "FC", "FS")]
SCRIPTS: list[Script] = [
    *[WHOLE] * 3,
    WRONG,
    [*hello(), *MAIL, ("RC", "")],
    [*hello(), *MAIL, ("RS", "")],
    [*hello(), *MAIL, ("FC", "")],
    WHOLE[:-4],
    [("FC", ""), ("FS", "")],
    OTHER,
    lines("S 220 ftp", "C USER x", "S 331 password", "C PASS x", "S 230 ok", "C LIST", "S 150 here", "FC", "FS"),
]
SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap*"))
SHARED = sorted((Path(__file__).parents[3] / "shared" / "captures").glob("*/*.pcap*"))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small blocks, because a capture is cut between blocks."""
    monkeypatch.setattr(capture_module, "BLOCK", 400)


def written(audit: Audit | HalvedAudit, path: Path) -> list[bytes]:
    buffer = BytesIO()
    output = Output(buffer)
    run(audit, [str(path)], NdjsonWriter(output), output, FailOn.NEVER)
    return buffer.getvalue().splitlines()


def halved(path: Path, at: float, options: Options | None = None) -> tuple[list[dict[str, object]], str]:
    """Return the report, which must be that of one process, and why one process made it, if it did."""
    options = options or Options()
    audit = HalvedAudit(options, max(1, int(path.stat().st_size * at)))
    one = Audit(options)
    alone, both = written(one, path), written(audit, path)
    assert both[:-1] == alone[:-1]
    assert json.loads(both[-1]) == json.loads(alone[-1])
    assert audit.decoder_counts == one.decoder_counts
    assert [vars_of(one) for one in audit.captures] == [vars_of(other) for other in one.captures]
    return [json.loads(line) for line in both], audit.why_alone


def vars_of(capture: object) -> dict[str, object]:
    return {name: getattr(capture, name) for name in capture.__struct_fields__}  # type: ignore[attr-defined]


def connections(report: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    return [one for one in report if one["type"] == "connection"]


def saved(path: Path, sent: Sequence[Segment]) -> Path:
    path.write_bytes(pcap(records(sent)))
    return path


def one_by_one(talks: Iterable[Sequence[Segment]]) -> list[Segment]:
    return [one for talk in talks for one in talk]


def side_by_side(*talks: Sequence[Segment]) -> list[Segment]:
    """Segment by segment of each."""
    found = [talk[at] for at in range(max(map(len, talks))) for talk in talks if at < len(talk)]
    return [one._replace(time_ns=START + at * 1_000_000) for at, one in enumerate(found)]


def test_all_samples() -> None:
    for number, path in enumerate(SAMPLES):
        halved(path, (number % 9 + 1) / 10)


@pytest.mark.skipif(not SHARED, reason="the captures of others are not here")
def test_captures_of_others() -> None:
    for number, path in enumerate(SHARED):
        if path.stat().st_size < 1_000_000 and path.read_bytes()[:2] != b"\x1f\x8b":
            halved(path, (number % 9 + 1) / 10)


@pytest.mark.parametrize("at", [0.01, 0.2, 0.4, 0.5, 0.7, 0.9, 1.0])
def test_connections_across_the_cut_are_reported_once(tmp_path: Path, at: float) -> None:
    talks = [dialogue(script, number) for number, script in enumerate([*[WHOLE] * 6, WRONG, *[WHOLE[:-4]] * 3])]
    report, alone = halved(saved(tmp_path / "a.pcap", side_by_side(*talks)), at)
    assert not alone
    assert len(connections(report)) == 10
    assert [one["rule"] for one in report if one["type"] == "finding"] == ["SEQ103"]


def test_ports_that_are_reused_after_the_cut(tmp_path: Path) -> None:
    talks = [[one._replace(seq=one.seq + 77 * n) for one in dialogue(WHOLE)] for n in range(8)]
    for talk in talks:
        talk[:] = [one._replace(ack=one.ack + 77 * talks.index(talk) if one.flags & 16 else 0) for one in talk]
    sent = [one._replace(time_ns=START + at * 10**9) for at, one in enumerate(one for talk in talks for one in talk)]
    for at in (0.3, 0.45, 0.5, 0.55, 0.6):
        report, alone = halved(saved(tmp_path / "a.pcap", sent), at)
        assert not alone
        assert len(connections(report)) == 8


def test_connections_captured_midstream(tmp_path: Path) -> None:
    sent = [one for number in range(6) for one in dialogue(WHOLE, number)[3 if number == 5 else 0 :]]
    report, alone = halved(saved(tmp_path / "a.pcap", sent), 0.5)
    assert not alone
    assert [one["opening"] for one in connections(report)] == [*["handshake"] * 5, "midstream"]


def test_late_copies_are_not_new_connections(tmp_path: Path) -> None:
    talks = [dialogue(WHOLE, number) for number in range(6)]
    late = [one._replace(time_ns=talks[-1][-1].time_ns) for one in talks[0] if one.payload]
    report, alone = halved(saved(tmp_path / "a.pcap", [*one_by_one(talks), *late]), 0.5)
    assert alone == REUSED  # they could be those of another connection whose start was not captured
    assert len(connections(report)) == 6


def test_a_syn_that_waits_at_the_cut(tmp_path: Path) -> None:
    talk = dialogue(WHOLE, 1)
    sent = [*dialogue(WHOLE), talk[0], *dialogue(WHOLE, 2), *talk[1:], *dialogue(WHOLE, 3)]
    report, alone = halved(saved(tmp_path / "a.pcap", sent), 0.3)
    assert not alone
    assert [one["opening"] for one in connections(report)] == ["handshake"] * 4


def test_idle_connections_are_given_up_in_order(tmp_path: Path) -> None:
    rest = [dialogue(WHOLE, number) for number in range(20)]  # ten minutes each
    sent = [*side_by_side(*(dialogue(WHOLE[:-4], number) for number in range(40, 45))), *one_by_one(rest)]
    options = Options(limits=Limits(idle_seconds=3600))
    for at in (0.05, 0.1, 0.3, 0.6):
        report, alone = halved(saved(tmp_path / "a.pcap", sent), at, options)
        assert not alone
        assert sum("idle for more than 3600 s" in str(one["notes"]) for one in connections(report)) == 5


def test_cases_that_only_one_process_can_decide(tmp_path: Path) -> None:
    talks = [dialogue([*hello("STARTTLS" if n < 8 else "PIPELINING"), *END], n) for n in range(11)]
    report, alone = halved(saved(tmp_path / "a.pcap", one_by_one(talks)), 0.5)
    assert alone == "servers offered STARTTLS to some and not to others"
    assert any(one.get("rule") == "SEC633" for one in report)
    talks = [dialogue(WHOLE[:-4], number) for number in range(30)]
    path = saved(tmp_path / "a.pcap", one_by_one(talks))
    _, alone = halved(path, 0.5, Options(limits=Limits(connections=10)))
    assert alone == "a limit for all connections was reached"


def test_a_connection_in_the_place_of_one_that_went_on_across_the_cut(tmp_path: Path) -> None:
    first = dialogue(WHOLE[:-4], 1)
    again = [one._replace(seq=one.seq + 9, ack=one.ack + 9 if one.flags & 16 else 0) for one in dialogue(WHOLE, 1)]
    sent = [*dialogue(WHOLE), *first[:9], *dialogue(WHOLE, 2), *first[9:], *again, *dialogue(WHOLE, 3)]
    report, alone = halved(saved(tmp_path / "a.pcap", sent), 0.45)
    assert alone == "addresses and ports had a new connection while the one before went on"
    assert len(connections(report)) == 5


@pytest.mark.parametrize("left", range(1, 6))
def test_a_connection_in_the_place_of_one_whose_end_only_the_first_process_knows(tmp_path: Path, left: int) -> None:
    """In the second half it never ends, because the client's FIN is before the cut."""
    first = dialogue([*hello(), *lines("C QUIT"), ("FC", ""), ("S", "221 bye\r\n"), ("FS", "")], 1)
    again = [
        one._replace(seq=one.seq + 9, ack=one.ack + 9 if one.flags & 16 else 0, time_ns=one.time_ns + MINUTE)
        for one in dialogue(WHOLE, 1)
    ]
    before, after = one_by_one(dialogue(WHOLE, n) for n in (5, 6)), one_by_one(dialogue(WHOLE, n) for n in (7, 8))
    sent = [*before, *first[:-left], *after, *first[-left:], *dialogue(WHOLE, 2), *again, *dialogue(WHOLE, 3)]
    report, alone = halved(saved(tmp_path / "a.pcap", sent), 0.35)
    assert not alone
    assert len(connections(report)) == 8


def test_a_datagram_split_by_the_cut(tmp_path: Path) -> None:
    sent = records([one for number in range(6) for one in dialogue(WHOLE, number)])
    middle = sent[len(sent) // 2].time_ns
    parts = [Record(ethernet(part), middle) for part in ipv4_fragments(tcp(1, 2, b"x" * 900), 400)]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([*sent[: len(sent) // 2], parts[0], *sent[len(sent) // 2 :], *parts[1:]]))
    _, alone = halved(path, 0.6)
    assert alone == "a datagram was in fragments where the capture was cut"
    path.write_bytes(pcap([*sent, parts[0]]))
    report, alone = halved(path, 0.5)
    assert not alone
    assert "1 fragmented datagram never became whole" in str(report)


def test_frames_that_cannot_be_decoded_are_counted_together(tmp_path: Path) -> None:
    sent = records([one for number in range(6) for one in dialogue(WHOLE, number)])
    cut = Record(ethernet(ipv4(tcp(1, 2, b"x")))[:40], sent[0].time_ns)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([*sent[:5], cut, *sent[5:], cut, cut]))
    report, alone = halved(path, 0.5)
    assert not alone
    assert "3 frames could not be decoded, their headers are cut or damaged (the first is frame 6)" in str(report)
    path.write_bytes(path.read_bytes()[:-3])
    report, _ = halved(path, 0.5)
    assert "the last record is cut short" in str(report)


@pytest.mark.parametrize("room", [0, 2000])
def test_without_a_file_the_second_one_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(processes, "_SPOOL", room)
    path = saved(tmp_path / "a.pcap", [one for number in range(40) for one in dialogue(WHOLE, number)])
    assert not halved(path, 0.5)[1]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert not halved(path, 0.5)[1]


def test_the_death_of_a_process_does_not_change_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.pcap", [one for number in range(12) for one in dialogue(WHOLE, number)])

    def dies(_: FirstWorker) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(FirstWorker, "_send_cut", dies)
    report, alone = halved(path, 0.5)
    assert "has died" in alone
    assert len(connections(report)) == 12


class _Interrupts:
    """Interrupts the run after a number of bytes."""

    def __init__(self, audit: HalvedAudit, at: int) -> None:
        self._audit = audit
        self._at = at

    def __call__(self, read: int, _: int | None) -> None:
        if read >= self._at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [0.2, 0.4, 0.6, 0.8])
def test_after_an_interrupt_they_report_what_was_read(tmp_path: Path, at: float) -> None:
    path = saved(tmp_path / "a.pcap", side_by_side(*(dialogue(WHOLE, number) for number in range(20))))
    size = path.stat().st_size
    buffer = BytesIO()
    output = Output(buffer)
    audit, writer = HalvedAudit(Options(), size // 2), NdjsonWriter(output)
    audit.attach(writer)
    try:
        for item in audit.run([str(path)], _Interrupts(audit, int(size * at))):
            writer.capture(item)  # type: ignore[arg-type]
    except KeyboardInterrupt:
        for item in audit.stop():
            writer.capture(item)  # type: ignore[arg-type]
    output.flush()
    report = [json.loads(line) for line in buffer.getvalue().splitlines()]
    reported = connections(report)
    assert len(reported) == audit.summary.connections == 20
    assert sorted(int(str(one["id"])) for one in reported) == list(range(1, 21))
    (capture,) = audit.captures
    assert capture.frames > 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


class TestPositionOfTheCut:
    def test_one_capture_that_is_a_file(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.pcap", dialogue(WHOLE))
        assert worth.plan(Options(), [str(path)], 2) == int(path.stat().st_size * worth.DENSE_HALF)
        path.write_bytes(pcapng(records(dialogue(WHOLE))))
        assert worth.plan(Options(), [str(path)], 2) == int(path.stat().st_size * worth.DENSE_HALF)
        assert worth.plan(Options(), [str(path)], 3) is None

    def test_it_is_later_if_there_is_little_mail(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.pcap", dialogue(WHOLE, port=443))
        assert worth.plan(Options(), [str(path)], 2) == int(path.stat().st_size * worth.HALF)
        assert worth.HALF > worth.DENSE_HALF

    def test_an_input_that_cannot_be_entered_in_the_middle_is_not_split(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "a.pcap", dialogue(WHOLE))
        (tmp_path / "a.gz").write_bytes(b"\x1f\x8b" + bytes(100))
        os.mkfifo(tmp_path / "pipe")
        for paths in ([str(path)] * 2, ["-"], [str(tmp_path)]):
            assert not worth.whole(Options(), paths)
        for name in ("a.gz", "pipe", "missing"):
            assert not worth.whole(Options(), [str(tmp_path / name)])


def mixture(draw: random.Random) -> Iterator[Segment]:
    """Dialogues of all kinds at the same time, some between the same ports, with losses, copies, and pauses."""
    ports = draw.choice((3, 6, 40))
    waiting: list[list[Segment]] = []
    for _ in range(draw.randrange(4, 24)):
        more = 7 * draw.randrange(1 << 20)
        port = draw.choice((25, 25, 25, 587, 2121))
        sent = segments(draw.choice(SCRIPTS), client_port=40_000 + draw.randrange(ports), port=port)
        sent = [one._replace(seq=one.seq + more, ack=one.ack + more if one.flags & 16 else one.ack) for one in sent]
        start = draw.choice((0, 0, 0, 0, 0, 1, 2, 3))
        waiting.append(sent[start : draw.choice((len(sent), len(sent), len(sent), start + 4))])
    going: list[list[Segment]] = []
    now = START
    while waiting or going:
        width = draw.choice((1, 3, 8))
        while waiting and len(going) < width:
            if any({*_ports(one[0])} == {*_ports(waiting[-1][0])} for one in going) and draw.random() < 0.95:
                break
            going.append(waiting.pop())
        talk = draw.choice(going)
        one = talk.pop(0)
        if not talk:
            going.remove(talk)
        now += draw.choice((1000, 1_000_000, 50_000_000, 2_000_000_000))
        if draw.random() < 0.002:
            now += 8_000_000_000_000
        if draw.random() > 0.02:
            yield from [one._replace(time_ns=now)] * (2 if draw.random() < 0.02 else 1)


def _ports(one: Segment) -> tuple[bytes, bytes]:
    return one.key[-4:-2], one.key[-2:]


LIMITS = (Limits(), Limits(), Limits(connections=10, idle_seconds=300))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 40), at=st.floats(0, 1), ng=st.booleans(), limits=st.sampled_from(LIMITS))
def test_any_traffic_at_the_cut(
    tmp_path_factory: pytest.TempPathFactory, seed: int, at: float, ng: bool, limits: Limits
) -> None:
    path = tmp_path_factory.getbasetemp() / f"halved-{os.getpid()}"
    sent = records(mixture(random.Random(seed)))
    path.write_bytes((pcapng if ng else pcap)(sent))
    halved(path, at, Options(limits=limits))

"""Several processes report what one process reports, byte by byte."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import START, Record, ethernet, ipv4, ipv4_fragments, pcap, pcapng, tcp
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import traffic
from repeats import dialogue
from scripts import END, WHOLE, WRONG, hello, lines, records
from side_by_side import divided, whole

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.frames import inputs
from smtpwire.analyzer.limits import Limits
from smtpwire.analyzer.parallel import pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts import Script, Segment

    from smtpwire.analyzer.parallel.engine import ParallelAudit

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap*"))
SHARED = Path(__file__).parents[3] / "shared"
CAPTURES = [SHARED / name for name in ("captures", "lab/captures", "tls", "hops", "attacks")]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small blocks and pieces, so that small captures are divided."""
    monkeypatch.setattr(inputs, "BLOCK", 400)
    monkeypatch.setattr(pieces, "_SMALLEST", 1000)


def same(
    paths: Sequence[str | Path], options: Options | None = None, jobs: Sequence[int] = (1, 2, 3, 5)
) -> tuple[list[dict[str, object]], list[ParallelAudit]]:
    """Return the report, which must be the same for all numbers of processes, and the audits."""
    alone = whole(paths, options)
    audits: list[ParallelAudit] = []
    for number in jobs:
        assert divided(paths, number, options, audits) == alone
    return [json.loads(line) for line in alone], audits


def rules(report: Sequence[dict[str, object]]) -> list[object]:
    return [one["rule"] for one in report if one["type"] == "finding"]


def connections(report: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    return [one for one in report if one["type"] == "connection"]


def saved(path: Path, sent: Sequence[Segment]) -> Path:
    path.write_bytes(pcap(list(records(sent))))
    return path


def one_by_one(*scripts: Script) -> list[Segment]:
    return [one for number, script in enumerate(scripts) for one in dialogue(script, number)]


def side_by_side(*scripts: Script) -> list[Segment]:
    talks = [dialogue(script, number) for number, script in enumerate(scripts)]
    return [talk[at] for at in range(max(map(len, talks))) for talk in talks if at < len(talk)]


def test_samples() -> None:
    report, _ = same(SAMPLES)
    assert len(connections(report)) > 20
    for path in SAMPLES:
        same([path], jobs=[3])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the captures of others are not here")
def test_captures_of_others_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _ = same(CAPTURES, jobs=[5])
    assert len(connections(report)) > 900
    monkeypatch.setattr(inputs, "BLOCK", 1 << 20)
    monkeypatch.setattr(pieces, "_SMALLEST", 1 << 20)
    same(CAPTURES, jobs=[2, 3])


@pytest.mark.parametrize("script", [WHOLE, WRONG])
def test_connections_across_all_cuts(tmp_path: Path, script: Script) -> None:
    report, audits = same([saved(tmp_path / "a.pcap", side_by_side(*[script] * 10))])
    assert len(connections(report)) == 10
    assert len(audits[-1]._batches) > 10  # the capture was divided


def test_connections_that_continue_in_the_next_file(tmp_path: Path) -> None:
    sent = list(records(one_by_one(*[WHOLE] * 9)))
    paths = [tmp_path / f"{number}.pcap" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(pcap(sent[number * len(sent) // 5 : (number + 1) * len(sent) // 5]))
    report, _ = same(paths)
    assert len(connections(report)) == 9


def test_what_connections_know_of_each_other(tmp_path: Path) -> None:
    offers, misses = [*hello("STARTTLS"), *END], [*hello("PIPELINING"), *END]
    report, _ = same([saved(tmp_path / "a.pcap", one_by_one(*[offers] * 8, *[misses] * 3, offers, misses))])
    found = [one for one in report if one.get("rule") == "SEC633"]
    assert [(one["connection"], one["values"]["connection"]) for one in found] == [  # type: ignore[index]
        *((9, 8), (10, 8), (11, 8), (13, 12))
    ]


def test_what_was_missed_is_counted_once(tmp_path: Path) -> None:
    offers, misses = [*hello("STARTTLS"), *END], [*hello("PIPELINING"), *WRONG[3:]]
    path = saved(tmp_path / "a.pcap", one_by_one(offers, misses, misses))
    report, _ = same([path])
    assert report[-1]["rules"]["SEC633"] == 2  # type: ignore[index]
    same([path], Options(select=("SEC",)))
    same([path], Options(ignore=("SEC633",)))


@pytest.mark.parametrize("seed", [*range(200), 494203789309])
def test_any_traffic(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    paths = traffic(tmp_path, draw, draw.choice((1, 1, 2, 5, 9)))
    limits = draw.choice((Limits(), Limits(), Limits(idle_seconds=300)))
    same(paths, Options(limits=limits), [draw.choice((1, 2, 3, 5))])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 40), files=st.integers(1, 12), jobs=st.integers(1, 6))
def test_any_other_traffic(tmp_path_factory: pytest.TempPathFactory, seed: int, files: int, jobs: int) -> None:
    same(traffic(tmp_path_factory.mktemp("any"), random.Random(seed), files), jobs=[jobs])


def test_one_capture_in_fifty_files_in_any_order(tmp_path: Path) -> None:
    draw = random.Random(50)
    sent = list(records(side_by_side(*[WHOLE, WRONG] * 10)))
    times = [one._replace(time_ns=START + at * 1_000_000) for at, one in enumerate(sent)]
    at = sorted(draw.sample(range(1, len(times)), 49))
    paths = []
    for number, (first, end) in enumerate(zip([0, *at], [*at, len(times)], strict=True)):
        paths.append(tmp_path / f"{draw.randrange(1000):03}-{number}.pcap")
        paths[-1].write_bytes((pcap if number % 3 else pcapng)(times[first:end]))
    expected, _ = same(paths, jobs=[3])
    assert len(connections(expected)) == 20
    for _ in range(3):
        draw.shuffle(paths)
        report, _ = same(paths, jobs=[3])
        assert report == expected


class TestFlowsThatTheMapStepDrops:
    """On a port that is not one of SMTP, the middle of a session looks like anything."""

    def test_they_are_read_again(self, tmp_path: Path) -> None:
        text = [f"line {number} of a long letter, which goes on and on" for number in range(40)]
        letter = [*WHOLE[: len(hello()) + 5], *[("C", f"{line}\r\n") for line in text], *WHOLE[len(hello()) + 5 :]]
        sent = [one for number in range(3) for one in dialogue(letter, number, port=2626)]
        other = [one for number in range(3, 9) for one in dialogue(OTHER, number, port=8080)]
        report, audits = same([saved(tmp_path / "a.pcap", [*sent, *other])])
        assert len(connections(report)) == 3
        assert any(task.name.count("-") > 1 for task in audits[-1]._tasks)  # some were done again

    def test_bytes_of_other_protocols_are_not_kept(self, tmp_path: Path) -> None:
        page = [*OTHER[:2], *[("S", "x" * 1000)] * 50, *OTHER[2:]]
        path = saved(tmp_path / "a.pcap", [one for number in range(4) for one in dialogue(page, number, port=80)])
        report, audits = same([path], jobs=[2])
        assert not connections(report)
        assert audits[-1].spooled < path.stat().st_size / 5


OTHER: Script = [*lines("C GET / HTTP/1.1", "S HTTP/1.1 200 OK", "FC", "FS")]


def test_what_there_is_instead_of_smtp(tmp_path: Path) -> None:
    sent = [one for number in range(9) for one in dialogue(OTHER, number, port=80 + number % 3)]
    report, _ = same([saved(tmp_path / "a.pcap", sent)])
    assert len(report[-1]["other_traffic"]) == 3  # type: ignore[arg-type]


def test_fragments_of_one_datagram_in_two_captures(tmp_path: Path) -> None:
    sent = list(records(one_by_one(*[WHOLE] * 6)))
    middle = sent[len(sent) // 2].time_ns
    parts = [Record(ethernet(part), middle) for part in ipv4_fragments(tcp(1, 2, b"x" * 900), 400)]
    first, second = tmp_path / "a.pcap", tmp_path / "b.pcap"
    first.write_bytes(pcap([*sent[: len(sent) // 2], parts[0]]))
    second.write_bytes(pcap([*sent[len(sent) // 2 :], *parts[1:]]))
    report, audits = same([first, second])
    first_capture = next(one for one in report if one["type"] == "capture")
    assert "never became whole" in str(first_capture)
    assert any(one.has_fragments for one in audits[-1]._mapped)


def test_what_could_not_be_decoded_is_counted_once(tmp_path: Path) -> None:
    sent = list(records(one_by_one(*[WHOLE] * 6)))
    short = Record(ethernet(ipv4(tcp(1, 2, b"x")))[:40], sent[0].time_ns)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([*sent[:5], short, *sent[5:], short, short])[:-3])
    report, _ = same([path])
    assert "2 frames could not be decoded, their headers are cut or damaged (the first is frame 6)" in str(report)
    assert "the last record is cut short" in str(report)


def test_inputs_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "no.pcap").write_bytes(b"nothing that is a capture")
    report, audits = same([SAMPLES[0], tmp_path / "no.pcap", tmp_path / "missing.pcap", SAMPLES[1]])
    assert sorted(error.what for error in audits[-1].unreadable) == ["no such file", "not a capture"]
    assert sum(one["type"] == "capture" for one in report) == 4


def test_copies_that_differ_are_decided_by_the_checksums(tmp_path: Path) -> None:
    """The audit looks up the frames, which only the map step has read."""
    paths = list(SHARED.glob("attacks/frames/faults/*sum*.pcap*"))
    if not paths:
        pytest.skip("the captures of attacks are not here")
    same(paths)


@pytest.mark.parametrize("redact", Redact)
def test_redaction(tmp_path: Path, redact: Redact, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = b"k" * 32
    monkeypatch.setattr("smtpwire.analyzer.redact.pseudonyms.token_bytes", lambda _: keys)
    monkeypatch.setattr("smtpwire.analyzer.parallel.plan.token_bytes", lambda _: keys)
    same([saved(tmp_path / "a.pcap", one_by_one(*[WHOLE, WRONG] * 4))], Options(redact=redact), [3])


def test_key_logs_beside_captures_and_in_them(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, tls_capture  # noqa: PLC0415

    script = [*HELLO_INSIDE, *TRANSACTION, ("C", b"RCPT TO:<b@mx.example>\r\n"), ("S", b"503 no\r\n"), *QUIT]
    tls_capture(tmp_path / "a.pcap", script, keylog=tmp_path / "a.keys", port=40_001)
    tls_capture(tmp_path / "b.pcapng", script, keylog=tmp_path / "log", port=40_002)
    data, log = (tmp_path / "b.pcapng").read_bytes(), (tmp_path / "log").read_bytes()
    body = b"KSLT" + len(log).to_bytes(4, "little") + log + bytes(-len(log) % 4)
    block = b"\n\0\0\0" + (len(body) + 12).to_bytes(4, "little") + body + (len(body) + 12).to_bytes(4, "little")
    at = 0
    while at < len(data) * 2 // 3:
        at += int.from_bytes(data[at + 4 : at + 8], "little")
    (tmp_path / "b.pcapng").write_bytes(data[:at] + block + data[at:])
    report, _ = same([tmp_path / "a.pcap", tmp_path / "b.pcapng"])
    assert rules(report).count("SEQ103") == 2
    assert [one["key_logs"] for one in report if one["type"] == "capture"] == [
        [str(tmp_path / "a.keys")],
        ["(in the capture)"],
    ]

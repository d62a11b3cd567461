"""Whatever is lost of a TLS session: nothing is reported as certain that was not said, and what follows is read."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cryptography")

from captures import Record, pcap
from tls_captures import HELLO_INSIDE, MESSAGE, QUIT, TRANSACTION, tls_capture

from smtpwire.analyzer.audit import audit
from smtpwire.analyzer.model import CommandTurn, ReplyTurn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smtpwire.analyzer.model import Connection

V10, V12, V13 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
OFFERS = (HELLO_INSIDE[0], ("S", b"250-mx.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE 2000000\r\n"))
LONG = MESSAGE + b"".join(b"line %d\r\n" % number for number in range(200))
CHUNKS = [
    *(("C", b"BDAT 500\r\n" + LONG[:500]), ("S", b"250 ok\r\n")),
    *(("C", b"BDAT %d LAST\r\n" % (len(LONG) - 500) + LONG[500:]), ("S", b"250 ok\r\n")),
]
ENVELOPE = TRANSACTION[:4]
SCRIPTS = {
    "DATA": [*OFFERS, *TRANSACTION, *TRANSACTION, *QUIT],
    "BDAT": [*OFFERS, *ENVELOPE, *CHUNKS, *ENVELOPE, *CHUNKS, *QUIT],
    "pipelined": [
        *OFFERS,
        ("C", b"".join(data for who, data in TRANSACTION[:6] if who == "C")),
        ("S", b"250 ok\r\n250 ok\r\n354 go\r\n"),
        *TRANSACTION[6:],
        *QUIT,
    ],
}
WAYS: dict[str, dict[str, Any]] = {
    "TLS 1.3": {"version": V13},
    "TLS 1.3 in small pieces": {"version": V13, "record_size": 500, "segment_size": 200},
    "TLS 1.2": {"version": V12},
    "TLS 1.2 resumed": {"version": V12, "resumed": True},
    "TLS 1.2, CBC": {"version": V12, "ciphers": "ECDHE-ECDSA-AES128-SHA"},
    "TLS 1.0": {"version": V10},
}


def records(tmp_path: Path, script: list[tuple[str, bytes]], **options: Any) -> list[bytes]:
    """Return the frames of a capture whose key log is beside it."""
    path = tmp_path / "a.pcap"
    tls_capture(path, script, keylog=tmp_path / "a.keys", **options)
    data, at, found = path.read_bytes(), 24, []
    while at < len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


def audited(tmp_path: Path, frames: list[bytes]) -> Connection:
    (tmp_path / "a.pcap").write_bytes(pcap(frames))
    (connection,) = audit(tmp_path / "a.pcap")
    return connection


def without_each(frames: list[bytes], count: int) -> Iterator[list[bytes]]:
    for at, frame in enumerate(frames):
        if len(frame) > 54:
            yield frames[:at] + frames[at + count :]


def certain_errors(connection: Connection) -> list[str]:
    return [f.rule for f in connection.findings if f.severity == "error" and f.certainty == "certain"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("count", [1, 3])
def test_lost_segments(tmp_path: Path, script: list[tuple[str, bytes]], way: dict[str, Any], count: int) -> None:
    frames = records(tmp_path, script, **way)
    assert certain_errors(audited(tmp_path, frames)) == []
    said = {250, 354, 220, 221}
    for rest in without_each(frames, count):
        connection = audited(tmp_path, rest)
        assert certain_errors(connection) == []
        assert {turn.code for turn in connection.dialogue if isinstance(turn, ReplyTurn)} <= said


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_lost_part_of_the_handshake_after_the_hellos_costs_little(tmp_path: Path, way: dict[str, Any]) -> None:
    frames = records(tmp_path, SCRIPTS["DATA"], **way)
    whole = audited(tmp_path, frames)
    inside = [turn.frame for turn in whole.dialogue if isinstance(turn, CommandTurn)][2]
    starts = [at for at in range(8, inside - 1) if len(frames[at]) > 54]
    hellos = 2 if way.get("segment_size") is None else 6
    for at in starts[hellos:]:
        connection = audited(tmp_path, frames[:at] + frames[at + 1 :])
        verbs = [turn.verb for turn in connection.dialogue if isinstance(turn, CommandTurn)]
        assert verbs[-7:] == [*["MAIL", "RCPT", "DATA"] * 2, "QUIT"]


@pytest.mark.parametrize("size", [60, 100, 200, 400])
def test_cut_frames(tmp_path: Path, size: int) -> None:
    frames = records(tmp_path, SCRIPTS["DATA"])
    cut = [Record(frame[:size], original=len(frame)) for frame in frames]
    (tmp_path / "a.pcap").write_bytes(pcap(cut))
    (connection,) = audit(tmp_path / "a.pcap")
    assert certain_errors(connection) == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_late_and_repeated_segments_change_nothing(tmp_path: Path, way: dict[str, Any]) -> None:
    frames = records(tmp_path, SCRIPTS["BDAT"], **way)
    sizes = [message.size for message in audited(tmp_path, frames).messages]
    for at, frame in enumerate(frames):
        if len(frame) > 54:
            for changed in (
                [*frames[: at + 1], frame, *frames[at + 1 :]],
                [*frames[:at], *frames[at + 1 : at + 2], frame, *frames[at + 2 :]],
            ):
                connection = audited(tmp_path, changed)
                assert certain_errors(connection) == []
                assert [message.size for message in connection.messages] == sizes

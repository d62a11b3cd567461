"""Every limit can be reached, and the report shows it; 0 switches a limit off."""

from __future__ import annotations

import ast
import gzip
import inspect
import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from captures import ACK, SYN, Conversation, Record, ethernet, interface, ipv4, ipv4_fragments, pcap, section, tcp
from msgspec.structs import replace
from scripts import GREETING, envelope, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.model import Capture, Connection

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Script

GREETED = hello("PIPELINING", "CHUNKING", "AUTH PLAIN LOGIN")
Scene = Callable[[], bytes]


def said(script: Script) -> bytes:
    return pcap(records(segments(script)))


def open_talk(port: int = 43210) -> Conversation:
    return Conversation(port).open().server(GREETING.encode())


def gaps(count: int, size: int) -> bytes:
    """Return a client's segments after a byte that never comes."""
    talk = open_talk().client(b"EHLO x\r\n")
    for number in range(count):
        payload = b"x" * size
        segment = tcp(43210, 25, payload, seq=1001 + 8 + 1 + number * size, ack=5001 + len(GREETING), flags=ACK)
        talk.records.append(Record(ethernet(ipv4(segment)), talk.records[-1].time_ns + 1000))
    return pcap(talk.records)


def sent_again() -> bytes:
    """Return a capture in which the client repeats its first line after two others."""
    talk = open_talk()
    for number in (0, 1, 2, 0):
        segment = tcp(43210, 25, b"NOOP\r\n", seq=1001 + 6 * number, ack=5001 + len(GREETING), flags=ACK)
        talk.records.append(Record(ethernet(ipv4(segment)), talk.records[-1].time_ns + 1000))
    return pcap(talk.records)


def lost_replies() -> bytes:
    """Return a capture in which the client acknowledges 8 bytes that were never captured, and continues."""
    talk = open_talk()
    for number in range(4):
        acked = 5001 + len(GREETING) + 8
        segment = tcp(43210, 25, b"NOOP\r\n", seq=1001 + 6 * number, ack=acked, flags=ACK)
        talk.records.append(Record(ethernet(ipv4(segment)), talk.records[-1].time_ns + 1000))
    return pcap(talk.records)


def many(count: int) -> bytes:
    return pcap([record for port in range(count) for record in open_talk(40_000 + port).records])


def idle() -> bytes:
    first = open_talk(40_000).records
    late = Conversation(40_001, start_ns=first[0].time_ns + 600 * 10**9).open().server(GREETING.encode())
    later = Conversation(40_002, start_ns=first[0].time_ns + 700 * 10**9).open().server(GREETING.encode())
    return pcap([*first, *late.records, *later.records])


def syns(count: int) -> bytes:
    return pcap([Record(ethernet(ipv4(tcp(1024 + port, 25, seq=port, flags=SYN)))) for port in range(count)])


def long_record() -> bytes:
    """Return a record longer than one read: only then would memory be allocated for its length."""
    return said(GREETED) + struct.pack("<4I", 0, 0, 1 << 21, 1 << 21) + bytes(1 << 21)


def long_header() -> bytes:
    data = "X-Field: of a header\r\n" * 200 + "\r\nhello\r\n.\r\n"
    return said([*GREETED, *envelope(), *lines("C DATA", "S 354 go"), ("C", data), *lines("S 250 ok")])


def fragments(count: int, later_s: int = 0) -> bytes:
    first = [ipv4_fragments(tcp(40_000, 25, bytes(64)), 64, identification=number)[0] for number in range(count)]
    frames = [Record(ethernet(packet)) for packet in first]
    return pcap([*frames, Record(frames[-1].data, frames[-1].time_ns + later_s * 10**9)])


@cache
def unpacking() -> bytes:
    """Return a capture of 20 kB that unpacks to 258 MiB, with one block that readers skip."""
    size = (258 << 20) + 12
    return gzip.compress(section() + interface() + struct.pack("<II", 0x77, size) + bytes(258 << 20), 9)


def unknown(count: int) -> bytes:
    return pcap([Record(ethernet(bytes(40), 0x9A00 + number)) for number in range(count)])


def pings(count: int) -> list[tuple[str, bytes | str]]:
    return [*GREETED, *[entry for _ in range(count) for entry in lines("C NOOP", "S 250 ok")]]


def pipelined(count: int) -> bytes:
    return said([*GREETED, ("C", "NOOP\r\n" * count), ("S", "250 ok\r\n" * count)])


def probing(count: int) -> bytes:
    return said([*GREETED, *[entry for _ in range(count) for entry in lines("C VRFY a", "S 252 maybe")]])


# A limit, its value, a capture that reaches it, and a text that the report must then contain.
REACHED: dict[str, tuple[int, Scene, str]] = {
    "record_bytes": (1 << 20, long_record, "claims 2097152 bytes"),
    "interfaces": (3, lambda: section() + interface() * 5, "interfaces above the limit of a section, ignored: 2"),
    "empty_records": (5, lambda: pcap([]) + bytes(16 * 20), "empty records one after another"),
    "gzip_ratio": (2, unpacking, "unpack to more than 2 times their size"),
    "undecoded_kinds": (2, lambda: unknown(9), "7 frames of other kinds were not decoded"),
    "fragment_bytes": (1000, lambda: fragments(9), "fragmented datagrams never became whole"),
    "fragment_seconds": (5, lambda: fragments(2, later_s=60), "fragmented datagrams never became whole"),
    "loss_proof_frames": (2, lost_replies, "8 bytes of the server are missing"),
    "compared_bytes": (10, sent_again, "of the client came again or late, from offset 0 on, and were not compared"),
    "held_bytes": (1000, lambda: gaps(30, 100), "1 bytes of the client are missing"),
    "held_segments": (5, lambda: gaps(30, 100), "1 bytes of the client are missing"),
    "all_held_bytes": (
        1000,
        lambda: gaps(30, 100),
        "together held more than 1000 bytes: missing bytes were declared lost in 1",
    ),
    "connections": (5, lambda: many(30), "no longer followed: more than 5 connections were open"),
    "idle_seconds": (60, idle, "no longer followed: idle for more than 60 s"),
    "handshakes": (5, lambda: syns(30), "more than 5 handshakes waited for their connection's first bytes"),
    "line_bytes": (600, lambda: said([*GREETED, ("C", "X" * 5000 + "\r\n")]), "a line is longer than 600 bytes"),
    "reply_bytes": (2000, lambda: said([("S", "220-mx.example\r\n" * 500)]), "a reply is longer than 2000 bytes"),
    "undecided_bytes": (
        2000,
        lambda: said([*GREETED, *envelope(), ("C", "DATA\r\n"), ("C", "x\r\n" * 2000)]),
        "more than 2000 bytes waited for one reply",
    ),
    "header_bytes": (1000, long_header, "a message header is longer than 1000 bytes"),
    "outstanding": (5, lambda: pipelined(20), "more than 5 commands waited for replies"),
    "turns": (6, lambda: said(pings(10)), "the dialogue is shown up to turn 6"),
    "harvest_probes": (3, lambda: probing(5), "SEC620"),
    "unanswered_commands": (5, lambda: pipelined(20), "SEC630"),
    "findings_per_rule": (
        2,
        lambda: said([*GREETED, *lines("C FOO", "S 500 what") * 5]),
        "further ones are not listed",
    ),
}

# These limit memory for connections that are over or may come; the report has no place to show it, and nothing is
# missing in it: a later copy is a connection of its own, and an offer is not compared.
SILENT = {"closed_connections", "sniffed_bytes", "remembered_servers", "server_memory_seconds"}


def report(path: Path, capture: bytes, limits: Limits) -> str:
    """Return all texts of a report."""
    path.write_bytes(capture)
    run = Audit(Options(limits=limits))
    texts: list[str] = []
    for item in run.run([path]):
        if isinstance(item, Capture):
            texts += item.problems
        elif isinstance(item, Connection):
            texts += item.notes
            texts += [f"{finding.rule} {finding.message}" for finding in item.findings]
    return "\n".join(texts)


def limited(name: str, value: int) -> Limits:
    change: dict[str, Any] = {name: value}
    return replace(DEFAULT_LIMITS, **change)


@pytest.mark.parametrize("name", REACHED)
def test_a_reached_limit_is_reported(name: str, tmp_path: Path) -> None:
    value, scene, words = REACHED[name]
    assert words in report(tmp_path / "a.pcap", scene(), limited(name, value))


@pytest.mark.parametrize("name", sorted(set(REACHED) - {"loss_proof_frames", "held_bytes", "held_segments"}))
def test_zero_switches_it_off(name: str, tmp_path: Path) -> None:
    _, scene, words = REACHED[name]
    again = report(tmp_path / "a.pcap", scene(), limited(name, 0))
    if name not in {"fragment_bytes", "fragment_seconds"}:  # at the end of a file they are incomplete in any case
        assert words not in again
        assert "more than 0 " not in again


def test_every_limit_is_here() -> None:
    assert set(Limits.__struct_fields__) == set(REACHED) | SILENT


@pytest.mark.parametrize("name", sorted(SILENT))
@pytest.mark.parametrize("value", [0, 1])
def test_unreported_limits_change_no_finding_on_plain_traffic(name: str, value: int, tmp_path: Path) -> None:
    plain = [*GREETED, *lines("C FOO", "S 500 what", "C QUIT", "S 221 bye"), ("FC", ""), ("FS", "")]
    usual = report(tmp_path / "a.pcap", said(plain), DEFAULT_LIMITS)
    assert report(tmp_path / "a.pcap", said(plain), limited(name, value)) == usual


def test_every_limit_says_why_it_has_its_value() -> None:
    """Each field has a docstring."""
    (body,) = ast.parse(inspect.getsource(Limits)).body
    assert isinstance(body, ast.ClassDef)
    for number, statement in enumerate(body.body):
        if isinstance(statement, ast.AnnAssign):
            after = body.body[number + 1]
            assert isinstance(after, ast.Expr), ast.unparse(statement)

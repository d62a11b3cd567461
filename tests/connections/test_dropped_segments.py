"""Segments that their receiver drops do not win over those that it takes: wrong checksums, no ACK flag."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import pytest
from captures import (
    ACK,
    CLIENT,
    CLIENT6,
    FIN,
    PSH,
    RST,
    SERVER,
    SERVER6,
    SYN,
    Record,
    ethernet,
    ipv4,
    ipv6,
    pcap,
    pcapng,
    tcp,
)
from encapsulations import FAST

from smtpwire import audit

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer.model import Connection

Side = Literal["C", "S"]
TURNS: list[tuple[Side, bytes]] = [
    ("S", b"220 mx.example ESMTP\r\n"),
    ("C", b"EHLO c.example\r\n"),
    ("S", b"250 mx.example\r\n"),
    ("C", b"MAIL FROM:<a@c.example>\r\n"),
    ("S", b"250 ok\r\n"),
    ("C", b"RCPT TO:<b@mx.example>\r\n"),
    ("S", b"250 ok\r\n"),
    ("C", b"QUIT\r\n"),
    ("S", b"221 bye\r\n"),
]


def words(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    """Frames of a connection with right checksums, unless ``offload`` names the side whose own are all wrong."""

    def __init__(self, *, six: bool = False, offload: str = "") -> None:
        self.records: list[Record] = []
        self.sent = {"C": 0, "S": 0}
        self.six = six
        self.offload = offload

    def send(
        self, side: Side, payload: bytes = b"", flags: int = PSH | ACK, *, bad: str = "", counts: bool = True
    ) -> None:
        """``bad``: which checksum is wrong, "tcp" or "ip". ``counts``: the next segment comes after this one."""
        peer: Side = "S" if side == "C" else "C"
        ports = (40_000, 25) if side == "C" else (25, 40_000)
        hosts = (CLIENT6, SERVER6) if self.six else (CLIENT, SERVER)
        source, target = hosts if side == "C" else hosts[::-1]
        numbers = {"C": 1000, "S": 5000}
        ack = numbers[peer] + self.sent[peer] if flags & ACK else 0
        segment = bytearray(tcp(*ports, payload, seq=numbers[side] + self.sent[side], ack=ack, flags=flags))
        make = ipv6 if self.six else ipv4
        packet = make(bytes(segment), source, target)
        size = 40 if self.six else 20
        addresses = packet[8:40] if self.six else packet[12:20]
        right = words(addresses + struct.pack("!HH", 6, len(segment)) + bytes(segment))
        wrong = bad == "tcp" or side == self.offload
        segment[16:18] = struct.pack("!H", right ^ 0x1234 if wrong else right)
        head = bytearray(packet[:size])
        if not self.six:
            head[10:12] = bytes(2)
            head[10:12] = struct.pack("!H", words(bytes(head)) ^ (0x4321 if bad == "ip" else 0))
        self.records.append(Record(ethernet(bytes(head + segment)), 10**18 + len(self.records) * 10**6))
        if counts:
            self.sent[side] += len(payload) + (flags & (SYN | FIN) > 0)

    def dialogue(self, at: int, before: bool, decoy: dict[str, object]) -> Wire:
        """Send all turns. ``at``: the turn beside which the decoy stands."""
        for side, flags in (("C", SYN), ("S", SYN | ACK), ("C", ACK)):
            self.send(side, flags=flags)  # type: ignore[arg-type]
        for number, (side, payload) in enumerate(TURNS):
            if number == at and before:
                self.send(side, counts=False, **decoy)  # type: ignore[arg-type]
            self.send(side, payload)
            if number == at and not before:
                sent = self.sent[side]
                self.sent[side] -= len(payload)
                self.send(side, counts=False, **decoy)  # type: ignore[arg-type]
                self.sent[side] = sent
            self.send("C" if side == "S" else "S", flags=ACK)
        self.send("S", flags=FIN | ACK)
        self.send("C", flags=FIN | ACK)
        self.send("S", flags=ACK)
        return self


def judged(wire: Wire, path: Path, name: str = "pcap") -> Connection:
    path.write_bytes((pcap if name == "pcap" else pcapng)(wire.records))
    (connection,) = audit(path)
    return connection


def rules(connection: Connection) -> set[str]:
    return {finding.rule for finding in connection.findings}


DECOYS = [{"bad": "tcp"}, {"bad": "ip"}, {"flags": PSH}, {"bad": "tcp", "flags": PSH}]


@pytest.mark.parametrize("name", ["pcap", "pcapng"])
@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("decoy", DECOYS)
@pytest.mark.parametrize("text", [b"RCPT TO:<nobody@x.exampl>\r\n", b"NOOP\r\nRSET\r\n", b"RSET\r\n"])
def test_a_command_that_the_server_dropped(
    text: bytes, decoy: dict[str, object], six: bool, name: str, tmp_path: Path
) -> None:
    if six and decoy.get("bad") == "ip":
        return  # the header of IPv6 has none
    connection = judged(Wire(six=six).dialogue(3, True, {"payload": text, **decoy}), tmp_path / "a", name)
    assert rules(connection) == {"TCP905"}
    assert [turn.verb for turn in connection.dialogue if hasattr(turn, "verb")] == ["EHLO", "MAIL", "RCPT", "QUIT"]
    (finding,) = connection.findings
    assert "the later copy" in finding.message


@pytest.mark.parametrize("decoy", DECOYS)
def test_the_first_copy_stays_if_it_is_right(decoy: dict[str, object], tmp_path: Path) -> None:
    wire = Wire().dialogue(3, False, {"payload": b"RCPT TO:<nobody@x.exampl>\r\n", **decoy})
    assert rules(judged(wire, tmp_path / "a")) <= {"TCP905"}


@pytest.mark.parametrize("offload", ["C", "S"])
def test_wrong_checksums_of_a_whole_side_say_nothing(offload: str, tmp_path: Path) -> None:
    assert rules(judged(Wire(offload=offload).dialogue(-1, True, {}), tmp_path / "a")) == set()


def test_two_wrong_copies_are_as_two_right_ones(tmp_path: Path) -> None:
    decoy = {"payload": b"MAIL FROM:<x@y.example>\r\n"}
    for offload in ("", "C"):
        wire = Wire(offload=offload).dialogue(3, True, dict(decoy))
        connection = judged(wire, tmp_path / "a")
        assert rules(connection) == {"TCP905"}
        assert "the first copy" in connection.findings[0].message


@pytest.mark.parametrize("flags", [RST, RST | ACK, FIN | ACK])
@pytest.mark.parametrize("at", [2, 3, 4, 5, 6])
def test_an_end_that_nobody_accepted(at: int, flags: int, tmp_path: Path) -> None:
    """A forged RST or FIN before any turn leaves the dialogue and its findings as they are."""
    wire = Wire().dialogue(at, True, {"flags": flags, "bad": "tcp"})
    connection = judged(wire, tmp_path / "a")
    assert [turn.verb for turn in connection.dialogue if hasattr(turn, "verb")] == ["EHLO", "MAIL", "RCPT", "QUIT"]
    assert rules(connection) == set()
    assert connection.notes == ["ends that their receiver did not accept, left out: 1"]


@pytest.mark.parametrize("tunnel", ["VXLAN", "GRE", "MPLS", "VLAN"])
def test_it_is_the_same_in_a_tunnel(tunnel: str, tmp_path: Path) -> None:
    wire = Wire().dialogue(3, True, {"payload": b"RCPT TO:<nobody@x.exampl>\r\n", "bad": "tcp"})
    wire.records = [record._replace(data=FAST[tunnel](record.data[14:])) for record in wire.records]
    assert rules(judged(wire, tmp_path / "a")) == {"TCP905"}


def test_urgent_data_is_noted(tmp_path: Path) -> None:
    wire = Wire().dialogue(-1, True, {})
    frame = bytearray(wire.records[9].data)
    frame[14 + 20 + 13] |= 0x20
    wire.records[9] = wire.records[9]._replace(data=bytes(frame))
    connection = judged(wire, tmp_path / "a")
    assert rules(connection) == set()
    assert connection.notes == [
        "urgent data in frame 10: its last byte may not be part of the stream, because most programs leave it out "
        "(RFC 6093)"
    ]

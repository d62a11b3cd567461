"""The segments that reach the sink: all, except those of flows that the consumer ignores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from captures import ACK, PSH, RST, SYN, Record, ethernet, ipv4, ipv6, pcap, pcapng, tcp

from smtpwire.analyzer.frames.input_list import open_inputs
from smtpwire.analyzer.frames.inputs import read_capture
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Shown = list[tuple[int, int, int, bytes]]
Write = "Callable[[list[Record]], bytes]"


def vlan(frame: bytes) -> bytes:
    """Return the same frame in a form that the hot loop does not decode."""
    return frame[:12] + b"\x81\0\0\7" + frame[12:]


def talk(packet: Callable[[bytes], bytes]) -> list[Record]:
    """Return mail and web traffic with every kind of segment: SYN, data, bare ACK, RST."""
    segments = [
        tcp(1111, 25, flags=SYN),
        tcp(1111, 25, b"NOOP\r\n"),
        tcp(25, 1111, flags=ACK),
        tcp(2222, 80, flags=SYN),
        tcp(80, 2222, flags=SYN | ACK),
        tcp(2222, 80, flags=ACK),
        tcp(2222, 80, b"GET /"),
        tcp(80, 2222, b"HTTP/1.1 "),
        tcp(2222, 80, flags=RST),
        tcp(2222, 80, flags=SYN, seq=9),
    ]
    return [Record(ethernet(packet(segment))) for segment in segments]


MAIL_AND_WEB = [
    (1111, 25, SYN, b""),
    (1111, 25, PSH | ACK, b"NOOP\r\n"),
    (25, 1111, ACK, b""),
    (2222, 80, SYN, b""),
    (80, 2222, SYN | ACK, b""),
    (2222, 80, ACK, b""),
    (2222, 80, PSH | ACK, b"GET /"),
    (80, 2222, PSH | ACK, b"HTTP/1.1 "),
    (2222, 80, RST, b""),
    (2222, 80, SYN, b""),
]

PATHS: dict[str, Any] = {
    "pcap": pcap,
    "pcap, big-endian": lambda records: pcap(records, order=">"),
    "pcapng": pcapng,
    "pcapng, big-endian": lambda records: pcapng(records, order=">"),
    "frame by frame": lambda records: pcap([Record(vlan(r.data), r.time_ns) for r in records]),
}


@pytest.fixture(params=PATHS)
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Shown]:
    """Return a function that runs a decoder over ``talk`` on one path and returns what its sink got."""

    def run(packet: Callable[[bytes], bytes], ignored: frozenset[tuple[int, int]]) -> Shown:
        seen: Shown = []

        def take(flow: bytes, seq: int, ack: int, flags: int, payload: bytes, *rest: int) -> None:
            source, target = int.from_bytes(flow[-4:-2], "big"), int.from_bytes(flow[-2:], "big")
            seen.append((source, target, flags, payload))
            if (source, target) in ignored:
                decoder.ignored.add(flow)

        decoder = SegmentDecoder(take)
        path = tmp_path / "talk"
        path.write_bytes(PATHS[request.param](talk(packet)))
        for source in open_inputs([path]):
            for _ in read_capture(source, decoder):
                pass
        return seen

    return run


@pytest.mark.parametrize("packet", [ipv4, ipv6])
def test_everything_goes_to_the_sink(shown: Any, packet: Any) -> None:
    assert shown(packet, frozenset()) == MAIL_AND_WEB


@pytest.mark.parametrize("packet", [ipv4, ipv6])
def test_an_ignored_flow_shows_only_a_new_connection(shown: Any, packet: Any) -> None:
    wanted = [one for one in MAIL_AND_WEB if one[:2] != (2222, 80) or one[2] & SYN]
    assert shown(packet, frozenset({(2222, 80)})) == wanted


def test_an_exception_of_the_sink_is_not_swallowed() -> None:
    def sink(*segment: object) -> None:
        raise LookupError("a fault of the consumer")

    decoder = SegmentDecoder(sink)
    frame = ethernet(ipv4(tcp(2222, 80)))
    with pytest.raises(LookupError):
        decoder.frame(1, 0, frame, len(frame), 1)

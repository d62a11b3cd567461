"""Which segments go where: ports, the second sink, flows that the consumer has had enough of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from captures import ACK, PSH, RST, SYN, Record, ethernet, flow, ipv4, ipv6, pcap, pcapng, tcp

from smtpwire.analyzer.capture import open_inputs, read_capture
from smtpwire.analyzer.segments import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Shown = list[tuple[int, int, int, bytes]]
Write = "Callable[[list[Record]], bytes]"


def vlan(frame: bytes) -> bytes:
    """The same frame on the slower road."""
    return frame[:12] + b"\x81\0\0\7" + frame[12:]


def talk(packet: Callable[[bytes], bytes]) -> list[Record]:
    """Mail and web, with all that is told apart: SYN, data, bare ACK, RST."""
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


MAIL = [(1111, 25, SYN, b""), (1111, 25, PSH | ACK, b"NOOP\r\n"), (25, 1111, ACK, b"")]
WEB = [
    (2222, 80, SYN, b""),
    (80, 2222, SYN | ACK, b""),
    (2222, 80, PSH | ACK, b"GET /"),
    (80, 2222, PSH | ACK, b"HTTP/1.1 "),
    (2222, 80, SYN, b""),
]

ROADS: dict[str, Any] = {
    "pcap": pcap,
    "pcap, big-endian": lambda records: pcap(records, order=">"),
    "pcapng": pcapng,
    "pcapng, big-endian": lambda records: pcapng(records, order=">"),
    "frame by frame": lambda records: pcap([Record(vlan(r.data), r.time_ns) for r in records]),
}


@pytest.fixture(params=ROADS)
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[Shown, Shown]]:
    """Runs a decoder over ``talk`` on one road; what its two sinks were shown."""

    def run(
        packet: Callable[[bytes], bytes],
        ports: frozenset[int] | None,
        second: bool = True,
        ignored: tuple[bytes, ...] = (),
    ) -> tuple[Shown, Shown]:
        lists: tuple[Shown, Shown] = [], []

        def sink(into: Shown) -> Callable[..., None]:
            def take(flow: bytes, seq: int, ack: int, flags: int, payload: bytes, *rest: int) -> None:
                source, target = int.from_bytes(flow[-4:-2], "big"), int.from_bytes(flow[-2:], "big")
                into.append((source, target, flags, payload))

            return take

        decoder = SegmentDecoder(sink(lists[0]), ports=ports, other=sink(lists[1]) if second else None)
        decoder.ignored.update(ignored)
        path = tmp_path / "talk"
        path.write_bytes(ROADS[request.param](talk(packet)))
        for source in open_inputs([path]):
            for _ in read_capture(source, decoder):
                pass
        return lists

    return run


@pytest.mark.parametrize("packet", [ipv4, ipv6])
def test_without_ports_everything_goes_to_the_sink(shown: Any, packet: Any) -> None:
    first, second = shown(packet, None)
    assert first[:3] == MAIL
    assert len(first) == 10
    assert second == []


@pytest.mark.parametrize("packet", [ipv4, ipv6])
def test_other_ports_show_what_starts_them_and_what_they_carry(shown: Any, packet: Any) -> None:
    assert shown(packet, frozenset({25, 587})) == (MAIL, WEB)


@pytest.mark.parametrize("packet", [ipv4, ipv6])
def test_without_a_second_sink_other_ports_are_dropped(shown: Any, packet: Any) -> None:
    assert shown(packet, frozenset({25}), second=False) == (MAIL, [])


def test_an_ignored_flow_shows_only_a_new_connection(shown: Any) -> None:
    ignored = flow("192.0.2.1", "192.0.2.2", 2222, 80)
    _, second = shown(ipv4, frozenset({25}), ignored=(ignored,))
    assert second == [WEB[0], WEB[1], WEB[3], WEB[4]]


def test_a_payload_that_was_not_captured_is_shown_all_the_same(shown: Any) -> None:
    seen: list[tuple[bytes, int]] = []
    decoder = SegmentDecoder(
        lambda *_: None,
        ports=frozenset({25}),
        other=lambda f, s, a, fl, payload, missing, n, t: seen.append((payload, missing)),
    )
    frame = ethernet(ipv4(tcp(2222, 80, b"GET /")))
    decoder.frame(1, 0, frame[:-5], len(frame), 1)
    assert seen == [(b"", 5)]


def test_what_a_sink_raises_is_not_swallowed() -> None:
    def sink(*segment: object) -> None:
        raise LookupError("a fault of the consumer")

    decoder = SegmentDecoder(sink)
    frame = ethernet(ipv4(tcp(2222, 80)))
    with pytest.raises(LookupError):
        decoder.frame(1, 0, frame, len(frame), 1)

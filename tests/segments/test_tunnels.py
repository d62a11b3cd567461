"""The table of headers: every row is opened, everything else is named, and nothing known to hold no TCP is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from captures import CLIENT, SERVER, Record, ethernet, flow, ipv4, ipv6, pcap, pcapng, tcp, udp
from encapsulations import ENCAPSULATIONS, FAST, over_ip, over_udp, under_ethernet
from hypothesis import given, settings
from hypothesis import strategies as st
from readback import Seen, collector

from smtpwire.analyzer.frames.input_window import StreamWindow
from smtpwire.analyzer.frames.pcap import FILE_HEADER, PcapReader
from smtpwire.analyzer.frames.pcapng import PcapngReader
from smtpwire.analyzer.segments import tunnels
from smtpwire.analyzer.segments.layers import NO_TCP, Fragment, Row, Undecoded
from smtpwire.analyzer.segments.tunnels import NO_TCP_PROTOCOLS, ROWS, SERVICE_PORTS, TUNNEL_PORTS, decode

if TYPE_CHECKING:
    from smtpwire.analyzer.segments.decoder import SegmentDecoder

DECODERS: list[Literal["raw", "scapy"]] = ["raw", "scapy"]
PACKET = ipv4(tcp(43210, 25, b"QUIT\r\n", seq=7, ack=9))
FLOW = flow(CLIENT, SERVER, 43210, 25)
EXPECTED = Seen(FLOW, 7, 9, 24, b"QUIT\r\n", 0, 1, 0)


@pytest.mark.parametrize("decoder_name", DECODERS)
@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_every_encapsulation_is_opened(name: str, decoder_name: Literal["raw", "scapy"]) -> None:
    link_type, wrap = ENCAPSULATIONS[name]
    for padding in (b"", bytes(7)):
        seen, decoder = collector(decoder_name)
        frame = wrap(PACKET) + padding
        decoder.frame(link_type, 0, frame, len(frame), 1)
        assert seen == [EXPECTED]
        assert decoder.problems() == []


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_the_table_needs_no_scapy(name: str) -> None:
    link_type, wrap = ENCAPSULATIONS[name]
    _, decoder = collector()
    decoder.frame(link_type, 0, wrap(PACKET), len(wrap(PACKET)), 1)
    assert (decoder.tally.raw, decoder.tally.scapy) == (1, 0)


@pytest.mark.parametrize("outer", ["VXLAN", "GRE", "VLAN", "ESP without encryption", "Geneve", "IP in IP"])
@pytest.mark.parametrize("name", [name for name in ENCAPSULATIONS if name in FAST])
def test_encapsulations_are_nested(name: str, outer: str) -> None:
    inner = FAST[name](PACKET)
    kind = int.from_bytes(inner[12:14], "big")
    if kind != 0x0800:
        return  # the outer one takes IPv4
    frame = FAST[outer](inner[14:])
    seen, decoder = collector()
    decoder.frame(1, 0, frame, len(frame), 1)
    assert seen == [EXPECTED]


def test_an_encapsulation_is_here_for_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[tuple[str, int]] = set()

    class Noted(dict[int, Row]):
        def get(self, number: int, default: Any = None) -> Any:
            used.add((self.kind, number))
            return super().get(number, default)

        kind = ""

    noted = {}
    for kind, rows in ROWS.items():
        noted[kind] = Noted(rows)
        noted[kind].kind = kind
    monkeypatch.setattr(tunnels, "ROWS", noted)
    for link_type, wrap in ENCAPSULATIONS.values():
        assert isinstance(decode(link_type, wrap(PACKET), len(wrap(PACKET))), tuple)
    opened = {ROWS[kind][number].step for kind, number in used}
    left = {row.name for rows in ROWS.values() for row in rows.values() if row.step is not None} - {
        row.name for rows in ROWS.values() for row in rows.values() if row.step in opened
    }
    assert left == {"WireGuard"}  # which is always encrypted


NUMBERS = {
    "EtherType": lambda number: under_ethernet(bytes(60), number),
    "IP protocol": lambda number: over_ip(number, bytes(60)),
    "LLC SAP": lambda number: under_ethernet(bytes((number, number, 3)) + bytes(60), 63),
    "PPP protocol": lambda number: under_ethernet(b"\x11\0\0\7\0\x42" + number.to_bytes(2, "big") + bytes(60), 0x8864),
}
RANGES = {
    "EtherType": st.integers(0x0600, 0xFFFF),
    "IP protocol": st.integers(0, 255),
    "LLC SAP": st.integers(1, 126).map(lambda number: 2 * number).filter(lambda number: number != 0xAA),
    "PPP protocol": st.integers(0, 0x3F).map(lambda number: 512 * number) | st.just(0x4021),
}


def read_all(reader: Any, data: bytes, decoder: SegmentDecoder) -> list[str]:
    window = StreamWindow(io.BytesIO(data).read)
    window.advance(0, FILE_HEADER)
    for _ in reader(window).run(decoder):
        pass
    return decoder.problems()


@pytest.mark.parametrize("kind", NUMBERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), count=st.integers(1, 30))
def test_what_has_no_row_is_named_with_its_frames(kind: str, data: st.DataObject, count: int) -> None:
    number = data.draw(RANGES[kind].filter(lambda number: number not in ROWS[kind]))
    if kind == "PPP protocol" and number >= 0x8000:
        return
    records = [Record(NUMBERS[kind](number))] * count
    shown = f"{kind} {number}" if kind == "IP protocol" else f"{kind} 0x{number:04x}"
    said = f"{count} frame{'s' * (count > 1)} of {shown} {'were' if count > 1 else 'was'} not decoded"
    assert read_all(PcapReader, pcap(records), collector()[1]) == [said]
    assert read_all(PcapngReader, pcapng(records), collector()[1]) == [said]


@pytest.mark.parametrize("decoder_name", DECODERS)
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (kind, number)
        for kind in NUMBERS
        for number, row in ROWS[kind].items()
        if (row.step, row.found) == (None, NO_TCP)
    ],
)
def test_what_holds_no_tcp_is_not_named(kind: str, number: int, decoder_name: Literal["raw", "scapy"]) -> None:
    seen, decoder = collector(decoder_name)
    frame = NUMBERS[kind](number)
    decoder.frame(1, 0, frame, len(frame), 1)
    assert (seen, decoder.problems()) == ([], [])


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("protocol", range(256))
def test_the_loop_skips_a_protocol_only_if_the_table_does(protocol: int, six: bool) -> None:
    """The loop over records and the decoder of single frames count the same."""
    body = udp(7, 9, bytes(60)) if protocol == 17 else bytes(60)
    frame = ethernet(ipv6(body, following=protocol) if six else ipv4(body, protocol=protocol))
    _, single = collector()
    single.frame(1, 0, frame, len(frame), 1)
    _, loop = collector()
    assert read_all(PcapReader, pcap([Record(frame)]), loop) == single.problems()
    if protocol in NO_TCP_PROTOCOLS:
        assert single.problems() == []


@pytest.mark.parametrize("port", sorted(TUNNEL_PORTS))
def test_the_ports_of_tunnels_reach_the_table(port: int) -> None:
    for source, target in ((54321, port), (port, 54321)):
        _, decoder = collector()
        read_all(PcapReader, pcap([Record(over_udp(target, b"\xff" * 60, source))]), decoder)
        reached = decoder.tally.raw + decoder.tally.scapy > 0
        assert reached == (target == port or port in SERVICE_PORTS)


@pytest.mark.parametrize("port", sorted(TUNNEL_PORTS))
def test_a_well_known_service_is_no_tunnel(port: int) -> None:
    """The client of a name server may have the port of a tunnel by chance."""
    for source, target in ((53, port), (port, 53)):
        seen, decoder = collector()
        frame = over_udp(target, b"\x08\1\x81\x80" + bytes(60), source)
        decoder.frame(1, 0, frame, len(frame), 1)
        assert (seen, decoder.problems()) == ([], [])


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_a_frame_that_was_cut_is_never_lost_without_a_word(name: str) -> None:
    """Wherever the capture cuts a frame, its segment is found, or the frame is counted."""
    link_type, wrap = ENCAPSULATIONS[name]
    frame = wrap(PACKET)
    for size in range(1, len(frame)):
        _, decoder = collector()
        found = decode(link_type, frame[:size], len(frame))
        assert found is not NO_TCP, size
        decoder.frame(link_type, 0, frame[:size], len(frame), 1)
        assert isinstance(found, tuple | Fragment) or decoder.problems(), size


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ENCAPSULATIONS)), st.data())
def test_damaged_headers_raise_nothing(name: str, data: st.DataObject) -> None:
    link_type, wrap = ENCAPSULATIONS[name]
    frame = bytearray(wrap(PACKET))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    decode(link_type, bytes(frame), len(frame))


def test_scapy_is_not_asked_again_and_again() -> None:
    _, decoder = collector()
    for number in range(1000):
        decoder.frame(1, 0, under_ethernet(bytes(60), 0x9A9A), 74, number)
    assert decoder.tally.scapy <= 8
    for kind in range(0xA000, 0xB000):
        decoder.frame(1, 0, under_ethernet(bytes(60), kind), 74, kind)
    assert decoder.tally.scapy <= 2000
    assert sum(decoder.tally.unopened.values()) + decoder.tally.unopened_more == 1000 + 0x1000


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (over_ip(50, b"\0\0\1\0\0\0\0\1" + bytes(range(200))), "ESP"),
        (under_ethernet(b"\x2c\0\0\0\0\1" + bytes(60), 0x88E5), "MACsec (EtherType 0x88e5), which is encrypted"),
        (over_udp(5247, b"\1\0\0\0" + bytes(60)), "CAPWAP"),
        (over_udp(51820, b"\4\0\0\0" + bytes(60)), "WireGuard"),
        (over_ip(108, bytes(60)), "IPComp (IP protocol 108), which is compressed"),
        (under_ethernet(b"\x11\0\0\7\0\x42\0\x3d\x80\0\0\1" + bytes(60), 0x8864), "PPP multilink"),
        (over_ip(47, b"\0\7\x08\0" + bytes(60)), "GRE version 7"),
    ],
)
def test_what_cannot_be_opened_is_named(frame: bytes, words: str) -> None:
    found = decode(1, frame, len(frame))
    assert isinstance(found, Undecoded)
    assert words in found.what
    _, decoder = collector()
    decoder.frame(1, 0, frame, len(frame), 1)
    assert decoder.problems() == [f"1 frame of {found.what} was not decoded"]
    assert decoder.tally.scapy == 0


def test_esp_is_opened_only_if_all_of_it_fits() -> None:
    """One damaged byte in the padding, the checksum of TCP or the length of IP, and it counts as encrypted."""
    frame = bytearray(FAST["ESP without encryption"](PACKET))
    for place in (14 + 20 + 8 + 3, len(frame) - 13):
        broken = bytearray(frame)
        broken[place] ^= 0x55
        assert isinstance(decode(1, bytes(broken), len(broken)), Undecoded)


@pytest.mark.tree
def test_the_page_names_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "captures.md").read_text()
    names = {row.name for rows in ROWS.values() for row in rows.values() if row.step is not None}
    assert {name for name in names if name not in page} == set()

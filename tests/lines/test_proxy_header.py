"""PROXY headers are read as HAProxy's document defines them, in pieces of any size, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.lines.proxy_header import ProxyHeader, ProxyHeaderReader, may_begin, read_header
from smtpwire.analyzer.model import Endpoint

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ENDS4 = bytes([203, 0, 113, 9, 198, 51, 100, 25, 0xA1, 0x02, 0, 25])
ENDS6 = bytes.fromhex("20010db8000000000000000000000009 20010db8000000000000000000000025 a102 0019")
CLIENT4, TARGET4 = Endpoint("203.0.113.9", 41218), Endpoint("198.51.100.25", 25)
CLIENT6, TARGET6 = Endpoint("2001:db8::9", 41218), Endpoint("2001:db8::25", 25)


def version2(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


LINE4 = b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 25\r\n"
LINE6 = b"PROXY TCP6 2001:db8::9 2001:db8::25 41218 25\r\n"
HEADERS: dict[bytes, ProxyHeader] = {
    LINE4: ProxyHeader(1, "PROXY", len(LINE4), CLIENT4, TARGET4),
    LINE6: ProxyHeader(1, "PROXY", len(LINE6), CLIENT6, TARGET6),
    b"PROXY UNKNOWN\r\n": ProxyHeader(1, "PROXY", 15),
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n": ProxyHeader(1, "PROXY", 43),
    version2(0x21, 0x11, ENDS4): ProxyHeader(2, "PROXY", 28, CLIENT4, TARGET4),
    version2(0x21, 0x21, ENDS6): ProxyHeader(2, "PROXY", 52, CLIENT6, TARGET6),
    version2(0x21, 0x11, ENDS4 + b"\x04\0\x01\0" * 200): ProxyHeader(2, "PROXY", 828, CLIENT4, TARGET4),
    version2(0x20, 0x11, ENDS4): ProxyHeader(2, "LOCAL", 28),
    version2(0x20, 0, b""): ProxyHeader(2, "LOCAL", 16),
    version2(0x21, 0x31, bytes(216)): ProxyHeader(2, "PROXY", 232),  # AF_UNIX: no internet addresses
    version2(0x21, 0x11, bytes(4)): ProxyHeader(2, "PROXY", 20),  # too short for addresses
}


@pytest.mark.parametrize("data", HEADERS, ids=repr)
def test_a_header_is_read(data: bytes) -> None:
    assert read_header(data) == HEADERS[data]
    assert read_header(data + b"EHLO client.example\r\n") == HEADERS[data]


@pytest.mark.parametrize(
    "data",
    [
        b"proxy TCP4 203.0.113.9 198.51.100.25 41218 25\r\n",
        b"PROXY  TCP4 203.0.113.9 198.51.100.25 41218 25\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 25\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 65536\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 025\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.256 41218 25\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.25 41218\r\n",
        b"PROXY TCP4 2001:db8::9 2001:db8::25 41218 25\r\n",
        b"PROXY TCP6 203.0.113.9 198.51.100.25 41218 25\r\n",
        b"PROXY UDP4 203.0.113.9 198.51.100.25 41218 25\r\n",
        b"PROXY UNKNOWN" + b" " * 93 + b"\r\n",  # 108 octets
        b"PROXY UNKNOWN a\rb\r\n",
        b"PROXY\r\n",
        b"EHLO client.example\r\n",
        b"\r\n\r\nEHLO client.example\r\n",
        SIGNATURE + b"\x22\x11\0\x0c" + ENDS4,
        SIGNATURE + b"\x11\x11\0\x0c" + ENDS4,
    ],
    ids=repr,
)
def test_what_is_nearly_a_header_is_none(data: bytes) -> None:
    assert read_header(data) is None
    assert not may_begin(data)
    reader = ProxyHeaderReader()
    assert any(not reader.take(data[at : at + 1]) for at in range(len(data)))
    assert not reader.possible


def test_the_longest_line_has_107_octets() -> None:
    assert read_header(b"PROXY UNKNOWN" + b" " * 92 + b"\r\n") == ProxyHeader(1, "PROXY", 107)


@pytest.mark.parametrize("data", HEADERS, ids=repr)
@pytest.mark.parametrize("size", [1, 2, 7, 1400])
def test_a_header_in_pieces(data: bytes, size: int) -> None:
    stream, reader, used = data + b"EHLO", ProxyHeaderReader(), 0
    for at in range(0, len(stream), size):
        if at > used:
            break
        used += reader.take(stream[at : at + size])
    assert (reader.header, reader.left, used) == (HEADERS[data], 0, len(data))


def test_a_long_header_is_counted_and_not_kept() -> None:
    reader = ProxyHeaderReader()
    assert reader.take(SIGNATURE + b"\x21\x00\xff\xff") == 16
    for _ in range(65):
        assert reader.take(bytes(1000)) == 1000
    assert (reader.left, reader.take(bytes(1000))) == (535, 535)


pieces = st.lists(
    st.sampled_from([*HEADERS, SIGNATURE, b"PROXY ", b"TCP4 ", b"1", b"\r\n", b"\0", b"\xff"]), max_size=6
)


@given(pieces.map(b"".join) | st.binary(max_size=300))
def test_whatever_comes_is_read_alike_in_one_piece_and_by_octet(data: bytes) -> None:
    whole, reader = ProxyHeaderReader(), ProxyHeaderReader()
    used = 0
    while used < len(data) and reader.take(data[used : used + 1]):
        used += 1
    taken = whole.take(data)
    assert whole.header == reader.header
    assert taken == (used if reader.possible else 0)

"""Lengths and broken headers: the payload of a segment, and the bytes of it that were not captured."""

from __future__ import annotations

from typing import Literal

import pytest
from captures import ethernet, ipv4, ipv6, tcp, udp
from readback import collector, segment_of

PAYLOAD = b"MAIL FROM:<a@a.example>\r\n"
SEGMENT = tcp(43210, 25, PAYLOAD)
OPTIONS = b"\1\1\x08\x0a" + bytes(8)

DECODERS: list[Literal["raw", "scapy"]] = ["raw", "scapy"]
pytestmark = pytest.mark.parametrize("decoder_name", DECODERS)
DecoderName = Literal["raw", "scapy"]


@pytest.mark.parametrize("packet", [ipv4(SEGMENT), ipv6(SEGMENT)])
def test_ethernet_padding_is_not_payload(packet: bytes, decoder_name: DecoderName) -> None:
    seen = segment_of(1, ethernet(packet) + b"\r\nRSET\r\n", decoder_name=decoder_name)
    assert (seen.payload, seen.missing) == (PAYLOAD, 0)


def test_a_bare_ack_that_is_padded_to_60_bytes_has_no_payload(decoder_name: DecoderName) -> None:
    seen = segment_of(1, ethernet(ipv4(tcp(25, 43210))).ljust(60, b"X"), decoder_name=decoder_name)
    assert (seen.payload, seen.missing) == (b"", 0)


@pytest.mark.parametrize("packet", [ipv4(SEGMENT), ipv6(SEGMENT), ipv4(tcp(1, 25, PAYLOAD, options=OPTIONS))])
def test_bytes_cut_by_the_snap_length_count_as_missing(packet: bytes, decoder_name: DecoderName) -> None:
    frame = ethernet(packet)
    for cut in range(len(PAYLOAD) + 1):
        seen = segment_of(1, frame[: len(frame) - cut], original=len(frame), decoder_name=decoder_name)
        assert (seen.payload, seen.missing) == (PAYLOAD[: len(PAYLOAD) - cut], cut)


def test_a_cut_in_the_tcp_options_leaves_the_whole_payload_missing(decoder_name: DecoderName) -> None:
    frame = ethernet(ipv4(tcp(1, 25, PAYLOAD, options=OPTIONS)))
    for kept in range(14 + 20 + 20, 14 + 20 + 32):
        seen = segment_of(1, frame[:kept], original=len(frame), decoder_name=decoder_name)
        assert (seen.payload, seen.missing) == (b"", len(PAYLOAD))


def test_the_ip_length_counts_even_if_the_record_is_not_cut(decoder_name: DecoderName) -> None:
    frame = ethernet(ipv4(SEGMENT))[:-5]
    seen = segment_of(1, frame, original=len(frame), decoder_name=decoder_name)
    assert (seen.payload, seen.missing) == (PAYLOAD[:-5], 5)


@pytest.mark.parametrize("packet", [ipv4(SEGMENT, total=0), ipv6(SEGMENT, length=0)])
def test_a_length_of_zero_from_send_offload_means_the_whole_frame(packet: bytes, decoder_name: DecoderName) -> None:
    assert segment_of(1, ethernet(packet), decoder_name=decoder_name).payload == PAYLOAD
    cut = segment_of(1, ethernet(packet)[:-5], original=len(ethernet(packet)), decoder_name=decoder_name)
    assert (cut.payload, cut.missing) == (PAYLOAD[:-5], 5)


def test_a_jumbogram_from_send_offload(decoder_name: DecoderName) -> None:
    jumbo = (0, b"\0\xc2\4" + (len(SEGMENT) + 8).to_bytes(4, "big"))
    assert (
        segment_of(1, ethernet(ipv6(SEGMENT, length=0, extensions=[jumbo])), decoder_name=decoder_name).payload
        == PAYLOAD
    )


def test_a_segment_of_more_than_64_kilobytes(decoder_name: DecoderName) -> None:
    big = b"x" * 200_000
    assert segment_of(1, ethernet(ipv4(tcp(1, 25, big), total=0)), decoder_name=decoder_name).payload == big


def test_checksums_are_not_checked(decoder_name: DecoderName) -> None:
    wrong = bytearray(ethernet(ipv4(SEGMENT)))
    wrong[24:26] = wrong[50:52] = b"\x55\x55"
    assert segment_of(1, bytes(wrong), decoder_name=decoder_name).payload == PAYLOAD


def test_only_the_low_eight_flags_are_given(decoder_name: DecoderName) -> None:
    segment = bytearray(tcp(1, 25, flags=0xC2))
    segment[12] |= 0x0F  # reserved bits, one of which used to be NS
    assert segment_of(1, ethernet(ipv4(bytes(segment))), decoder_name=decoder_name).flags == 0xC2


def short_offset(segment: bytes, words: int) -> bytes:
    return segment[:12] + bytes((words << 4,)) + segment[13:]


BROKEN = {
    "TCP header cut": ethernet(ipv4(SEGMENT))[: 14 + 20 + 19],
    "IPv4 header cut": ethernet(ipv4(SEGMENT))[: 14 + 19],
    "IPv6 header cut": ethernet(ipv6(SEGMENT))[: 14 + 39],
    "IP length ends in the TCP header": ethernet(ipv4(SEGMENT, total=39)),
    "IPv6 length ends in the TCP header": ethernet(ipv6(SEGMENT, length=19)),
    "IP length ends in the IP header": ethernet(ipv4(SEGMENT, total=10)),
    "TCP header of 16 bytes": ethernet(ipv4(short_offset(SEGMENT, 4))),
    "TCP header longer than the packet": ethernet(ipv4(short_offset(tcp(1, 25, b"abc"), 15))),
    "IPv6 with the version of IPv4": ethernet(ipv4(SEGMENT), 0x86DD),
    "IPv4 with the version of IPv6": ethernet(ipv6(SEGMENT), 0x0800),
    "IP header of 16 bytes": ethernet(b"\x44" + ipv4(SEGMENT)[1:]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_headers_are_counted_and_give_no_segment(name: str, decoder_name: DecoderName) -> None:
    seen, decoder = collector(decoder_name)
    frame = BROKEN[name]
    decoder.frame(1, 0, ethernet(ipv4(udp(1, 2, b""), protocol=17)), 60, 11)
    decoder.frame(1, 0, frame, len(frame), 12)
    decoder.frame(1, 0, frame, len(frame), 13)
    assert seen == []
    assert decoder.problems() == [
        "2 frames could not be decoded, their headers are cut or damaged (the first is frame 12)"
    ]

"""The three decoders (hot loop, raw decoder, Scapy) give the same segments, for any frames and blocks."""

from __future__ import annotations

import io
import struct
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from captures import Record, ethernet, ipv4, ipv4_fragments, ipv6, ipv6_fragments, pcap, pcapng, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from readback import Seen, collector
from rings import ring_block

from smtpwire.analyzer.frames.input_window import FileWindow, StreamWindow
from smtpwire.analyzer.frames.pcap import FILE_HEADER, PcapReader
from smtpwire.analyzer.frames.pcapng import PcapngReader
from smtpwire.analyzer.live.ring_frames import decode
from smtpwire.analyzer.segments.link_layers import EN10MB, LINKS

if TYPE_CHECKING:
    from smtpwire.analyzer.frames.reader import Reader

ports = st.sampled_from([25, 80, 587, 4000, 43210, 4789])
payloads = st.sampled_from([b"", b"", b"\r\n", b"QUIT\r\n", bytes(range(256))]) | st.binary(max_size=40)
options = st.sampled_from([b"", b"", b"\1\1\x08\x0a" + bytes(8), b"\2\4\5\xb4", b"\1" * 40, b"\x08\0", b"\xfd\x63\1\2"])
segments = st.builds(
    tcp,
    ports,
    ports,
    payloads,
    seq=st.integers(0, 2**32 - 1),
    ack=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 255),
    options=options,
)
ipv4_options = st.sampled_from([b"", b"", b"", b"\1\1\1\0", b"\x94\4\0\0\1\1\1\0"])
lengths = st.sampled_from([None, None, None, None, 0, 19, 40, 41, 60])
packets4 = st.builds(ipv4, segments, options=ipv4_options, total=lengths, identification=st.integers(0, 65535))
extensions = st.sampled_from([(), (), (), ((0, b"\0\5\2\0\0\1\0"),), ((60, b"\0\1\4" + bytes(4)),), ((44, b"\0" * 7),)])
packets6 = st.builds(ipv6, segments, extensions=extensions, length=lengths)
datagrams = st.builds(lambda p, q, x: ipv4(udp(p, q, x), protocol=17), st.sampled_from([53, 25]), ports, payloads)
tunnelled = st.one_of(
    packets4.map(lambda p: ipv4(p, protocol=4)),
    packets6.map(lambda p: ipv4(b"\0\0\x86\xdd" + p, protocol=47)),
    packets4.map(lambda p: ipv6(p, following=4)),
)
packets = st.one_of(packets4, packets4, packets6, packets6, datagrams, tunnelled)
tags = st.sampled_from([(), (), (), (), (0x8100,), (0x88A8, 0x8100), (0x9100, 0x8100)])


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """Frames of a capture: one, or the fragments of one datagram."""
    if draw(st.integers(0, 7)) == 0:
        make: Any = draw(st.sampled_from([ipv4_fragments, ipv6_fragments]))
        parts = make(draw(segments), 8 * draw(st.integers(3, 9)), identification=draw(st.integers(0, 65535)))
        return [Record(ethernet(part)) for part in draw(st.permutations(parts))]
    frame = ethernet(draw(packets), tags=draw(tags)) + draw(st.sampled_from([b"", b"", b"PAD", bytes(12)]))
    kept = draw(st.sampled_from([65535, 65535, 65535, 96, 68, 54, 30]))
    return [Record(frame[:kept], draw(st.integers(0, 2**32 - 1)) * 1_000_000_000 + 999_999_000, len(frame))]


captures = st.lists(records(), max_size=12).map(lambda groups: [record for group in groups for record in group])


def run(reader: Reader, decoder_name: Any = "raw") -> list[Seen]:
    seen, decoder = collector(decoder_name)
    for _ in reader.run(decoder):
        pass
    return seen


def one_by_one(frames: list[Record], decoder_name: Any) -> list[Seen]:
    seen, decoder = collector(decoder_name)
    for number, record in enumerate(frames, 1):
        decoder.frame(1, record.time_ns, record.data, record.length, number)
    return seen


def through_file(data: bytes, kind: type[PcapReader | PcapngReader], block: int) -> list[Seen]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        file.seek(0)
        window = FileWindow(file.fileno(), block)
        window.advance(0, FILE_HEADER)
        return run(kind(window))


def through_ring(frames: list[Record], block: int) -> list[Seen]:
    seen, decoder = collector("raw")
    for start in range(0, len(frames), block):
        part = frames[start : start + block]
        assert decode(ring_block(part), decoder, start, EN10MB).frames == len(part)
    return seen


def through_pipe(data: bytes, kind: type[PcapReader | PcapngReader], block: int) -> list[Seen]:
    view = memoryview(data)
    starts = iter(range(0, len(data), block))
    window = StreamWindow(
        lambda _: bytes(view[at : at + block]) if (at := next(starts, None)) is not None else b"", block
    )
    window.advance(0, FILE_HEADER)
    return run(kind(window))


@settings(deadline=None, max_examples=150)
@given(captures, st.integers(1, 400), st.sampled_from("<>"))
def test_all_decoders_give_the_same_segments(frames: list[Record], block: int, order: Any) -> None:
    truth = one_by_one(frames, "raw")
    assert one_by_one(frames, "scapy") == truth
    for data, kind in ((pcap(frames, order=order), PcapReader), (pcapng(frames, order=order), PcapngReader)):
        assert through_file(data, kind, block) == truth
        assert through_file(data, kind, 1 << 20) == truth
        assert through_pipe(data, kind, block) == truth
    assert through_ring(frames, block) == truth


COOKED = {
    113: lambda packet: struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x86DD if packet[0] >> 4 == 6 else 0x0800) + packet,
    276: lambda packet: (
        struct.pack("!HHIHBB8s", 0x86DD if packet[0] >> 4 == 6 else 0x0800, 0, 3, 1, 0, 6, bytes(8)) + packet
    ),
    101: lambda packet: packet,
}


@pytest.mark.parametrize("link_type", COOKED)
@settings(deadline=None, max_examples=40)
@given(frames=st.lists(packets, max_size=6))
def test_all_decoders_give_the_same_segments_on_other_link_layers(link_type: int, frames: list[bytes]) -> None:
    made = [Record(COOKED[link_type](packet)) for packet in frames]
    results = []
    for decoder_name in ("raw", "scapy"):
        seen, decoder = collector(decoder_name)
        for number, record in enumerate(made, 1):
            decoder.frame(link_type, record.time_ns, record.data, record.length, number)
        results.append(seen)
    assert results[0] == results[1]
    for data, kind in ((pcap(made, link_type), PcapReader), (pcapng(made, link_type), PcapngReader)):
        assert through_file(data, kind, 1 << 20) == results[0]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(LINKS)), st.binary(max_size=120), st.integers(0, 200))
def test_no_bytes_make_a_decoder_raise(link_type: int, data: bytes, original: int) -> None:
    for decoder_name in ("raw", "scapy"):
        _, decoder = collector(decoder_name)
        decoder.frame(link_type, 0, data, original, 1)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_no_damage_to_a_frame_makes_a_decoder_raise(data: st.DataObject) -> None:
    frame = bytearray(ethernet(data.draw(packets)))
    for place in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=6)):
        frame[place] = data.draw(st.integers(0, 255))
    for decoder_name in ("raw", "scapy"):
        seen, decoder = collector(decoder_name)
        decoder.frame(1, 0, bytes(frame), len(frame), 1)
        assert all(len(segment.flow) in (12, 36) and segment.missing >= 0 for segment in seen)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(captures, st.data())
def test_no_damage_to_a_file_makes_a_reader_raise(frames: list[Record], data: st.DataObject) -> None:
    for make, kind, header in ((pcap, PcapReader, 24), (pcapng, PcapngReader, 0)):
        file = bytearray(make(frames))
        for place in data.draw(st.lists(st.integers(header, len(file)), max_size=6)):
            if place < len(file):
                file[place] = data.draw(st.integers(0, 255))
        through_file(bytes(file[: data.draw(st.integers(24, len(file)))]), kind, 100)


def test_plain_frames_are_decoded_in_the_hot_loop() -> None:
    plain = [Record(ethernet(packet(tcp(1, 25, b"x")))) for packet in (ipv4, ipv6)] * 10
    for data, kind in ((pcap(plain), PcapReader), (pcapng(plain), PcapngReader)):
        window = StreamWindow(io.BytesIO(data).read)
        window.advance(0, FILE_HEADER)
        _, decoder = collector()
        for _ in kind(window).run(decoder):
            pass
        assert (decoder.tally.fast, decoder.tally.raw, decoder.tally.scapy) == (20, 0, 0)
    _, decoder = collector()
    decode(ring_block(plain), decoder, 0, EN10MB)
    assert (decoder.tally.fast, decoder.tally.raw, decoder.tally.scapy) == (20, 0, 0)

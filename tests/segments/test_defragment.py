from __future__ import annotations

import random
from typing import Literal

import pytest
from captures import Record, ethernet, ipv4, ipv4_fragments, ipv6, ipv6_fragments, pcap, tcp
from hypothesis import given
from hypothesis import strategies as st
from readback import collector, read

from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.segments.decode_tally import DecodeTally
from smtpwire.analyzer.segments.defragment import LARGEST, REPEAT_SECONDS, Defragmenter
from smtpwire.analyzer.segments.layers import Fragment

PAYLOAD = bytes(range(256)) * 4
SEGMENT = tcp(43210, 25, PAYLOAD, seq=7)
SECOND = 1_000_000_000
DecoderName = Literal["raw", "scapy"]


def decode(frames: list[bytes], decoder_name: DecoderName = "raw") -> list[tuple[bytes, int, int]]:
    seen, decoder = collector(decoder_name)
    for number, frame in enumerate(frames, 1):
        decoder.frame(1, 0, frame, len(frame), number)
    return [(segment.payload, segment.missing, segment.frame) for segment in seen]


@pytest.mark.parametrize("decoder_name", ["raw", "scapy"])
@pytest.mark.parametrize("make", [ipv4_fragments, ipv6_fragments])
def test_fragments_in_any_order_give_a_segment_in_the_frame_that_completes_it(make, decoder_name: DecoderName) -> None:  # type: ignore[no-untyped-def]
    frames = [ethernet(packet) for packet in make(SEGMENT, 64)]
    for order in (frames, frames[::-1], random.Random(1).sample(frames, len(frames))):
        assert decode(order, decoder_name) == [(PAYLOAD, 0, len(frames))]


@pytest.mark.parametrize("decoder_name", ["raw", "scapy"])
def test_fragments_of_a_tunnel_are_joined_before_it_is_opened(decoder_name: DecoderName) -> None:
    gre = b"\0\0\x08\0" + ipv4(SEGMENT)
    assert decode([ethernet(p) for p in ipv4_fragments(gre, 512, protocol=47)], decoder_name) == [(PAYLOAD, 0, 3)]


@pytest.mark.parametrize("decoder_name", ["raw", "scapy"])
def test_fragments_in_a_tunnel_are_joined(decoder_name: DecoderName) -> None:
    frames = [ethernet(ipv4(packet, protocol=4)) for packet in ipv4_fragments(SEGMENT, 512)]
    assert decode(frames, decoder_name) == [(PAYLOAD, 0, 3)]


@pytest.mark.parametrize("decoder_name", ["raw", "scapy"])
def test_fragments_of_packets_that_contain_fragments(decoder_name: DecoderName) -> None:
    frames = [
        ethernet(outer)
        for number, inner in enumerate(ipv4_fragments(SEGMENT, 512))
        for outer in ipv4_fragments(inner, 256, protocol=4, identification=100 + number)
    ]
    assert decode(frames, decoder_name) == [(PAYLOAD, 0, len(frames))]


@pytest.mark.parametrize("decoder_name", ["raw", "scapy"])
def test_padding_after_a_fragment_is_not_part_of_it(decoder_name: DecoderName) -> None:
    frames = [ethernet(packet) + b"PAD" for packet in ipv4_fragments(SEGMENT, 512)]
    assert decode(frames, decoder_name) == [(PAYLOAD, 0, 3)]


def test_the_two_sides_and_two_datagrams_do_not_mix() -> None:
    a = ipv4_fragments(tcp(1, 25, b"a" * 100), 64, identification=1)
    b = ipv4_fragments(tcp(1, 25, b"b" * 100), 64, identification=2)
    mixed = [ethernet(p) for pair in zip(a, b, strict=True) for p in pair]
    assert [payload for payload, _, _ in decode(mixed)] == [b"a" * 100, b"b" * 100]


def test_a_snap_length_in_fragments_is_missing_bytes_at_the_end(tmp_path) -> None:  # type: ignore[no-untyped-def]
    frames = [ethernet(packet) for packet in ipv4_fragments(SEGMENT, 512)]
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap([Record(frame[:300], original=len(frame)) for frame in frames]))
    (segment,) = read(path).segments
    kept = 300 - 14 - 20 - 20
    assert (segment.payload, segment.missing) == (PAYLOAD[:kept], len(PAYLOAD) - kept)


def test_each_frame_twice_gives_the_segment_once() -> None:
    frames = [ethernet(packet) for packet in ipv4_fragments(SEGMENT, 256)]
    doubled = [frame for frame in frames for _ in (1, 2)]
    seen, decoder = collector()
    for number, frame in enumerate(doubled, 1):
        decoder.frame(1, 0, frame, len(frame), number)
    assert [segment.payload for segment in seen] == [PAYLOAD]
    assert decoder.problems() == []


def test_datagrams_may_all_have_the_same_identification() -> None:
    texts = [bytes((letter,)) * 200 for letter in b"abcdef"]
    frames = [ethernet(p) for text in texts for p in ipv4_fragments(tcp(1, 25, text), 64, identification=1)]
    assert [payload for payload, _, _ in decode(frames)] == texts


def piece(offset: int, data: bytes, more: bool = True, identification: int = 1) -> Fragment:
    return Fragment(b"ABCDEFGH", 6, identification, offset, more, data, len(data))


def test_if_fragments_overlap_the_first_bytes_are_kept() -> None:
    fragments = Defragmenter()
    assert fragments.add(piece(8, b"11111111"), 0) is None
    assert fragments.add(piece(0, b"2222222222222222"), 0) is None
    assert fragments.add(piece(8, b"3333333333333333", more=False), 0) == (b"222222221111111133333333", 0, 6)


@given(st.data())
def test_any_fragments_that_cover_a_datagram_make_it_whole_with_the_first_bytes(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 12))
    spans = data.draw(
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda s: sum(s) <= size), max_size=8)
    )
    cover = data.draw(st.permutations([*spans, *((at, 1) for at in range(size))]))
    truth: dict[int, int] = {}
    fragments, found = Defragmenter(), None
    for letter, (at, length) in enumerate(cover, 65):
        for place in range(at, at + length):
            truth.setdefault(place, letter)
        body = bytes((letter,)) * (8 * length)
        found = fragments.add(piece(8 * at, body, more=at + length < size), 0)
        complete = len(truth) == size and any(a + b == size for a, b in cover[: letter - 64])
        assert (found is not None) == complete
        if found:
            break
    assert found is not None
    assert found[0] == b"".join(bytes((truth[at],)) * 8 for at in range(size))


def test_a_datagram_that_is_never_complete_is_dropped_and_reported() -> None:
    seen, decoder = collector()
    first, *_, last = (ethernet(packet) for packet in ipv4_fragments(SEGMENT, 256))
    decoder.frame(1, 0, first, len(first), 1)
    decoder.frame(1, (DEFAULT_LIMITS.fragment_seconds + 1) * SECOND, last, len(last), 2)
    assert seen == []
    assert decoder.problems() == ["2 fragmented datagrams never became whole"]
    decoder.tally = DecodeTally()  # of the next capture
    assert decoder.problems() == []


def test_old_pieces_are_not_used_in_a_new_datagram() -> None:
    fragments = Defragmenter()
    fragments.add(piece(0, b"oldoldol"), 0)
    assert fragments.add(piece(8, b"newnewne", more=False), (DEFAULT_LIMITS.fragment_seconds + 1) * SECOND) is None
    assert fragments.dropped == 1


def test_a_copy_is_recognised_for_a_short_time_only() -> None:
    fragments = Defragmenter()
    pair = piece(0, b"abcdefgh"), piece(8, b"ijk", more=False)
    for since in (0, (REPEAT_SECONDS + 1) * SECOND):
        assert fragments.add(pair[0], since) is None
        assert fragments.add(pair[1], since) == (b"abcdefghijk", 0, 6)
        assert fragments.add(pair[0], since) is None
    assert fragments.unfinished() == 0


def test_memory_is_bounded_for_any_fragments() -> None:
    fragments = Defragmenter()
    for identification in range(65_536):
        fragments.add(piece(8, b"x" * 1400, identification=identification), 0)
    assert fragments.dropped + fragments.unfinished() == 65_536
    assert fragments.dropped > 65_536 - DEFAULT_LIMITS.fragment_bytes // 1400


def test_a_fragment_beyond_the_largest_datagram_is_rejected_and_counted() -> None:
    assert LARGEST % 8
    frame = bytearray(ethernet(ipv4(b"123456789", protocol=6)))
    frame[20:22] = (LARGEST // 8).to_bytes(2, "big")
    _, decoder = collector()
    decoder.frame(1, 0, bytes(frame), len(frame), 1)
    assert decoder.fragments.unfinished() == 0
    assert decoder.tally.undecodable == 1


@pytest.mark.parametrize("decoder_name", ["raw", "scapy"])
def test_a_fragment_header_that_is_cut_is_counted(decoder_name: DecoderName) -> None:
    frame = ethernet(ipv6_fragments(SEGMENT, 64)[0])[: 14 + 40 + 6]
    _, decoder = collector(decoder_name)
    decoder.frame(1, 0, frame, len(frame), 1)
    assert decoder.tally.undecodable == 1


def test_ipv6_takes_the_next_header_of_the_first_fragment() -> None:
    first, last = ipv6_fragments(SEGMENT, 1024)
    odd = last[:40] + b"\x3b" + last[41:]
    for order in ([first, odd], [odd, first]):
        assert decode([ethernet(packet) for packet in order]) == [(PAYLOAD, 0, 2)]


def test_a_whole_ipv6_packet_is_not_a_fragment() -> None:
    assert decode([ethernet(ipv6(SEGMENT))]) == [(PAYLOAD, 0, 1)]

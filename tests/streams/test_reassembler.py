"""Both directions of a TCP connection are delivered completely, in order and once, and gaps have their length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ACK, CLIENT, FIN, PSH, RST, SERVER, SYN, flow
from hypothesis import given
from hypothesis import strategies as st
from nets import SECOND, Net, open_net

from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.streams.resets import LINGER_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smtpwire.analyzer.streams.flow import Flow
    from smtpwire.analyzer.streams.stream import Stream

PROOF = DEFAULT_LIMITS.loss_proof_frames


def streams(flow: Flow) -> list[Stream]:
    """Both directions of a flow, if something in it is not in order."""
    return [] if flow.disorder is None else [flow.disorder.client, flow.disorder.server]


# -- in order, and not ------------------------------------------------------------------------------------------------


def test_lockstep_is_delivered_at_once() -> None:
    net = open_net().server(0, b"220 hi\r\n").client(0, b"QUIT\r\n", acks=8).server(8, b"221 bye\r\n", acks=6)
    assert net.heard.log == [("S", b"220 hi\r\n"), ("C", b"QUIT\r\n"), ("S", b"221 bye\r\n")]
    assert net.heard.frames == [4, 5, 6]
    assert net.heard.flow.handshake
    assert net.heard.flow.first_frame == 1


def test_a_connection_starts_with_its_syn_after_a_clock_change_or_a_file_end() -> None:
    net = Net().client(-1, flags=SYN)
    net.time_ns -= SECOND // 2
    net.server(-1, flags=SYN | ACK)
    net.frame = 0
    net.server(0, b"220 hi\r\n")
    assert net.heard.flow.started[::2] == (SECOND + 1_000_000, 1)


def test_each_piece_says_how_much_of_the_peer_its_sender_had_seen() -> None:
    net = open_net().server(0, b"220 hi\r\n").client(0, b"A", acks=4).client(1, b"B", acks=8)
    assert net.heard.seen == [0, 4, 8]


def test_swapped_segments_are_put_in_order() -> None:
    net = open_net().client(0, b"EHLO ").client(12, b"RSET\r\n").client(5, b"a.com\r\n")
    assert net.heard.log == [("C", b"EHLO "), ("C", b"a.com\r\n"), ("C", b"RSET\r\n")]
    assert net.heard.frames == [4, 6, 5]


def test_the_last_of_many_segments_may_come_first() -> None:
    net = open_net()
    for at in reversed(range(6)):
        net.client(at, b"RSET\r\n"[at : at + 1])
    assert net.heard.bytes["C"] == b"RSET\r\n"


def test_retransmitted_bytes_are_delivered_once() -> None:
    net = open_net().client(0, b"NOOP\r\n").client(0, b"NOOP\r\n").client(6, b"QUIT\r\n")
    assert net.heard.bytes["C"] == b"NOOP\r\nQUIT\r\n"
    assert net.heard.conflicts == []


def test_a_retransmission_with_more_bytes_adds_the_new_ones() -> None:
    net = open_net().client(0, b"NOOP\r\n").client(0, b"NOOP\r\nQUIT\r\n")
    assert net.heard.log == [("C", b"NOOP\r\n"), ("C", b"QUIT\r\n")]


def test_bytes_that_come_again_too_far_back_are_noted() -> None:
    net = open_net(limits=Limits(compared_bytes=6))
    for at, line in enumerate((b"NOOP\r\n", b"RSET\r\n", b"QUIT\r\n")):
        net.client(6 * at, line)
    net.client(6, b"VRFY\r\nQUIT\r\n")  # of these, six are remembered
    assert net.heard.conflicts == []
    assert net.heard.flow.noted.uncompared == {"client": (6, 6)}
    net.client(6, b"VRFY\r\nNOOP\r\n")
    assert net.heard.conflicts == [("C", 12)]
    assert net.heard.flow.noted.uncompared == {"client": (6, 12)}


def test_bytes_before_the_first_captured_one_are_no_copies() -> None:
    net = (
        Net().client(500, b"RSET\r\n", acks=900).server(900, b"250 ok\r\n", acks=506).client(490, b"earlier...RSET\r\n")
    )
    assert net.heard.flow.remarks is None


def test_different_bytes_at_the_same_offset_are_a_conflict_and_the_first_copy_wins() -> None:
    net = open_net().client(0, b"RCPT TO:<a@x>\r\n").client(0, b"RCPT TO:<b@x>\r\n")
    assert net.heard.bytes["C"] == b"RCPT TO:<a@x>\r\n"
    assert net.heard.conflicts == [("C", 9)]


def test_the_first_copy_of_out_of_order_bytes_wins_too() -> None:
    net = open_net().client(0, b"NO").client(4, b"\r\nQUIT").client(4, b"\r\nRSET").client(2, b"OP")
    assert net.heard.bytes["C"] == b"NOOP\r\nQUIT"
    assert net.heard.conflicts == [("C", 6)]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_overlapping_segments_are_joined(order: tuple[int, ...]) -> None:
    whole = b"MAIL FROM:<a@x.example>\r\n"
    pieces = [(0, whole[0:10]), (6, whole[6:18]), (12, whole[12:])]
    net = open_net()
    for index in order:
        net.client(*pieces[index])
    assert net.heard.bytes["C"] == whole
    assert net.heard.conflicts == []


def test_a_held_segment_may_cover_another_on_both_sides() -> None:
    net = open_net().client(0, b"a").client(3, b"d").client(2, b"cde").client(1, b"b")
    assert net.heard.bytes["C"] == b"abcde"


# -- sequence numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", range(0, 26))
def test_sequence_numbers_wrap_at_two_to_the_thirty_second(before: int) -> None:
    net = open_net(client=(1 << 32) - 1 - before, server=(1 << 32) - 1 - before)
    net.server(0, b"220 hi\r\n")
    net.client(5, b"x\r\n", acks=8).client(0, b"EHLO ", acks=8).client(0, b"EHLO x\r\n", acks=8)
    net.server(8, b"250 ok\r\n", acks=8).client(8, b"QUIT\r\n", acks=16).server(16, b"221 bye\r\n", acks=14)
    net.server(25, flags=FIN | ACK, acks=14).client(14, flags=FIN | ACK, acks=26)
    assert net.heard.bytes == {"C": b"EHLO x\r\nQUIT\r\n", "S": b"220 hi\r\n250 ok\r\n221 bye\r\n"}
    assert net.heard.gaps == []
    assert net.heard.conflicts == []
    assert net.heard.closed_by == [("S", "fin"), ("C", "fin")]


@pytest.mark.parametrize("before", range(0, 12))
def test_a_loss_across_the_wrap_has_the_correct_length(before: int) -> None:
    net = open_net(client=(1 << 32) - 1 - before)
    net.client(0, b"ab").client(8, b"cd").server(0, acks=10).idle(PROOF)
    assert net.heard.gaps == [("C", 2, 6)]
    assert net.heard.bytes["C"] == b"abcd"


def test_a_sequence_number_beyond_any_window_is_not_accepted() -> None:
    net = open_net().client(0, b"NOOP\r\n").client(1 << 31, b"forged").client((1 << 30) + 9, b"forged")
    net.server(0, acks=1 << 31).client(6, b"QUIT\r\n").idle(3 * PROOF)
    assert net.heard.bytes["C"] == b"NOOP\r\nQUIT\r\n"
    assert net.heard.gaps == []


@pytest.mark.parametrize("claim", [7, 1000, 1 << 20, (1 << 30) + 2, 1 << 31])
def test_a_forged_ack_hides_no_byte_from_the_audit(claim: int) -> None:
    net = open_net().client(0, b"NOOP\r\n").server(0, b"250 ok\r\n", acks=claim)
    for n in range(1, 20):
        net.client(6 * n, b"NOOP\r\n", acks=8 * n).server(8 * n, b"250 ok\r\n", acks=6 * n + 6)
    net.reassembler.close()
    assert net.heard.gaps == []
    assert net.heard.bytes == {"C": 20 * b"NOOP\r\n", "S": 20 * b"250 ok\r\n"}


def test_a_forged_ack_does_not_delay_answers() -> None:
    net = open_net().client(0, b"NOOP\r\n").server(0, b"250 ok\r\n", acks=1 << 20)
    for n in range(1, PROOF + 2):
        net.client(6 * n, b"NOOP\r\n", acks=8 * n).server(8 * n, b"250 ok\r\n", acks=6 * n + 6)
    assert net.heard.bytes["S"] == (PROOF + 2) * b"250 ok\r\n"
    assert net.heard.flow.disorder is None


def test_a_forged_ack_is_forgotten_at_the_end_of_the_connection() -> None:
    net = open_net().client(0, b"NOOP\r\n").server(0, acks=1 << 20).server(0, b"250 ok\r\n", acks=6)
    net.reassembler.close()
    assert net.heard.gaps == []
    assert net.heard.log == [("C", b"NOOP\r\n"), ("S", b"250 ok\r\n")]


def test_a_tap_that_is_far_behind_loses_nothing_while_it_delivers() -> None:
    net = open_net()
    for n in range(5 * PROOF):
        net.server(8 * n, b"250 ok\r\n", acks=6 * n)
        if n >= PROOF // 2:
            late = n - PROOF // 2
            net.client(6 * late, b"NOOP\r\n", acks=8 * (late + 1))
    assert net.heard.gaps == []
    assert net.heard.log[:6] == [("S", b"250 ok\r\n"), ("C", b"NOOP\r\n")] * 3


def test_a_segment_without_captured_bytes_is_only_a_gap() -> None:
    net = open_net().client(0, missing=6).client(6, b"QUIT\r\n").server(0, acks=12).idle(PROOF)
    assert net.heard.log == [("C", 6), ("C", b"QUIT\r\n")]


# -- probes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [b"", b"\0", b"x"])
def test_a_keep_alive_is_not_data(garbage: bytes) -> None:
    net = open_net().client(0, b"NOOP\r\n").client(5, garbage).client(5, garbage).client(6, b"QUIT\r\n")
    assert net.heard.bytes["C"] == b"NOOP\r\nQUIT\r\n"
    assert net.heard.conflicts == []


def test_a_zero_window_probe_is_the_first_byte_of_later_data() -> None:
    net = open_net().client(0, b"NOOP\r\n").client(6, b"Q").client(6, b"Q").client(6, b"QUIT\r\n")
    assert net.heard.bytes["C"] == b"NOOP\r\nQUIT\r\n"
    assert net.heard.conflicts == []


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_connection_ends_when_both_sides_have_ended_it() -> None:
    net = open_net().client(0, b"QUIT\r\n").server(0, b"221 bye\r\n", acks=6)
    net.server(9, acks=6, flags=FIN | ACK)
    assert net.heard.closed_by == [("S", "fin")]
    assert not net.heard.finished
    net.client(6, acks=10, flags=FIN | ACK)
    assert net.heard.closed_by == [("S", "fin"), ("C", "fin")]
    assert net.heard.finished == [""]
    assert len(net.reassembler.table) == 0


def test_a_fin_with_data_comes_after_the_data() -> None:
    net = open_net().client(6, flags=FIN | ACK).client(0, b"QUIT\r\n")
    assert net.heard.bytes["C"] == b"QUIT\r\n"
    assert net.heard.closed_by == [("C", "fin")]


def test_nothing_is_delivered_after_a_fin() -> None:
    net = open_net().client(0, b"QUIT\r\n", flags=FIN | ACK).client(6, b"NOOP\r\n").client(7, b"NOOP\r\n")
    assert net.heard.bytes["C"] == b"QUIT\r\n"


def test_a_reset_ends_the_connection_if_its_receiver_does_not_go_on() -> None:
    net = open_net().client(0, b"DATA\r\n").server(0, flags=RST | ACK, acks=6)
    list(net.reassembler.ends.sweep(net.time_ns + LINGER_NS))
    assert net.heard.closed_by == []
    list(net.reassembler.ends.sweep(net.time_ns + LINGER_NS + 1))
    assert net.heard.closed_by == [("S", "rst")]
    assert net.heard.finished == [""]


def test_a_reset_with_the_flag_of_a_fin_is_a_reset() -> None:
    net = open_net().client(0, b"DATA\r\n").server(0, flags=RST | FIN | ACK, acks=6)
    net.reassembler.close()
    assert net.heard.closed_by == [("S", "rst")]
    assert net.heard.finished == [""]


def test_the_side_that_has_ended_stays_ended_if_the_roles_change() -> None:
    net = open_net().client(0, b"QUIT\r\n", flags=FIN | ACK)
    net.heard.flow.swap()
    net.server(0, flags=FIN | ACK, acks=7)
    assert net.heard.finished == [""]


def test_a_reset_outside_the_window_is_ignored() -> None:
    net = open_net().client(0, b"DATA\r\n").server(2_000_000, flags=RST).server(-9, flags=RST)
    net.server(0, b"354 go\r\n", acks=6)
    assert net.heard.closed_by == []
    assert net.heard.bytes["S"] == b"354 go\r\n"


@pytest.mark.parametrize("place", [1, 500, 60_000, -1])
def test_a_reset_near_the_expected_number_may_be_forged_and_ends_no_active_connection(place: int) -> None:
    net = open_net().client(0, b"DATA\r\n").server(place, flags=RST).server(0, b"354 go\r\n", acks=6)
    assert net.heard.bytes["S"] == b"354 go\r\n"
    net.reassembler.close()
    assert net.heard.closed_by == []


def test_a_reset_near_the_expected_number_counts_if_its_sender_sends_nothing_more() -> None:
    net = open_net().client(0, b"DATA\r\n").server(9, flags=RST).client(6, b"more")
    net.reassembler.close()
    assert net.heard.closed_by == [("S", "rst")]
    assert net.heard.bytes["C"] == b"DATA\r\nmore"


def test_a_reset_after_a_gap_has_the_acknowledged_number() -> None:
    """The server's 8 bytes are lost; the client acknowledged them, so it expects the number after them."""
    net = open_net().client(0, b"DATA\r\n", acks=8).server(8, flags=RST)
    net.reassembler.close()
    assert net.heard.closed_by == [("S", "rst")]
    assert net.heard.gaps == [("S", 0, 8)]


def test_a_reset_after_an_unknown_gap_shows_how_much_was_lost() -> None:
    net = open_net().client(0, b"DATA\r\n").server(0, b"354 go\r\n", acks=6).client(706, acks=28, flags=RST | ACK)
    assert net.heard.closed_by == []  # it may be forged
    net.reassembler.close()
    assert sorted(net.heard.gaps) == [("C", 6, 700), ("S", 8, 20)]
    assert net.heard.closed_by == [("C", "rst")]


def test_the_numbers_of_a_forged_reset_are_forgotten() -> None:
    net = open_net().client(0, b"DATA\r\n").client(706, flags=RST).client(6, b"more")
    net.reassembler.close()
    assert net.heard.gaps == []


def test_a_reset_after_a_fin_has_the_next_number() -> None:
    net = open_net().client(0, b"QUIT\r\n", flags=FIN | ACK).client(7, flags=RST)
    net.reassembler.close()
    assert net.heard.closed_by == [("C", "fin"), ("C", "rst")]


@pytest.mark.parametrize("flags", [SYN, SYN | ACK])
@pytest.mark.parametrize("side", ["C", "S"])
def test_a_forged_syn_ends_nothing_and_hides_nothing(side: str, flags: int) -> None:
    net = open_net().server(0, b"220 hi\r\n").client(0, b"NOOP\r\n", acks=8)
    net.send(side, 123_456_789, flags=flags, acks=987_654)
    net.server(8, b"250 ok\r\n", acks=6).client(6, b"QUIT\r\n", acks=16)
    net.reassembler.close()
    assert len(net.flows) == 1
    assert net.heard.bytes == {"C": b"NOOP\r\nQUIT\r\n", "S": b"220 hi\r\n250 ok\r\n"}
    assert net.heard.gaps == []


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_forged_syn_in_the_handshake_hides_nothing(when: int) -> None:
    net = Net()
    for number, (side, flags) in enumerate([("C", SYN), ("S", SYN | ACK), ("C", ACK)], 1):
        net.send(side, 0 if flags == ACK else -1, flags=flags)
        if number == when:
            net.client(55_555_555, flags=SYN)
    net.server(0, b"220 hi\r\n").client(0, b"QUIT\r\n", acks=8)
    net.reassembler.close()
    (heard,) = net.flows
    assert heard.bytes == {"C": b"QUIT\r\n", "S": b"220 hi\r\n"}
    assert heard.gaps == []


def test_a_keep_alive_may_come_before_all_data() -> None:
    net = open_net().server(-1, b"\0").server(0, b"220 hi\r\n")
    assert net.heard.bytes["S"] == b"220 hi\r\n"
    assert net.heard.flow.handshake


def test_with_one_direction_a_new_connection_starts_with_the_segment_after_its_syn() -> None:
    net = Net().client(-1, flags=SYN).client(0, b"NOOP\r\n")
    net.first["C"] = 77_000
    net.client(-1, flags=SYN).client(0).client(0, b"QUIT\r\n")
    assert [heard.bytes["C"] for heard in net.flows] == [b"NOOP\r\n", b"QUIT\r\n"]


def test_conflicts_of_one_segment_are_reported_once() -> None:
    net = open_net()
    for place in range(1, 200, 2):
        net.client(place, b"x")
    net.client(0, b"y" * 201)
    assert net.heard.conflicts == [("C", 1)]


def test_a_late_copy_of_a_closed_connection_opens_no_new_one() -> None:
    net = open_net().client(0, b"QUIT\r\n").server(0, flags=RST | ACK, acks=6)
    net.client(0, b"QUIT\r\n").client(-1, flags=SYN).server(-1, flags=SYN | ACK).client(0, b"QUIT\r\n")
    assert len(net.flows) == 1


def test_the_same_ports_start_a_new_connection() -> None:
    net = open_net().client(0, b"NOOP\r\n")
    net.first = {"C": 77_000, "S": 99_000}
    net.handshake().client(0, b"EHLO x\r\n")
    first, second = net.flows
    assert first.finished == ["a new connection started with the same addresses and ports"]
    assert second.bytes["C"] == b"EHLO x\r\n"
    assert second.flow.handshake


def test_the_same_ports_may_be_used_again_after_a_close() -> None:
    net = open_net().client(0, b"QUIT\r\n", flags=FIN | ACK).server(0, flags=FIN | ACK, acks=7)
    net.first = {"C": 77_000, "S": 99_000}
    net.handshake().client(0, b"EHLO x\r\n")
    assert [heard.bytes["C"] for heard in net.flows] == [b"QUIT\r\n", b"EHLO x\r\n"]


def test_data_in_a_syn_come_after_it() -> None:
    """TCP Fast Open (RFC 7413)."""
    net = Net().client(-1, b"EHLO x\r\n", flags=SYN).server(-1, flags=SYN | ACK, acks=8)
    net.client(8, b"QUIT\r\n").server(0, b"220 hi\r\n", acks=14)
    assert net.heard.bytes == {"C": b"EHLO x\r\nQUIT\r\n", "S": b"220 hi\r\n"}
    assert net.heard.flow.handshake


def test_a_syn_may_come_after_the_first_data() -> None:
    net = Net().server(0, b"220 hi\r\n", flags=0).client(-1, flags=SYN).client(0, b"QUIT\r\n", acks=8)
    (heard,) = net.flows
    assert heard.flow.handshake
    assert heard.bytes == {"C": b"220 hi\r\n", "S": b"QUIT\r\n"}  # which side is the client is decided elsewhere


@pytest.mark.parametrize("first", [0, 0x10000000, 0x7FFFFFF0, 0xE0000000, 0xFFFFFFFF])
def test_a_handshake_is_recognised_with_any_sequence_numbers(first: int) -> None:
    net = open_net(client=first, server=first ^ 0x80000000).server(0, b"220 hi\r\n").client(0, b"QUIT\r\n", acks=8)
    flow = net.heard.flow
    assert (flow.handshake, flow.isn(client=True), flow.isn(client=False)) == (True, first, first ^ 0x80000000)


def test_a_connection_without_data_ends_too() -> None:
    net = open_net().client(0, b"QUIT\r\n").server(0, acks=6, flags=FIN | ACK).client(6, acks=1, flags=FIN | ACK)
    assert net.heard.closed_by == [("S", "fin"), ("C", "fin")]
    assert net.heard.finished == [""]


def test_open_connections_are_reported_at_the_end_oldest_first() -> None:
    net = open_net().client(0, b"first")
    net.ports = (43211, 25)
    net.handshake().client(0, b"second").client(10, b"third")
    order: list[int] = []
    for heard in net.flows:
        heard.ended = order
    net.reassembler.close()
    assert order == [1, 5]  # first frames
    assert net.flows[1].gaps == [("C", 6, 4)]
    assert net.flows[1].gap_frames == [9]
    assert net.flows[1].bytes["C"] == b"secondthird"


# -- captures that lack something --------------------------------------------------------------------------------------


def test_in_mid_stream_bytes_count_from_the_first_that_was_captured() -> None:
    net = Net().client(500, b"RSET\r\n", acks=900).server(900, b"250 ok\r\n", acks=506)
    assert net.heard.log == [("C", b"RSET\r\n"), ("S", b"250 ok\r\n")]
    assert not net.heard.flow.handshake


def test_in_mid_stream_a_fin_shows_the_position_of_a_silent_side() -> None:
    net = Net().client(500, b"QUIT\r\n", acks=900).client(506, flags=FIN | ACK, acks=900)
    net.server(900, acks=507)
    assert net.heard.finished == []
    net.server(900, flags=FIN | ACK, acks=507)
    assert net.heard.closed_by == [("C", "fin"), ("S", "fin")]
    assert net.heard.finished == [""]


@pytest.mark.parametrize(("later", "flows"), [(SECOND // 2, 1), (2 * SECOND, 2)])
def test_a_late_syn_belongs_to_its_connection_only_for_a_short_time(later: int, flows: int) -> None:
    net = Net().server(0, b"220 hi\r\n")
    net.time_ns += later
    net.client(-1, flags=SYN)
    net.first["S"] += 0 if flows == 1 else 70_000
    net.server(-1, flags=SYN | ACK).client(0, b"QUIT\r\n")
    assert len(net.flows) == flows
    assert net.heard.flow.handshake


def test_one_direction_is_enough() -> None:
    net = Net().client(-1, flags=SYN).client(0, b"EHLO x\r\n", acks=20).client(8, b"QUIT\r\n", acks=60)
    assert net.heard.bytes["C"] == b"EHLO x\r\nQUIT\r\n"
    assert net.heard.gaps == []
    # the peer's numbers are known only from the ACKs: their growth is what the client had seen
    assert net.heard.seen[1] - net.heard.seen[0] == 40


def test_an_ack_proves_a_loss_at_its_exact_offset() -> None:
    net = open_net().client(0, b"EHLO x\r\n").client(30, b"QUIT\r\n").server(0, acks=36)
    net.idle(PROOF - 1)
    assert net.heard.gaps == []  # another tap may still deliver it
    net.idle(1)
    assert net.heard.gaps == [("C", 8, 22)]
    assert net.heard.log == [("C", b"EHLO x\r\n"), ("C", 22), ("C", b"QUIT\r\n")]


def test_without_an_ack_a_gap_may_still_be_filled() -> None:
    net = open_net().client(0, b"EHLO x\r\n").client(30, b"QUIT\r\n").idle(10 * PROOF)
    assert net.heard.gaps == []
    net.client(8, b"MAIL FROM:<a@x.y>  \r\n\r\n"[:22])
    assert net.heard.gaps == []
    assert net.heard.bytes["C"].endswith(b"QUIT\r\n")


def test_the_last_bytes_may_be_lost_too() -> None:
    net = open_net().client(0, b"EHLO x\r\n").server(0, b"250 ok\r\n", acks=14).idle(PROOF)
    assert net.heard.gaps == [("C", 8, 6)]
    assert net.heard.log == [("C", b"EHLO x\r\n"), ("C", 6), ("S", b"250 ok\r\n")]


def test_one_byte_that_only_an_ack_covers_is_a_fin() -> None:
    net = open_net().client(0, b"QUIT\r\n").server(0, b"221 bye\r\n", acks=7).idle(PROOF)
    assert net.heard.gaps == []
    net.reassembler.close()
    assert net.heard.gaps == []
    assert net.heard.bytes["S"] == b"221 bye\r\n"
    assert net.heard.closed_by == [("C", "unseen")]


def test_one_byte_that_only_an_ack_covers_is_a_byte_if_more_follows() -> None:
    net = open_net().client(0, b"QUIT\r").server(0, b"221 bye\r\n", acks=6).idle(PROOF)
    assert net.heard.bytes["S"] == b"221 bye\r\n"
    net.client(6, b"NOOP\r\n", acks=9).server(9, acks=12)
    net.reassembler.close()
    assert net.heard.gaps == [("C", 5, 1)]
    assert net.heard.bytes["C"] == b"QUIT\rNOOP\r\n"
    assert net.heard.closed_by == []


def test_a_fin_that_was_not_captured_comes_before_the_one_that_acknowledges_it() -> None:
    net = open_net().client(0, b"QUIT\r\n").server(0, flags=FIN | ACK, acks=7)
    net.reassembler.close()
    assert net.heard.closed_by == [("C", "unseen"), ("S", "fin")]


def test_an_uncaptured_fin_is_not_late_if_the_peer_ends_long_after_it() -> None:
    net = open_net().client(0, b"QUIT\r\n").server(0, b"221 bye\r\n", acks=7).idle(PROOF)
    assert net.heard.closed_by == []  # it may be a byte
    net.server(9, flags=FIN | ACK, acks=7)
    assert net.heard.closed_by == [("C", "unseen"), ("S", "fin")]
    assert net.heard.finished == [""]


def test_fins_after_a_gap_keep_their_order() -> None:
    """The server's first 8 bytes are lost; its FIN came after the client's, which it acknowledges."""
    net = open_net().client(0, b"QUIT\r\n", acks=8).server(8, b"221 bye\r\n", acks=6)
    net.client(6, flags=FIN | ACK, acks=17).server(17, flags=FIN | ACK, acks=7)
    net.reassembler.close()
    assert net.heard.gaps == [("S", 0, 8)]
    assert net.heard.closed_by == [("C", "fin"), ("S", "fin")]


def test_if_the_syn_of_the_server_was_lost_the_client_shows_the_start_of_the_stream() -> None:
    net = Net().client(-1, flags=SYN).client(0).client(0, b"EHLO x\r\n", acks=22).server(22, b"250 mx\r\n", acks=8)
    net.reassembler.close()
    assert net.heard.gaps == [("S", 0, 22)]


def test_if_the_syn_of_the_client_was_lost_the_server_shows_the_start_of_the_stream() -> None:
    net = Net().server(-1, flags=SYN | ACK).server(0, b"220 hi\r\n").client(8, b"QUIT\r\n", acks=8)
    net.reassembler.close()
    assert net.heard.gaps == [("C", 0, 8)]


def test_a_gap_is_reported_in_the_pieces_that_the_peer_answered() -> None:
    net = open_net().server(0, b"220 hi\r\n").server(8, b"354 go\r\n", acks=6).client(30, b".\r\n", acks=16)
    net.reassembler.close()
    assert net.heard.log[1:] == [("C", 6), ("S", b"354 go\r\n"), ("C", 24), ("C", b".\r\n")]


def test_a_gap_is_reported_in_pieces_even_if_the_answers_came_after_a_gap() -> None:
    """Lost: DATA of the client before the answer, and a reply of the server before that."""
    net = open_net().server(0, b"220 hi\r\n").server(18, b"354 go\r\n", acks=6).client(30, b".\r\n", acks=26)
    net.reassembler.close()
    assert net.heard.log[1:] == [("C", 6), ("S", 10), ("S", b"354 go\r\n"), ("C", 24), ("C", b".\r\n")]


def test_bytes_cut_by_the_snap_length_are_a_gap() -> None:
    net = open_net().client(0, b"Subject: x", missing=90).client(100, b"end\r\n").server(0, acks=105).idle(PROOF)
    assert net.heard.log == [("C", b"Subject: x"), ("C", 90), ("C", b"end\r\n")]


def test_with_one_direction_bytes_cut_by_the_snap_length_are_a_gap_at_once() -> None:
    net = Net().client(-1, flags=SYN).client(0, b"Subject: x", missing=90).client(100, b"end\r\n")
    assert net.heard.log == [("C", b"Subject: x"), ("C", 90), ("C", b"end\r\n")]


def test_another_copy_fills_the_bytes_cut_by_the_snap_length() -> None:
    net = open_net().client(0, b"NOOP", missing=2).client(0, b"NOOP\r\n").server(0, acks=6).idle(PROOF)
    assert net.heard.bytes["C"] == b"NOOP\r\n"
    assert net.heard.gaps == []


def test_a_connection_whose_data_was_all_lost_is_reported() -> None:
    net = open_net().client(40, acks=60)
    net.reassembler.close()
    assert sorted(net.heard.gaps) == [("C", 0, 40), ("S", 0, 60)]


@pytest.mark.parametrize(("sent", "acked"), [(2, 0), (0, 2)])
def test_two_lost_bytes_are_enough_to_report_a_connection(sent: int, acked: int) -> None:
    """One lost byte would be a FIN."""
    net = open_net().client(sent, acks=acked)
    net.reassembler.close()
    assert net.heard.gaps == [("C", 0, 2) if sent else ("S", 0, 2)]
    assert open_net().client(sent // 2, acks=acked // 2).flows == []


def test_a_handshake_without_data_is_not_a_connection() -> None:
    net = open_net().client(0, acks=1, flags=FIN | ACK).server(1, acks=1, flags=FIN | ACK)
    net.reassembler.close()
    assert net.flows == []


# -- causal order ------------------------------------------------------------------------------------------------------


def test_an_answer_captured_before_its_question_waits_for_it() -> None:
    net = open_net().server(0, b"220 hi\r\n").server(8, b"250 ok\r\n", acks=6).client(0, b"NOOP\r\n", acks=8)
    assert net.heard.log == [("S", b"220 hi\r\n"), ("C", b"NOOP\r\n"), ("S", b"250 ok\r\n")]


def test_two_taps_with_a_time_skew_are_put_in_the_real_order() -> None:
    net = open_net()
    for n in range(3):
        net.server(8 * n, b"250 ok\r\n", acks=6 * n)
    for n in range(3):
        net.client(6 * n, b"NOOP\r\n", acks=8 * (n + 1))
    assert [side for side, _ in net.heard.log] == ["S", "C", "S", "C", "S", "C"]
    assert net.heard.gaps == []


def test_a_question_that_was_not_captured_delays_its_answer_only_until_the_proof() -> None:
    net = open_net().server(0, b"220 hi\r\n").server(8, b"250 ok\r\n", acks=6).idle(PROOF)
    assert net.heard.log == [("S", b"220 hi\r\n"), ("C", 6), ("S", b"250 ok\r\n")]


def test_contradictory_acks_delay_nothing() -> None:
    net = open_net().client(0, b"aa", acks=3).server(0, b"bbb", acks=2)
    net.reassembler.close()
    assert net.heard.bytes == {"C": b"aa", "S": b"bbb"}


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "reported"), [(b"X", True), (b"\0", False), (b"a", False)], ids=["another byte", "NUL", "the same"]
)
@pytest.mark.parametrize("skipped", [0, 1], ids=["in order", "after a gap"])
def test_a_single_byte_in_the_middle_is_not_a_keep_alive_unless_it_is_a_nul(
    again: bytes, reported: bool, skipped: int
) -> None:
    net = open_net().client(skipped, b"aaaaaaaa").client(skipped + 3, again)
    assert net.heard.conflicts == ([("C", skipped + 3)] if reported else [])


def test_segments_of_one_gap_are_not_reported_for_another() -> None:
    """The comparison of receivers needs the segments of the gap in which they differ, and no others."""
    net = open_net().client(4, b"aaaa").client(0, b"bbbb").client(10, b"cccc").client(9, b"ccXc").client(8, b"d")
    assert net.heard.conflicts == [("C", 11)]
    assert net.heard.flow.noted.overlaps == {"client": (11, [(10, b"cccc"), (9, b"ccXc")])}


def test_late_bytes_of_a_gap_are_not_compared_with_the_bytes_before_it() -> None:
    net = open_net().client(0, b"EHLO x\r\n").client(30, b"QUIT\r\n").server(0, acks=36).idle(PROOF)
    assert net.heard.gaps == [("C", 8, 22)]
    net.client(8, b"MAIL FROM:<a@x.y>  \r\n\r\n"[:22])
    assert net.heard.conflicts == []


def test_bytes_held_beyond_the_end_are_dropped() -> None:
    net = open_net().client(20, b"beyond").client(6, b"NO").client(0, b"QUIT\r\n", flags=FIN | ACK)
    stream = net.heard.disorder.client
    assert (stream.held, stream.held_bytes, stream.runs) == ([], 0, None)
    assert net.heard.bytes["C"] == b"QUIT\r\n"
    net.server(0, acks=7, flags=FIN | ACK)
    assert net.heard.finished == [""]


def test_of_bytes_held_across_the_end_only_the_first_count() -> None:
    net = open_net().client(4, b"\r\nbeyond").client(6, flags=FIN | ACK).client(0, b"QUIT")
    assert net.heard.bytes["C"] == b"QUIT\r\n"
    assert net.heard.closed_by == [("C", "fin")]


def test_an_ack_that_is_withdrawn_keeps_the_held_bytes() -> None:
    net = open_net().client(10, b"held").server(0, acks=500)
    for _ in range(PROOF):
        net.server(0, acks=0)
    assert net.heard.disorder.client.top == 14
    assert net.heard.gaps == []
    net.client(0, b"0123456789")
    assert net.heard.bytes["C"] == b"0123456789held"


def test_a_gap_with_too_many_held_bytes_is_declared_lost() -> None:
    net = open_net(limits=Limits(held_bytes=100)).client(0, b"a").client(5, b"b" * 60)
    assert net.heard.gaps == []
    net.client(65, b"c" * 60)
    assert net.heard.gaps == [("C", 1, 4)]
    assert net.heard.bytes["C"] == b"a" + b"b" * 60 + b"c" * 60


def test_a_gap_with_too_many_held_segments_is_declared_lost() -> None:
    net = open_net(limits=Limits(held_segments=10)).client(0, b"a")
    for n in range(11):
        net.client(10 + 2 * n, b"b")
    assert net.heard.gaps[0] == ("C", 1, 9)


def test_the_excess_connections_and_a_tenth_are_closed() -> None:
    net = Net(limits=Limits(connections=50))
    for n in range(60):
        net.ports = (40_000 + n, 25)
        net.handshake().client(0, b"x")
    net.reassembler.housekeeping.sweep()
    assert len(net.reassembler.table) == 45


def test_ignored_flows_are_not_remembered_for_ever() -> None:
    net = Net(limits=Limits(closed_connections=10))
    for n in range(200):
        net.ports = (40_000 + n, 25)
        net.handshake().client(0, b"x")
        net.reassembler.ignore(net.heard.flow)
    assert 10 <= len(net.reassembler.ignored) <= 22


def test_if_there_are_too_many_connections_the_longest_idle_are_closed_first() -> None:
    net = Net(limits=Limits(connections=10))
    for n in range(12):
        net.ports = (40000 + n, 25)
        net.handshake().client(0, b"x")
        net.reassembler.housekeeping.sweep()
    assert len(net.reassembler.table) <= 10
    assert [heard.finished != [] for heard in net.flows[:2]] == [True, True]
    assert "more than 10 connections" in net.flows[0].finished[0]
    assert net.flows[-1].finished == []
    assert net.reassembler.housekeeping.evicted == sum(heard.finished != [] for heard in net.flows)


def test_an_idle_connection_is_closed() -> None:
    net = open_net(limits=Limits(idle_seconds=600)).client(0, b"x")
    net.ports = (43211, 25)
    net.time_ns += 700 * SECOND
    net.handshake().client(0, b"y")
    net.reassembler.housekeeping.sweep()
    first, second = net.flows
    assert first.finished == ["no longer followed: idle for more than 600 s"]
    assert second.finished == []


@pytest.mark.parametrize("years", [1, 30])
def test_one_damaged_time_makes_no_connection_idle(years: int) -> None:
    net = open_net(limits=Limits(idle_seconds=600)).client(0, b"x")
    net.reassembler.feed(flow(CLIENT, SERVER, 5, 6), 1, 1, ACK, b"x", 0, 9, years * 365 * 86_400 * SECOND)
    net.reassembler.housekeeping.sweep()
    net.client(1, b"y")
    net.reassembler.housekeeping.sweep()
    net.reassembler.close()
    assert net.flows[0].finished == [""]
    assert net.flows[0].bytes["C"] == b"xy"


def test_a_syn_flood_fills_a_bounded_table() -> None:
    net = Net(limits=Limits(handshakes=100))
    for n in range(1000):
        net.ports = (n, 25)
        net.client(-1, flags=SYN)
    assert len(net.reassembler.table.handshakes) <= 100
    assert net.flows == []
    net.ports = (999, 25)
    net.server(-1, flags=SYN | ACK).client(0, b"EHLO x\r\n")
    assert net.heard.flow.handshake


def test_closed_connections_are_remembered_in_a_bounded_table() -> None:
    net = Net(limits=Limits(closed_connections=10))
    for n in range(100):
        net.ports = (n, 25)
        net.handshake().client(0, b"x").client(1, flags=RST)
    assert len(net.flows) == 100
    assert len(net.reassembler.table.closed) <= 20


def test_an_ignored_flow_is_no_longer_followed() -> None:
    net = open_net().client(0, b"GET / HTTP/1.1\r\n")
    net.reassembler.ignore(net.heard.flow)
    net.client(16, b"Host: x\r\n").server(0, b"HTTP/1.1 200\r\n", acks=25)
    net.reassembler.close()
    assert net.heard.bytes == {"C": b"GET / HTTP/1.1\r\n", "S": b""}
    assert net.heard.finished == []


# -- whatever comes ----------------------------------------------------------------------------------------------------

turns = st.lists(st.tuples(st.sampled_from("CS"), st.binary(min_size=1, max_size=12)), min_size=1, max_size=8)
numbers = st.integers(0, (1 << 32) - 1)
REACH = PROOF - 2  # frames by which a segment may be late: a loss is proven only after more


@given(turns, numbers, numbers, st.data())
def test_any_segmentation_in_nearly_any_order_gives_the_same_bytes(
    said: Sequence[tuple[str, bytes]], client: int, server: int, data: st.DataObject
) -> None:
    sent = {"C": 0, "S": 0}
    frames: list[tuple[str, int, bytes, int]] = []
    for side, text in said:
        peer = "S" if side == "C" else "C"
        at = 0
        while at < len(text):
            size = data.draw(st.integers(1, len(text) - at))
            frames.append((side, sent[side], text[at : at + size], sent[peer]))
            sent[side] += size
            at += size
    again = data.draw(st.lists(st.integers(0, len(frames) - 1), max_size=3))
    arrivals = [(n + data.draw(st.integers(0, REACH // 2)), n) for n in range(len(frames))]
    arrivals += [(n + data.draw(st.integers(0, REACH)), n) for n in again]
    net = open_net(client=client, server=server)
    for _, n in sorted(arrivals):
        net.send(*frames[n])
    net.reassembler.close()
    heard = net.heard
    assert heard.bytes == {side: b"".join(text for who, text in said if who == side) for side in "CS"}
    assert heard.gaps == []
    assert heard.conflicts == []
    happened = [side for side, _ in said]
    in_turns = [side for n, (side, _) in enumerate(heard.log) if n == 0 or heard.log[n - 1][0] != side]
    assert in_turns == [side for n, side in enumerate(happened) if n == 0 or happened[n - 1] != side]


edges = st.one_of(st.integers(-20, 40), st.sampled_from([-(1 << 31), 1 << 31, 1 << 30, (1 << 30) + 1, 1 << 20]))
any_segment = st.tuples(
    st.sampled_from("CS"),
    edges,
    st.binary(max_size=12),
    edges,
    st.sampled_from([ACK, ACK, ACK, PSH | ACK, 0, SYN, SYN | ACK, FIN | ACK, FIN, RST, RST | ACK, SYN | FIN, 255]),
    st.sampled_from([0, 0, 0, 5, 70000]),
)


@given(st.lists(st.tuples(st.integers(1, 40), st.binary(min_size=2, max_size=25)), max_size=25))
def test_out_of_order_the_first_copy_of_each_byte_wins_for_any_overlap(
    sent: Sequence[tuple[int, bytes]],
) -> None:
    net, first, differ = open_net(), {0: 0}, 0
    for place, payload in sent:
        net.client(place, payload)
        differ += any(first.get(at, byte) != byte for at, byte in enumerate(payload, place))
        for at, byte in enumerate(payload, place):
            first.setdefault(at, byte)
        assert sorted(at for at in first if at) == [
            at for one in net.flows[0].disorder.client.held for at in range(one.start, one.end)
        ]
    net.client(0, b"\0")
    end = next(at for at in range(80) if at not in first)
    assert net.heard.bytes["C"][:end] == bytes(first.get(at, 0) for at in range(end))
    assert len(net.heard.conflicts) == differ


@given(st.lists(any_segment, max_size=60), numbers, st.booleans(), st.integers(1, 4))
def test_any_segments_raise_nothing_and_invent_no_byte(
    sent: Sequence[tuple[str, int, bytes, int, int, int]], first: int, greeted: bool, held: int
) -> None:
    limits = Limits(loss_proof_frames=2, held_bytes=20, held_segments=held, handshakes=1, closed_connections=1)
    net = Net(client=first, server=first, limits=limits)
    if greeted:
        net.handshake()
    for segment in sent:
        net.send(*segment)
        for heard in net.flows:
            for stream in streams(heard.flow):
                assert len(stream.held) <= held + 1
                assert stream.held_bytes == sum(len(one.payload) for one in stream.held)
    net.reassembler.close()
    everything = {side: b"".join(payload for who, _, payload, *_ in sent if who == side) for side in "CS"}
    for heard in net.flows:
        assert len(heard.finished) == 1
        for side, received in zip("CS", heard.flow.received, strict=True):
            assert set(heard.bytes[side]) <= set(everything["C"] + everything["S"])
            whole = len(heard.bytes[side]) + sum(length for who, _, length in heard.gaps if who == side)
            assert whole == received
    assert len(net.reassembler.table) == 0

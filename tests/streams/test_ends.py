"""A RST or FIN that its receiver did not accept is no end, and a true one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ACK, FIN, RST, SYN
from nets import Net, open_net

from smtpwire.analyzer.streams import resets
from smtpwire.analyzer.streams.resets import LINGER_NS

if TYPE_CHECKING:
    from smtpwire.analyzer.streams.receiver import Side

SAID = b"250 ok\r\n"


def greeted() -> Net:
    return open_net().server(0, SAID).client(0, b"EHLO x\r\n", acks=8).server(8, SAID, acks=8).client(8, acks=16)


@pytest.mark.parametrize("flags", [RST, RST | ACK])
@pytest.mark.parametrize("side", ["C", "S"])
def test_a_reset_that_the_other_side_does_not_accept_is_left_out(side: str, flags: int) -> None:
    net = greeted()
    net.send(side, 8 if side == "C" else 16, acks=16 if side == "C" else 8, flags=flags)
    net.client(8, b"NOOP\r\n", acks=16).server(16, acks=14).server(16, SAID, acks=14).client(14, acks=24)
    net.client(14, b"QUIT\r\n", acks=24).server(24, SAID, acks=20)
    assert net.heard.bytes == {"C": b"EHLO x\r\nNOOP\r\nQUIT\r\n", "S": SAID * 4}
    assert net.heard.flow.noted.ends_refused == 1
    net.reassembler.close()
    assert net.heard.closed_by == []


@pytest.mark.parametrize("revocable", [True, False])
def test_a_fin_that_the_server_does_not_accept_is_taken_back_if_that_is_possible(*, revocable: bool) -> None:
    net = greeted()
    asked: list[tuple[str, int]] = []

    def revoke(sender: Side, offset: int) -> bool:
        asked.append((sender, offset))
        return revocable

    net.heard.revoke = revoke  # type: ignore[method-assign]
    net.client(8, acks=16, flags=FIN | ACK).client(8, b"NOOP\r\n", acks=16)
    assert net.heard.bytes["C"] == b"EHLO x\r\n"
    net.server(16, SAID, acks=14).client(14, b"QUIT\r\n", acks=24)
    assert asked == [("client", 8)]
    assert net.heard.bytes["C"] == b"EHLO x\r\n" + b"NOOP\r\nQUIT\r\n" * revocable


def test_data_after_a_true_fin_count_for_nothing() -> None:
    """The server acknowledges the FIN and nothing after it."""
    net = greeted().client(8, acks=16, flags=FIN | ACK).client(8, b"NOOP\r\n", acks=16)
    net.server(16, SAID, acks=9).server(24, acks=9, flags=FIN | ACK)
    net.reassembler.close()
    assert net.heard.bytes == {"C": b"EHLO x\r\n", "S": SAID * 3}
    assert net.heard.closed_by == [("C", "fin"), ("S", "fin")]


@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_what_was_under_way_does_not_undo_a_reset(flags: int) -> None:
    """The server's reply acknowledges nothing that the client sent after its RST, for it sent nothing."""
    net = greeted().client(8, b"NOOP\r\n", acks=16).client(14, acks=16, flags=flags)
    net.server(16, SAID, acks=14).server(24, SAID, acks=14)
    net.reassembler.close()
    assert net.heard.closed_by == [("C", "rst")]
    assert net.heard.bytes["S"] == SAID * 2


def test_the_end_comes_at_once_if_the_other_side_resets_too() -> None:
    net = greeted().client(8, flags=RST).server(16, flags=RST)
    assert net.heard.closed_by == [("C", "rst")]
    assert net.heard.finished == [""]


def test_a_new_connection_ends_the_wait() -> None:
    net = greeted().client(8, flags=RST)
    net.first = {"C": 77_000_000, "S": 99_000_000}
    net.client(-1, flags=SYN).server(-1, flags=SYN | ACK).client(0).server(0, b"220 new\r\n")
    assert net.flows[0].closed_by == [("C", "rst")]
    assert net.flows[0].finished == [""]
    assert net.heard.bytes["S"] == b"220 new\r\n"


def test_a_copy_of_the_reset_changes_nothing() -> None:
    net = greeted().client(8, flags=RST).client(8, flags=RST)
    list(net.reassembler.ends.sweep(net.time_ns + LINGER_NS + 1))
    assert net.heard.closed_by == [("C", "rst")]
    assert net.heard.finished == [""]


def test_a_sender_that_goes_on_alone_does_not_keep_the_connection() -> None:
    """Data after the RST count only if the receiver acknowledges them. What is set aside is bounded."""
    net = greeted().client(8, flags=RST)
    for number in range(600):
        net.client(8 + 6 * number, b"NOOP\r\n", acks=16)
    assert net.heard.closed_by == [("C", "rst")]
    assert net.heard.bytes["C"] == b"EHLO x\r\n"
    assert len(net.reassembler.table) == 0


def test_many_resets_wait_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resets, "WAITING_RESETS", 256)
    net = Net()
    for port in range(400):
        net.ports = (1024 + port, 25)
        net.client(-1, flags=SYN).server(-1, flags=SYN | ACK).client(0).server(0, SAID).client(0, acks=8, flags=RST)
    assert 128 < len(net.reassembler.table) <= 257
    list(net.reassembler.ends.sweep(net.time_ns + LINGER_NS + 1))
    assert len(net.reassembler.table) == 0


def test_a_fin_before_the_start_of_the_stream_changes_nothing() -> None:
    net = open_net().server(0, SAID)
    net.heard.revoke = lambda sender, offset: True  # type: ignore[method-assign]
    net.server(-2, flags=FIN | ACK).client(0, b"NOOP\r\n", acks=-1)
    net.server(8, SAID, acks=6)
    net.reassembler.close()
    assert net.heard.bytes == {"C": b"NOOP\r\n", "S": SAID * 2}
    assert net.heard.closed_by == []

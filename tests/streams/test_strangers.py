"""Segments whose numbers fit no connection of their ports begin another one, if both directions agree."""

from __future__ import annotations

from itertools import zip_longest

import pytest
from captures import ACK, FIN, SYN
from nets import Net

SAID = b"250 ok\r\n"
TURNS = [
    ("S", b"220 mx\r\n"),
    ("C", b"EHLO x\r\n"),
    ("S", SAID),
    ("C", b"NOOP\r\n"),
    ("S", SAID),
    ("C", b"QUIT\r\n"),
    ("S", SAID),
]


def dialogue(net: Net, client: int, server: int, *, handshake: bool, ends: bool = True):  # type: ignore[no-untyped-def]
    """Yield after each segment of a connection with these first numbers."""
    sent = {"C": 0, "S": 0}

    def send(side: str, payload: bytes = b"", flags: int = ACK) -> None:
        net.first = {"C": client, "S": server}
        peer = "S" if side == "C" else "C"
        if flags & SYN:
            net.send(side, -1, flags=flags)
        else:
            net.send(side, sent[side], payload, acks=sent[peer], flags=flags)
            sent[side] += len(payload) + (flags & FIN)

    if handshake:
        for side, flags in (("C", SYN), ("S", SYN | ACK), ("C", ACK)):
            send(side, flags=flags)
            yield
    for side, payload in TURNS:
        send(side, payload)
        yield
        send("C" if side == "S" else "S")
        yield
    if ends:
        for side in ("S", "C"):
            send(side, flags=FIN | ACK)
            yield
        send("S")
        yield


def forge(net: Net, count: int) -> None:
    """Send segments of a client whose numbers fit no connection."""
    net.first = {"C": 1_000_000_000, "S": 2_000_000_000}
    for number in range(count):
        net.client(6 * number, b"RSET\r\n")


def heard(net: Net) -> list[dict[str, bytes]]:
    net.reassembler.close()
    for each in net.flows:
        if each.flow.key[-4:-2] == b"\0\x19":  # the first segment came from the server
            each.bytes = {"C": each.bytes["S"], "S": each.bytes["C"]}
    return [each.bytes for each in net.flows]


WHOLE = {
    "C": b"".join(text for side, text in TURNS if side == "C"),
    "S": b"".join(text for side, text in TURNS if side == "S"),
}


@pytest.mark.parametrize("handshakes", [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("apart", [5_000_000, 90_000_000, 1 << 30, (1 << 31) - 5, (1 << 32) - 90_000_000])
@pytest.mark.parametrize("late", [0, 1, 2, 4, 9])
def test_two_networks_with_the_same_addresses(handshakes: tuple[bool, bool], apart: int, late: int) -> None:
    if late >= 4 and handshakes[1]:
        return  # a handshake after the start of the other connection takes its ports
    net = Net()
    one = dialogue(net, 1000, 5000, handshake=handshakes[0])
    other = dialogue(net, (1000 + apart) % (1 << 32), (5000 + 3 * apart // 2) % (1 << 32), handshake=handshakes[1])
    for _ in range(late):
        next(one)
    for _ in zip_longest(one, other):
        pass
    assert heard(net) == [WHOLE, WHOLE]
    assert all(not each.gaps and not each.conflicts for each in net.flows)


@pytest.mark.parametrize("ends", [True, False])
def test_ports_that_are_used_again_without_a_captured_handshake(ends: bool) -> None:
    net = Net()
    for _ in dialogue(net, 1000, 5000, handshake=True, ends=ends):
        pass
    for _ in dialogue(net, 700_000_000, 900_000_000, handshake=False):
        pass
    assert heard(net) == [WHOLE, WHOLE]


def test_one_direction_alone_proves_nothing() -> None:
    """Anyone can forge segments of one side with far numbers."""
    net = Net()
    session = dialogue(net, 1000, 5000, handshake=True)
    for _ in range(8):
        next(session)
    forge(net, 100)
    for _ in session:
        pass
    assert heard(net) == [WHOLE]


def test_both_directions_must_agree() -> None:
    net = Net()
    session = dialogue(net, 1000, 5000, handshake=True)
    for _ in range(8):
        next(session)
    forge(net, 1)
    net.first = {"C": 1_500_000_000, "S": 2_500_000_000}
    net.server(0, b"250 ok\r\n")
    for _ in session:
        pass
    assert heard(net) == [WHOLE]


def test_what_is_set_aside_is_bounded() -> None:
    net = Net()
    for port in range(5000):
        net.ports = (1024 + port, 25)
        session = dialogue(net, 1000, 5000, handshake=True)
        for _ in range(6):
            next(session)
        forge(net, 3)
    assert len(net.reassembler._strangers._aside) <= 1024

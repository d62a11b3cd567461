"""A connection in order takes little memory, and a disorder that is over leaves nothing."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from captures import ACK, PSH, SYN

from smtpwire.analyzer.streams.reassembler import Reassembler
from smtpwire.analyzer.streams.receiver import IGNORING, Receiver

if TYPE_CHECKING:
    from smtpwire.analyzer.streams.flow import Flow
    from smtpwire.analyzer.streams.receiver import How, Side

CONNECTIONS = 5_000
CLIENT, SERVER = 2_000_000_000, 3_000_000_000  # numbers of the first bytes
GREETING = b"220 mx.example.com ESMTP Postfix (Debian/GNU) ready to serve"


class Deaf:
    """A receiver that keeps nothing."""

    weight = 0

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None: ...
    def closed(self, side: Side, how: How, frame: int, time_ns: int, acked: int) -> None: ...
    def revoke(self, sender: Side, offset: int) -> bool:
        return False

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None: ...


class Host:
    def __init__(self) -> None:
        self._receiver: Receiver = Deaf()

    def accept(self, flow: Flow) -> None:
        flow.receiver = self._receiver

    def giving_up(self, flow: Flow) -> None:
        pass

    def finished(self, flow: Flow, why: str) -> None:
        assert flow.receiver is not IGNORING


def keys(number: int) -> tuple[bytes, bytes]:
    client, server = b"\x0a\1" + number.to_bytes(2, "big"), b"\xc0\0\2\x19"
    port = (10_000 + number).to_bytes(2, "big")
    return client + server + port + b"\0\x19", server + client + b"\0\x19" + port


def copy(data: bytes) -> bytes:
    """An object of its own, as each frame gives one."""
    return bytes(bytearray(data))


def open_connections(streams: Reassembler, disordered: bool) -> None:
    """Handshake and greeting of each; the greeting in two segments, the later one first, if ``disordered``."""
    at = 1_780_000_000_000_000_000
    for number in range(CONNECTIONS):
        to_server, to_client = keys(number)
        at += 10_000_000
        streams.feed(copy(to_server), CLIENT - 1, 0, SYN, b"", 0, 4 * number + 1, at)
        streams.feed(copy(to_client), SERVER - 1, CLIENT, SYN | ACK, b"", 0, 4 * number + 2, at + 1)
        streams.feed(copy(to_server), CLIENT + 0, SERVER, ACK, b"", 0, 4 * number + 3, at + 2)
        pieces = [(SERVER + 10, GREETING[10:]), (SERVER, GREETING[:10])] if disordered else [(SERVER, GREETING)]
        for seq, piece in pieces:
            streams.feed(copy(to_client), seq + 0, CLIENT, PSH | ACK, copy(piece), 0, 4 * number + 4, at + 3)
        acked = SERVER + len(GREETING)
        streams.feed(copy(to_server), CLIENT + 0, acked, ACK, b"", 0, 4 * number + 5, at + 4)


def octets_of_each(*, disordered: bool) -> float:
    streams = Reassembler(Host())
    gc.collect()
    tracemalloc.start()
    try:
        open_connections(streams, disordered)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / CONNECTIONS
    finally:
        tracemalloc.stop()
        assert len(streams.table) == CONNECTIONS
        assert all(flow.disorder is None for flow in streams.table)


def test_a_silent_connection_takes_at_most_600_octets() -> None:
    assert octets_of_each(disordered=False) <= 600


def test_a_disorder_that_is_over_leaves_nothing() -> None:
    assert octets_of_each(disordered=True) <= 600

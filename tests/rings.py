"""Blocks of a packet ring, as the kernel writes them, and a ring that a test fills."""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from smtpwire.analyzer.live.packet_ring import RingBlock, RingStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from captures import Record

__all__ = ["FakeRing", "ring_block"]

_NETWORK = 96  # where the kernel puts the network header
_ETHERNET = 14


def ring_block(records: Sequence[Record]) -> RingBlock:
    """Return a block with these Ethernet frames: struct tpacket3_hdr, struct sockaddr_ll, frame, for each of them."""
    pieces = [bytes(48)]
    for number, record in enumerate(records):
        link = _NETWORK - _ETHERNET
        body = record.data + bytes(-(link + len(record.data)) % 16)
        step = link + len(body) if number + 1 < len(records) else 0
        seconds, nanoseconds = divmod(record.time_ns, 1_000_000_000)
        sizes = len(record.data), record.length
        head = struct.pack("=6IHHIIHxx8x", step, seconds, nanoseconds, *sizes, 1, link, _NETWORK, 0, 0, 0)
        address = struct.pack("=H2sIHBB8s", 17, record.data[12:14].ljust(2, b"\0"), 2, 1, 0, 6, bytes(8))
        pieces.append((head + address).ljust(link, b"\0") + body)
    return RingBlock(b"".join(pieces) + bytes(128), 48, len(records))


class FakeRing:
    """Stands in for a PacketRing. ``waiting``: its blocks; ``on_take`` is called when one was taken.

    ``made``: the rings that were opened, for the test that patches it in.
    """

    made: ClassVar[list[FakeRing]] = []

    link_type = 1
    blocks = 16
    up = True

    def __init__(self, interface: str, *_: object, **__: object) -> None:
        self.interface = interface
        self.waiting: deque[RingBlock] = deque()
        self.stopped = False
        self.dropped = 0
        self.on_take: Callable[[], object] = int
        self.made.append(self)

    def take(self) -> RingBlock | None:
        if not self.waiting:
            return None
        block = self.waiting.popleft()
        self.on_take()
        return block

    def stop(self) -> None:
        self.stopped = True

    def statistics(self) -> RingStatistics:
        return RingStatistics(0, self.dropped)

    def fault(self) -> None:
        return None

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        pass

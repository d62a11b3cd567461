"""``RingSocket``: the ring as a socket for Scapy's ``sniff``."""

# Scapy reads packets from a socket one by one, which makes its sniffing slow. A session that supports it may take whole
# blocks with `decode_block`, and `SMTPSession` does: then no Packet object is made, and sniff() gets connections. Every
# other session gets packets as from any socket, from the same ring.

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from scapy.config import conf
from scapy.error import log_runtime
from scapy.supersocket import SuperSocket

from ..connections.tracker import DEFAULT_PORTS
from .packet_ring import DEFAULT_BYTES, PacketRing
from .ring_frames import DecodedBlock, decode, frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..segments.decoder import SegmentDecoder
    from .packet_ring import RingBlock
    from .ring_frames import RingFrame

__all__ = ["RingSocket"]


class RingSocket(SuperSocket):
    """``sniff(opened_socket=RingSocket("eth0"), session=SMTPSession())``.

    ``ports``, ``filter`` (libpcap's language, instead of ``ports``; "" for everything), ``size`` and ``promisc`` are
    as for ``PacketRing``. Raises UsageError if there is no such interface, or no permission to capture on it.
    """

    desc = "read frames from a ring shared with the kernel (AF_PACKET, TPACKET_V3)"
    closed = True  # until the ring is open: Scapy closes a socket whose making failed too

    def __init__(
        self,
        iface: str | None = None,
        ports: frozenset[int] = DEFAULT_PORTS,
        filter: str | None = None,  # the name in Scapy's own sockets
        size: int = DEFAULT_BYTES,
        promisc: bool | None = None,
    ) -> None:
        wanted = conf.sniff_promisc if promisc is None else promisc
        self.ring = PacketRing(str(iface or conf.iface), ports, filter, size=size, promiscuous=bool(wanted))
        self.closed = False
        self.iface = self.ring.interface
        self.ins = self.ring.socket
        self.outs = None
        self.LL = conf.l2types.num2layer[self.ring.link_type]
        self._waiting: deque[RingFrame] = deque()

    def decode_block(self, decoder: SegmentDecoder, number: int) -> DecodedBlock:
        """Pass the available frames to ``decoder``, numbered from ``number + 1``."""
        block = self._take()
        if block is None:
            return DecodedBlock(0, 0, 0, 0)
        return decode(block, decoder, number, self.ring.link_type)

    def recv_raw(self, x: int = 0) -> tuple[Any, bytes | None, float | None]:
        """Return layer, bytes and time of the next frame; None for each if there is none."""
        if not self._waiting:
            block = self._take()
            if block is not None:
                self._waiting.extend(frames(block, self.ring.link_type))
        if not self._waiting:
            return None, None, None
        frame = self._waiting.popleft()
        return self.LL, frame.data, frame.time_ns / 1_000_000_000

    def _take(self) -> RingBlock | None:
        block = self.ring.take()
        if block is None and (fault := self.ring.fault()):  # else select would report it again and again
            log_runtime.warning("%s: %s", self.iface, fault)
        return block

    @staticmethod
    def select(sockets: Sequence[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        """Return those of ``sockets`` that have frames, after ``remain`` seconds at most."""
        ready: list[SuperSocket] = [one for one in sockets if isinstance(one, RingSocket) and one._waiting]
        return ready or SuperSocket.select(list(sockets), remain)

    def close(self) -> None:
        """Release the ring."""
        if not self.closed:
            self.closed = True
            self.ring.close()

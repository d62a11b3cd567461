"""A ring of blocks that the kernel fills with frames and this process empties: AF_PACKET, TPACKET_V3."""

# Theory
# ------
# A socket that gives one frame a call loses frames from some thousand a second on. Here the kernel writes frames one
# after another into blocks of memory that both sides see, and hands over a block when it is full or RETIRE_MS old
# (https://docs.kernel.org/networking/packet_mmap.html). One copy of the block, and it goes back at once: the ring is
# the only queue there is, and a reader that falls behind is told in PACKET_STATISTICS how many frames it missed.
#
# Not everything in a frame is there: the kernel takes out the outer VLAN tag and tells it beside the frame. On the
# loopback interface each frame passes twice, out and in; the way out is left out.
#
# Interfaces without an Ethernet header (and "any", which is all of them) are read from the network header on, as
# libpcap does: the link layer's part of what is known is then a header of its own, LINKTYPE_LINUX_SLL.

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import socket
from struct import Struct
from typing import NamedTuple

from ..errors import UsageError, display_path
from ..segments.link_layers import EN10MB
from .bpf import attach, compile_expression, program_for_ports

__all__ = ["ANY", "BLOCK_BYTES", "COOKED", "DEFAULT_BYTES", "RAW_IP", "PacketRing", "RingBlock", "RingStatistics"]

ANY = "any"
"""The name that stands for all interfaces."""

COOKED, RAW_IP = 113, 101
"""Link types, beside Ethernet's, that a ring may have."""

BLOCK_BYTES = 1 << 18
"""A block: the largest usual frame (64 KB with segmentation offload) fits in several times, and what is longer is cut.
Blocks go by time as well as by size, so 256 of them also stand for 12 s in which a reader may be held up."""

DEFAULT_BYTES = 64 << 20
"""A ring: about two seconds of 100,000 small frames each."""

RETIRE_MS = 50
"""A block is handed over after so long, full or not: what a finding waits for at least when there is little traffic."""

_PAD = bytes(128)  # so that a struct of fixed size can be taken where the last frame begins

_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 1, 5, 6, 10, 23
_PROMISCUOUS = 1
_V3 = 2
_ALL_PROTOCOLS = 3  # ETH_P_ALL
_ETHERNET, _LOOPBACK, _NO_HEADER = 1, 772, 65534  # ARPHRD of linux/if_arp.h
_OURS = 1  # TP_STATUS_USER

_GET_FLAGS, _UP = 0x8913, 1  # SIOCGIFFLAGS, IFF_UP
_flags = Struct("=16xH").unpack_from

_block_head = Struct("=8xIIII").unpack_from  # status, frames, first frame, bytes used
_statistics = Struct("=III").unpack_from


class RingBlock(NamedTuple):
    """Frames as the kernel wrote them: ``frames`` of them, the first at ``first`` in ``data``."""

    data: bytes
    first: int
    frames: int


class RingStatistics(NamedTuple):
    """Frames that passed the filter since the ring was opened, and how many of them found no room in it."""

    frames: int
    dropped: int


class PacketRing:
    """The frames of one interface.

    ``ports``: server ports whose frames are wanted; ``expression``: instead of them, a filter of libpcap's language,
    "" for everything. ``size``: bytes of the ring; where the kernel has not so much, the ring is smaller.
    ``promiscuous``: take frames for other hosts too. Raises UsageError, in one line, where there is no such interface
    or no right to capture on it.
    """

    def __init__(
        self,
        interface: str,
        ports: frozenset[int] = frozenset({25}),
        expression: str | None = None,
        *,
        size: int = DEFAULT_BYTES,
        promiscuous: bool = True,
    ) -> None:
        self.interface = interface
        self.index = 0
        self._promiscuous = promiscuous
        self.index = self.find()
        kind = self._hardware()
        self.link_type = {_ETHERNET: EN10MB, _LOOPBACK: EN10MB, _NO_HEADER: RAW_IP}.get(kind, COOKED)
        program = (
            program_for_ports(ports)
            if expression is None
            else compile_expression(expression, RAW_IP if self.link_type == COOKED else self.link_type)
            if expression
            else None
        )
        self.socket = self._open(socket.SOCK_DGRAM if self.link_type == COOKED else socket.SOCK_RAW)
        try:
            if program is not None:
                attach(self.socket, program)
            self._memory, self.blocks = self._map(size)
            # Elsewhere than on the loopback interface, what goes out passes once.
            self.twice = interface == ANY or (kind == _LOOPBACK and not self._ignore_outgoing())
            self.bind()
        except OSError as error:
            self.socket.close()
            raise UsageError(
                f"cannot capture ({error.strerror})", display_path(interface), "tcpdump -w - | smtpwire audit -"
            ) from error
        self._next = 0
        self._frames = self._dropped = 0

    def find(self) -> int:
        """The number that the interface has now. Raises UsageError where there is none of that name."""
        if self.interface == ANY:
            return 0
        try:
            return socket.if_nametoindex(self.interface)
        except OSError:
            names = ", ".join(name for _, name in socket.if_nameindex())
            raise UsageError("no such interface", display_path(self.interface), f"there are {names}, {ANY}") from None

    def _open(self, kind: int) -> socket.socket:
        try:
            return socket.socket(socket.AF_PACKET, kind, 0)  # of no protocol: nothing comes before the filter is set
        except PermissionError:
            raise UsageError(
                "no right to capture",
                display_path(self.interface),
                "run it with sudo, which it needs only to begin with, or give it CAP_NET_RAW (docs/live.md)",
            ) from None

    def _hardware(self) -> int:
        if self.interface == ANY:
            return -1
        with self._open(socket.SOCK_DGRAM) as probe:
            probe.bind((self.interface, 0))
            return int(probe.getsockname()[3])

    def _map(self, size: int) -> tuple[mmap.mmap, int]:
        """The ring and its number of blocks: half as many, and again, where the kernel has not the memory."""
        self.socket.setsockopt(_SOL_PACKET, _VERSION, _V3)
        blocks = max(2, size // BLOCK_BYTES)
        frame = 2048
        while True:
            wanted = (BLOCK_BYTES, blocks, frame, BLOCK_BYTES // frame * blocks, RETIRE_MS, 0, 0)
            try:
                self.socket.setsockopt(_SOL_PACKET, _RX_RING, Struct("=7I").pack(*wanted))
                return mmap.mmap(self.socket.fileno(), BLOCK_BYTES * blocks), blocks
            except OSError as error:
                if error.errno != errno.ENOMEM or blocks <= 2:
                    raise
                blocks //= 2

    def _ignore_outgoing(self) -> bool:
        try:
            self.socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        except OSError:  # before Linux 4.20
            return False
        return True

    def bind(self) -> None:
        """Begin; or begin again, on an interface of the same name. Needs no right beyond the open socket."""
        self.index = self.find()
        if self.interface == ANY:
            self._bind_to_all()
            return
        self.socket.bind((self.interface, _ALL_PROTOCOLS))
        if self._promiscuous:
            self.socket.setsockopt(
                _SOL_PACKET, _ADD_MEMBERSHIP, Struct("=iHH8s").pack(self.index, _PROMISCUOUS, 0, bytes(8))
            )

    def _bind_to_all(self) -> None:
        """What Python's bind cannot say: interface 0."""
        libc = ctypes.CDLL(None, use_errno=True)
        place = Struct("=HHiHBB8s").pack(socket.AF_PACKET, socket.htons(_ALL_PROTOCOLS), 0, 0, 0, 0, bytes(8))
        if libc.bind(self.socket.fileno(), place, len(place)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def take(self) -> RingBlock | None:
        """The next block, if the kernel has handed one over. The room is the kernel's again at once."""
        memory = self._memory
        at = self._next * BLOCK_BYTES
        status, count, first, used = _block_head(memory, at)
        if not status & _OURS:
            return None
        data = memory[at : at + used] + _PAD
        memory[at + 8 : at + 12] = b"\0\0\0\0"
        self._next = (self._next + 1) % self.blocks
        return RingBlock(data, first, count)

    def fault(self) -> str | None:
        """What the socket has to say since it was last asked, in a word or two: an interface that went down, say."""
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == errno.ENETDOWN:
            return "the interface is down"
        return errno.errorcode.get(number, str(number)) if number else None

    @property
    def up(self) -> bool:
        """Whether the interface is there, is the one that the socket is bound to, and is up."""
        if self.interface == ANY:
            return True
        try:
            if socket.if_nametoindex(self.interface) != self.index:
                return False
            answer = fcntl.ioctl(self.socket, _GET_FLAGS, Struct("=16sH22x").pack(self.interface.encode(), 0))
        except OSError:
            return False
        return bool(_flags(answer)[0] & _UP)

    def statistics(self) -> RingStatistics:
        """What came and what was lost."""
        frames, dropped, _ = _statistics(self.socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
        self._frames += frames  # the kernel counts anew after each question
        self._dropped += dropped
        return RingStatistics(self._frames, self._dropped)

    def fileno(self) -> int:
        """For select and poll."""
        return self.socket.fileno()

    def close(self) -> None:
        """Give the ring back."""
        self._memory.close()
        self.socket.close()

"""A ring of blocks that the kernel fills with frames and this process empties: AF_PACKET, TPACKET_V3."""

# Theory
# ------
# A socket that returns one frame for each call loses frames above a few thousand frames per second. Here the kernel
# writes frames one after another into blocks of shared memory, and delivers a block when it is full or RETIRE_MS old
# (https://docs.kernel.org/networking/packet_mmap.html). The block is copied once and returned immediately: the ring is
# the only queue, and PACKET_STATISTICS tells a reader that is too slow how many frames it missed.
#
# A frame is not complete: the kernel removes the outer VLAN tag and reports it beside the frame.
#
# Interfaces without an Ethernet header (and "any", which means all of them) are read from the network header on, as
# libpcap does: the known facts of the link layer then become a header of their own, LINKTYPE_LINUX_SLL.

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
from .bpf import NOTHING, attach, compile_expression, program_for_ports, without_loopback_copies

__all__ = [
    "ANY",
    "BLOCK_BYTES",
    "COOKED",
    "DEFAULT_BYTES",
    "RAW_IP",
    "RETIRE_MS",
    "PacketRing",
    "RingBlock",
    "RingStatistics",
]

ANY = "any"
"""The name that means all interfaces."""

COOKED, RAW_IP = 113, 101
"""Link types of a ring besides Ethernet's."""

BLOCK_BYTES = 1 << 18
"""Bytes of a block. The largest usual frame (64 KB with segmentation offload) fits in several times; a longer one is
cut. A block is also delivered by time, so 256 of them cover 12 s in which a reader may be delayed."""

DEFAULT_BYTES = 64 << 20
"""Bytes of a ring: about two seconds of 100,000 small frames per second."""

RETIRE_MS = 50
"""A block is delivered after this time, full or not. With little traffic, this is how long a finding waits at least."""

_PAD = bytes(128)  # so that a struct of fixed size can be read at the last frame

_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION = 1, 5, 6, 10
_FANOUT, _FANOUT_HASH, _FANOUT_DEFRAGMENT = 18, 0, 0x8000
_DETACH_FILTER = 27
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
    """Frames as the kernel wrote them: ``frames`` is their number, the first is at ``first`` in ``data``."""

    data: bytes
    first: int
    frames: int


class RingStatistics(NamedTuple):
    """Frames that passed the filter since the ring was opened, and how many of them were dropped because it was
    full."""

    frames: int
    dropped: int


class PacketRing:
    """The frames of one interface.

    ``ports``: server ports whose frames are wanted; ``expression``: instead of them, a filter in libpcap's language, ""
    for everything. ``size``: bytes of the ring; if the kernel does not have that much, the ring is smaller.
    ``promiscuous``: take frames for other hosts too. ``group``: the number of a group of rings, each of which gets
    whole connections; frames come after ``start``. Raises UsageError if there is no such interface or no permission to
    capture on it.
    """

    def __init__(
        self,
        interface: str,
        ports: frozenset[int] = frozenset({25}),
        expression: str | None = None,
        *,
        size: int = DEFAULT_BYTES,
        promiscuous: bool = True,
        group: int | None = None,
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
        if interface == ANY or kind == _LOOPBACK:
            program = without_loopback_copies(program)
        self.socket = self._open(socket.SOCK_DGRAM if self.link_type == COOKED else socket.SOCK_RAW)
        self._program = program
        try:
            if group is not None:
                attach(self.socket, NOTHING)
            elif program is not None:
                attach(self.socket, program)
            self._memory, self.blocks = self._map(size)
            self.bind()
            if group is not None:
                kind = _FANOUT_HASH | _FANOUT_DEFRAGMENT
                self.socket.setsockopt(_SOL_PACKET, _FANOUT, Struct("=HH").pack(group & 0xFFFF, kind))
        except OSError as error:
            self.socket.close()
            raise UsageError(
                f"cannot capture ({error.strerror})", display_path(interface), "tcpdump -w - | smtpwire audit -"
            ) from error
        self._next = 0
        self._frames = self._dropped = 0

    def find(self) -> int:
        """Return the current number of the interface. Raises UsageError if there is none of that name."""
        if self.interface == ANY:
            return 0
        try:
            return socket.if_nametoindex(self.interface)
        except OSError:
            names = ", ".join(name for _, name in socket.if_nameindex())
            raise UsageError("no such interface", display_path(self.interface), f"there are {names}, {ANY}") from None

    def _open(self, kind: int) -> socket.socket:
        try:
            return socket.socket(socket.AF_PACKET, kind, 0)  # protocol 0: no frame comes before the filter is set
        except PermissionError:
            raise UsageError(
                "no permission to capture",
                display_path(self.interface),
                "run it with sudo, which it needs only at the start, or give it CAP_NET_RAW (docs/live.md)",
            ) from None

    def _hardware(self) -> int:
        if self.interface == ANY:
            return -1
        with self._open(socket.SOCK_DGRAM) as probe:
            probe.bind((self.interface, 0))
            return int(probe.getsockname()[3])

    def _map(self, size: int) -> tuple[mmap.mmap, int]:
        """Return the ring and its number of blocks, which is halved until the kernel has enough memory."""
        self.socket.setsockopt(_SOL_PACKET, _VERSION, _V3)
        blocks = ring_blocks(size, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
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

    def bind(self) -> None:
        """Start, or start again on an interface of the same name. Needs no permission beyond the open socket."""
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
        """Bind to interface 0, which Python's bind cannot express."""
        libc = ctypes.CDLL(None, use_errno=True)
        link_address = Struct("=HHiHBB8s").pack(socket.AF_PACKET, socket.htons(_ALL_PROTOCOLS), 0, 0, 0, 0, bytes(8))
        if libc.bind(self.socket.fileno(), link_address, len(link_address)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def take(self) -> RingBlock | None:
        """Return the next block, if the kernel has delivered one. The block is the kernel's again immediately."""
        memory = self._memory
        at = self._next * BLOCK_BYTES
        status, count, first, used = _block_head(memory, at)
        if not status & _OURS:
            return None
        data = memory[at : at + used] + _PAD
        memory[at + 8 : at + 12] = b"\0\0\0\0"
        self._next = (self._next + 1) % self.blocks
        return RingBlock(data, first, count)

    def start(self) -> None:
        """Let frames come: all rings of the group are there."""
        if self._program is not None:
            attach(self.socket, self._program)
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)

    def stop(self) -> None:
        """Take no more frames from the interface; those in the ring stay. Needs no permission."""
        attach(self.socket, NOTHING)

    def fault(self) -> str | None:
        """Return the error of the socket since the last call, in a few words: for example, the interface went down."""
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number == errno.ENETDOWN:
            return "the interface is down"
        return errno.errorcode.get(number, str(number)) if number else None

    @property
    def up(self) -> bool:
        """Whether the interface exists, is the one that the socket is bound to, and is up."""
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
        """Return the numbers of frames received and lost."""
        frames, dropped, _ = _statistics(self.socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
        self._frames += frames  # the kernel resets its counters after each call
        self._dropped += dropped
        return RingStatistics(self._frames, self._dropped)

    def fileno(self) -> int:
        """Return the descriptor, for select and poll."""
        return self.socket.fileno()

    def close(self) -> None:
        """Release the ring."""
        self._memory.close()
        self.socket.close()


def ring_blocks(size: int, memory: int) -> int:
    """Return the number of blocks for a ring of ``size`` bytes. It cannot be swapped out, so it gets at most half of
    the machine's ``memory``."""
    return max(2, min(size, memory // 2) // BLOCK_BYTES)

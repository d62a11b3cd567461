"""Look up the headers of a segment that was read before, to see whether its receiver accepted it."""

# Theory
# ------
# A receiver drops a segment with a wrong checksum (RFC 9293 §3.1, RFC 1122 §3.2.1.2) or, in an open connection, without
# the ACK flag (RFC 9293 §3.10.7.4). Somebody on the path can send such a segment to make the auditor see other bytes
# than the server. But most captures hold wrong checksums of segments that arrived: a host captures its own segments
# before the network card fills them in. So one checksum says nothing; two copies of the same bytes of which one is
# right and the other wrong say which of them counts.
#
# This is asked only where copies differ. So nothing is computed for a frame that is read: the last blocks of the input
# are kept as they are, and the headers are looked up in them. The key of a direction (addresses and ports) stands in a
# packet without options as it stands in memory, in every capture format and every tunnel. The bytes that are searched
# are bounded by the bytes that were read.

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Protocol

from ..limits import RECENT_BYTES
from .ip_tcp import is_intact

__all__ = ["RecentPackets", "StoredBlock"]

_SHARE = 8  # bytes that may be searched for each byte that was read
_TCP, _ACK = 6, 16

_header = Struct("!IIBB").unpack_from


class StoredBlock(Protocol):
    """A block that is not in memory."""

    def __len__(self) -> int: ...

    def load(self) -> bytes:
        """Return its bytes; none if they can no longer be read."""


class RecentPackets:
    """The last blocks of the input."""

    def __init__(self) -> None:
        self._blocks: deque[bytes | StoredBlock] = deque()
        self._kept = 0
        self._allowance = 0  # bytes that may be searched

    def add(self, block: bytes | StoredBlock) -> None:
        """Keep one more block."""
        blocks = self._blocks
        if blocks and blocks[-1] is block:
            return
        blocks.append(block)
        self._kept += len(block)
        self._allowance = min(self._allowance + len(block) * _SHARE, 64 * RECENT_BYTES)
        while self._kept > RECENT_BYTES and len(blocks) > 1:
            self._kept -= len(blocks.popleft())

    def is_intact(self, key: bytes, seq: int, piece: bytes) -> bool | None:
        """Return whether a receiver accepted ``piece`` at ``seq`` of direction ``key``: True if any segment with these
        bytes is intact, False if all of them are not, None if none was found."""
        found: bool | None = None
        for block in self._blocks:
            if self._allowance <= 0:
                return None
            self._allowance -= len(block)
            data = block if isinstance(block, bytes) else block.load()
            at = data.find(key)
            while at >= 0:
                self._allowance -= 512  # a match costs about as much as searching so many bytes
                intact = _check(data, at, len(key), seq, piece)
                if intact:
                    return True
                found = intact if found is None else found
                at = data.find(key, at + 1)
        return found


def _check(block: bytes, at: int, key_size: int, seq: int, piece: bytes) -> bool | None:
    """Return whether the packet whose addresses start at ``at`` is intact; None: it does not have ``piece``."""
    tcp = at + key_size - 4
    if len(block) < tcp + 20:
        return None
    number, _, words, flags = _header(block, tcp + 4)
    body = tcp + (words >> 2 & 60)
    if key_size == 12:
        start = at - 12
        if start < 0 or block[start] != 0x45 or block[at - 3] != _TCP:
            return None
        end = start + int.from_bytes(block[start + 2 : start + 4], "big")
    else:
        start = at - 8
        if start < 0 or block[start] >> 4 != 6 or block[start + 6] != _TCP:
            return None
        end = tcp + int.from_bytes(block[start + 4 : start + 6], "big")
    place = body + ((seq - number) & 0xFFFFFFFF)
    if not tcp < body <= end <= len(block) or block[place : min(place + len(piece), end)] != piece:
        return None
    if not flags & _ACK:
        return False
    if key_size == 12 and int.from_bytes(block[start : start + 20], "big") % 0xFFFF:
        return False
    return is_intact(block[at:tcp], block[tcp:end])

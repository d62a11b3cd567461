"""The values that the headers of a frame pass on: where the next header starts, or what was found."""

# Theory
# ------
# A frame is a chain of headers, and each says what comes next by a number: an EtherType, an IP protocol, a port. So a
# header is a function, a `Step`: it takes the packet and the offset of the header, and returns the kind of number, the
# number and the offset of the next header. `tunnels.ROWS` says which step that is. The chain ends with a step that
# returns what was found.
#
# A step reads bytes without asking whether they are there. If they are not, `struct.error` or `IndexError` ends the
# chain, and `tunnels.decode` turns it into a result.

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec

__all__ = [
    "BROKEN",
    "NO_TCP",
    "Found",
    "Fragment",
    "Next",
    "Packet",
    "Row",
    "SegmentFields",
    "SkipReason",
    "Step",
    "Undecoded",
]

SegmentFields = tuple[bytes, int, int, int, bytes, int]
"""(flow, seq, ack, flags, payload, missing), as in a ``SegmentSink``."""


class Fragment(msgspec.Struct, frozen=True):
    """A fragment of an IP datagram. ``length``: its bytes on the wire; ``data`` is shorter if the capture cut it."""

    addresses: bytes
    protocol: int
    identification: int
    offset: int
    more: bool
    data: bytes
    length: int


class SkipReason(Enum):
    """Why a frame has neither a segment nor a fragment: it is known to hold no TCP, or its headers are cut or
    contradict each other."""

    NO_TCP = "no TCP"
    BROKEN = "broken"


NO_TCP: Final = SkipReason.NO_TCP
BROKEN: Final = SkipReason.BROKEN


class Undecoded(msgspec.Struct, frozen=True):
    """A frame whose content is unknown. ``what`` names what could not be opened, to follow "frames of". ``odd``: no row
    of the table has this number, but Scapy may have a layer for it."""

    what: str
    odd: bool = False


Found = SegmentFields | Fragment | SkipReason | Undecoded

Next = tuple[str, int, int]
"""The kind of number (a key of ``tunnels.ROWS``), the number, and the offset of the next header."""


class Packet:
    """One frame while its headers are read. ``length``: its bytes on the wire. ``addresses`` and ``end``: those of the
    innermost IP header so far, and where its content ends. ``depth``: the IP headers so far."""

    __slots__ = ("addresses", "data", "depth", "end", "length")

    def __init__(self, data: bytes, length: int) -> None:
        self.data = data
        self.length = self.end = length
        self.addresses = b""
        self.depth = 0


Step = Callable[[Packet, int], Next | Found]


class Row(msgspec.Struct, frozen=True):
    """A row of the table of headers. ``name``: as reports name it. ``step``: None if it is not opened; then ``found``
    is what to make of the frame."""

    name: str
    step: Step | None = None
    found: Undecoded | SkipReason = NO_TCP

"""A connection that says nothing for a while: its segments in as few bytes as they have."""

# A hundred thousand connections may stand open at once, so this is counted in bytes: some 30 for a segment beside its
# payload, and about 300 for being an object that is found by two keys.

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..segments.decoder import WholeSegment
    from .matcher import Walker

__all__ = ["Packed"]

# Whether the segment is the client's; numbers, flags, length of the payload, frame, time.
_layout = Struct("<?IIBIQq")
_HEAD = _layout.size
_pack, _unpack = _layout.pack, _layout.iter_unpack
_COUNT = 4  # bytes in front, that say how many there are


class Waker(Protocol):
    """Whoever holds what is packed."""

    def woken(self, packed: Packed, held: WholeSegment) -> None:
        """A segment came for ``packed``."""


class Packed:
    """What a ``Walker`` held, its handshake included. ``client``, ``server``, ``kind``, ``number``: as there."""

    __slots__ = ("_waker", "_whole", "client", "kind", "number", "server")

    def __init__(self, walker: Walker, waker: Waker) -> None:
        self._waker = waker
        self.client, self.server = walker.client, walker.server
        self.kind, self.number = walker.kind, walker.number
        segments = (*walker.handshake, *walker)
        heads = [
            _pack(key == self.client, seq, ack, flags, len(payload), frame, time_ns)
            for key, seq, ack, flags, payload, frame, time_ns in segments
        ]
        self._whole = b"".join((len(heads).to_bytes(_COUNT, "big"), *heads, *(held[4] for held in segments)))

    def woken(self, held: WholeSegment) -> None:
        """Takes a segment."""
        self._waker.woken(self, held)

    def segments(self) -> list[WholeSegment]:
        """The segments as they came; the first two are the handshake."""
        whole = self._whole
        at = self._end
        segments: list[WholeSegment] = []
        for client, seq, ack, flags, length, frame, time_ns in _unpack(whole[_COUNT:at]):
            payload = whole[at : at + length]
            at += length
            segments.append((self.client if client else self.server, seq, ack, flags, payload, frame, time_ns))
        return segments

    @property
    def _end(self) -> int:
        return _COUNT + _HEAD * int.from_bytes(self._whole[:_COUNT], "big")

    @property
    def started(self) -> tuple[int, int]:
        """Time and frame of the SYN."""
        _, _, _, _, _, frame, time_ns = _layout.unpack_from(self._whole, _COUNT)
        return time_ns, frame

    @property
    def last_ns(self) -> int:
        """Time of the last segment."""
        *_, time_ns = _layout.unpack_from(self._whole, self._end - _HEAD)
        return int(time_ns)

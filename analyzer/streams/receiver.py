"""What receives the events of a connection."""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["IGNORING", "How", "Receiver", "ReceiverOwner", "Remarks", "Side"]

How = Literal["fin", "rst", "unseen"]
Side = Literal["client", "server"]
MOST_FILLED = 256


class Receiver(Protocol):
    """Receives the events of a connection, in the order in which they happened."""

    @property
    def weight(self) -> int:
        """About how many bytes the receiver keeps."""

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int, /) -> None:
        """Take bytes of the client. ``seen``: bytes of the server that it had acknowledged, -1: unknown."""

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int, /) -> None:
        """Take bytes of the server. ``seen``: as for the client."""

    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int, /) -> None:
        """``length`` bytes of ``side`` at ``offset`` are not in the capture."""

    def closed(self, side: Side, how: How, frame: int, time_ns: int, acked: int, /) -> None:
        """``side`` ended its stream. "unseen": with a FIN that was not captured but that the peer acknowledged."""

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int, /) -> None:
        """Bytes of ``side`` at ``offset`` were sent again with other content; the first copy was used."""

    def revoke(self, side: Side, offset: int, /) -> bool:
        """Forget the bytes of ``side`` from ``offset`` on: they never arrived, and others take their place. If all
        bytes are before ``offset``, forget its FIN. Return whether that is possible; if something was made of them
        already, it is not."""


class _Ignoring:
    """The receiver of a connection that is no longer followed."""

    weight = 0

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None: ...
    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None: ...
    def closed(self, side: Side, how: How, frame: int, time_ns: int, acked: int) -> None: ...
    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None: ...

    def revoke(self, side: Side, offset: int) -> bool:
        return False


IGNORING: Receiver = _Ignoring()


class Remarks:
    """What the report of a connection must mention about its segments. ``overlaps``: for each side, the first offset
    where segments after a gap differed, and those segments in order of arrival, each with its offset.
    ``uncompared``: for each side, the first offset and the number of bytes that came again, or late, and were too far
    back to be compared. ``filled``: segments of another capture with bytes that the first one missed, each with its
    time and the number of the capture, at most ``MOST_FILLED``. ``ends_refused``: RST and FIN that their receiver did
    not accept. ``urgent``: frame of the first segment with urgent data, 0 if there is none."""

    __slots__ = ("ends_refused", "filled", "overlaps", "uncompared", "urgent")

    def __init__(self) -> None:
        self.overlaps: dict[Side, tuple[int, list[tuple[int, bytes]]]] = {}
        self.uncompared: dict[Side, tuple[int, int]] = {}
        self.filled: list[tuple[int, int]] = []
        self.ends_refused = 0
        self.urgent = 0

    def add_filled(self, time_ns: int, capture: int) -> None:
        """Note that a segment of ``capture`` fills a gap."""
        if len(self.filled) < MOST_FILLED:
            self.filled.append((time_ns, capture))

    def add_uncompared(self, side: Side, offset: int, count: int) -> None:
        """Note that ``count`` bytes at ``offset`` could not be compared."""
        first, known = self.uncompared.get(side, (offset, 0))
        self.uncompared[side] = first, known + count


class ReceiverOwner(Protocol):
    """What a stream must know of its connection."""

    receiver: Receiver
    last_ns: int

    @property
    def noted(self) -> Remarks:
        """The remarks on this connection."""

    def direction(self, side: Side) -> bytes:
        """Return the key of the direction that ``side`` sends."""

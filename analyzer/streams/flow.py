"""A TCP connection while it is in order: the numbers of both directions, and the receiver of their bytes."""

# Theory
# ------
# Most connections are in order nearly all the time, and many are silent. So a connection in order is one small object:
# for each direction the next sequence number, the offset and the last bytes. If something is not in order (bytes are
# missing, a segment is early, one side has ended, ...), the connection gets a `Disorder` with two `Stream` objects,
# which have everything that reassembly needs. They hold the numbers then. As soon as all of it is settled, the numbers
# are copied back, and the `Disorder` is dropped.
#
# Most connections also end in order: each side sends a FIN after its last byte, or one of them a RST. That needs no
# `Disorder` either, only a bit for each side that has ended (`state`).
#
# Offsets are counted, not sequence numbers: `next` is the 32-bit number that a direction expects, `offset` the count of
# bytes up to there. The two grow together, so the number of the SYN is always `next - offset - 1`.

from __future__ import annotations

from typing import TYPE_CHECKING

from .port_reuse import Lifetime
from .receiver import IGNORING, Receiver, Remarks
from .stream import FIN, HALF, M32, Disorder

if TYPE_CHECKING:
    from ..limits import Limits
    from .receiver import Side
    from .stream import Shared, Stream

__all__ = ["Flow", "reversed_key"]

# Bits of `Flow.state`.
_CLIENT_ENDED, _SERVER_ENDED, _DISORDERED = 1, 2, 4
_BOTH_ENDED = _CLIENT_ENDED | _SERVER_ENDED

# What is known of the start of a direction, as bits of `Flow.starts`.
_CLIENT_SYN, _SERVER_SYN, _CLIENT_START, _SERVER_START = 1, 2, 4, 8


class Flow:
    """A connection. Without a ``disorder``, both directions are known and in order.

    ``key``: of the client's direction; the client is the sender of the SYN, or else of the first segment, unless the
    receiver finds that it is the other one. ``client_next``: the next sequence number of the client, -1: nothing known
    of this direction. ``client_offset``: its bytes so far, gaps included. ``client_recent``: the last of them.
    ``client_acked``: how many of them the server had acknowledged with its last segment, -1: it has sent none since the
    last of them. ``capture``: number of the capture in which it began. ``state``: which sides have ended in order, and
    whether there is a disorder; 0: in order, and no side has ended.
    """

    __slots__ = (
        "capture",
        "client_acked",
        "client_next",
        "client_offset",
        "client_recent",
        "disorder",
        "first_frame",
        "key",
        "last_ns",
        "receiver",
        "remarks",
        "server_acked",
        "server_next",
        "server_offset",
        "server_recent",
        "started_ns",
        "starts",
        "state",
    )

    def __init__(self, key: bytes, frame: int, time_ns: int, capture: int) -> None:
        self.key = key
        self.capture = capture
        self.client_next = self.server_next = -1
        self.client_offset = self.server_offset = 0
        self.client_acked = self.server_acked = 0
        self.client_recent = self.server_recent = b""
        self.receiver: Receiver = IGNORING
        self.disorder: Disorder | None = None
        self.state = 0
        self.remarks: Remarks | None = None
        self.starts = 0
        self.first_frame = frame
        self.started_ns = self.last_ns = time_ns

    @property
    def back(self) -> bytes:
        """The key of the server's direction."""
        return reversed_key(self.key)

    @property
    def both_ended(self) -> bool:
        """Whether the FINs of both sides came in order."""
        return self.state & _BOTH_ENDED == _BOTH_ENDED

    def has_ended(self, key: bytes) -> bool:
        """Return whether the FIN of direction ``key`` came in order."""
        return self.state & (_CLIENT_ENDED if key == self.key else _SERVER_ENDED) != 0

    @property
    def started(self) -> tuple[int, int, int]:
        """Time of the first segment, number of its capture, and its frame there."""
        return self.started_ns, self.capture, self.first_frame

    @property
    def lifetime(self) -> Lifetime:
        """When this connection was active so far."""
        return Lifetime(self.started_ns, self.last_ns, False, self.capture)

    @property
    def handshake(self) -> bool:
        """Whether a SYN of this connection is in the capture."""
        return self.starts & (_CLIENT_SYN | _SERVER_SYN) != 0

    @property
    def client_syn(self) -> bool:
        """Whether the client's SYN is in the capture."""
        return self.starts & _CLIENT_SYN != 0

    @property
    def server_start_known(self) -> bool:
        """Whether the start of the server's direction is known: from its SYN, or from the ACK on the client's SYN."""
        return self.starts & _SERVER_START != 0

    @property
    def received(self) -> tuple[int, int]:
        """The bytes of the client and of the server so far, gaps included."""
        disorder = self.disorder
        if disorder is None:
            return self.client_offset, self.server_offset
        return disorder.client.offset, disorder.server.offset

    @property
    def captured(self) -> bool:
        """Whether segments of both directions are in the capture."""
        disorder = self.disorder
        if disorder is None:
            return self.client_next >= 0 and self.server_next >= 0
        return disorder.client.next >= 0 and disorder.server.next >= 0

    @property
    def noted(self) -> Remarks:
        """The remarks on this connection; they are made when the first is needed."""
        if self.remarks is None:
            self.remarks = Remarks()
        return self.remarks

    def direction(self, side: Side) -> bytes:
        """Return the key of the direction that ``side`` sends."""
        return self.key if side == "client" else self.back

    def expected(self, key: bytes) -> int:
        """Return the next sequence number of the direction ``key``, -1 if nothing is known of it."""
        disorder = self.disorder
        if key == self.key:
            return self.client_next if disorder is None else disorder.client.next
        return self.server_next if disorder is None else disorder.server.next

    def numbers(self, key: bytes) -> tuple[int, int]:
        """Return the next sequence number of the direction ``key`` and that of the other one, as far as they are known:
        if nothing of a direction was captured, what the other one acknowledged; -1 if that is not known either."""
        disorder = self.disorder
        if disorder is None:
            client, server = self.client_next, self.server_next
        else:
            client, server = (one.next if one.next >= 0 else one.base for one in (disorder.client, disorder.server))
        return (client, server) if key == self.key else (server, client)

    def isn(self, *, client: bool) -> int | None:
        """Return the number of the SYN of one direction, None if it is not in the capture."""
        if not self.starts & (_CLIENT_SYN if client else _SERVER_SYN):
            return None
        disorder = self.disorder
        if disorder is not None:
            stream = disorder.client if client else disorder.server
            return (stream.next - stream.offset - 1) & M32
        if client:
            return (self.client_next - self.client_offset - 1) & M32
        return (self.server_next - self.server_offset - 1) & M32

    def note_syn(self, *, client: bool, answers: bool) -> None:
        """Note that the SYN of one direction is known. ``answers``: it acknowledges the SYN of the other one."""
        self.starts |= _CLIENT_SYN | _CLIENT_START if client else _SERVER_SYN | _SERVER_START
        if answers:
            self.starts |= _SERVER_START if client else _CLIENT_START

    def disordered(self, limits: Limits, shared: Shared) -> Disorder:
        """Return the ``disorder`` of this connection; it is made if there is none."""
        disorder = self.disorder
        if disorder is None:
            client = self.client_next, self.client_offset, self.client_recent
            server = self.server_next, self.server_offset, self.server_recent
            disorder = self.disorder = Disorder(self, client, server, limits, shared)
            self.state |= _DISORDERED
            for stream, bit in ((disorder.client, _CLIENT_ENDED), (disorder.server, _SERVER_ENDED)):
                if self.state & bit:
                    stream.fin, stream.finished = stream.offset, True
            for stream, acked in ((disorder.client, self.client_acked), (disorder.server, self.server_acked)):
                stream.acked, stream.heard = max(acked, 0), acked >= 0
        return disorder

    def take_end(self, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int) -> int:
        """Take a FIN, a RST, or what comes after a FIN, if it is in order and has no data. Return how many bytes of the
        peer its sender had acknowledged, -1: it is not in order. A RST only has its numbers noted."""
        side: Side
        if key == self.key:
            side, mine, theirs = "client", _CLIENT_ENDED, _SERVER_ENDED
            number, peer, acked = self.client_next, self.server_next, self.server_offset
        else:
            side, mine, theirs = "server", _SERVER_ENDED, _CLIENT_ENDED
            number, peer, acked = self.server_next, self.client_next, self.client_offset
        in_flight = (peer - ack) & M32
        if in_flight == M32 and self.state & theirs:
            in_flight = 0  # the FIN takes one sequence number
        ended = self.state & mine != 0
        if in_flight >= HALF or (ended and flags & FIN) or seq != (number + ended) & M32:
            return -1
        self.last_ns = time_ns
        seen = acked - in_flight
        if side == "client":
            self.server_acked = seen
        else:
            self.client_acked = seen
        if flags & FIN:
            self.state |= mine
            self.receiver.closed(side, "fin", frame, time_ns, seen)
        return seen

    def reopen(self, stream: Stream) -> bool:
        """Take back the FIN of ``stream``, because its receiver did not accept it. Return whether that is possible."""
        if not self.receiver.revoke(stream.side, stream.fin):
            return False
        stream.fin, stream.finished = -1, False
        self.state &= ~(_CLIENT_ENDED if stream.side == "client" else _SERVER_ENDED)
        return True

    def settle(self) -> None:
        """Drop the ``disorder``, since everything is in order again, or over."""
        disorder = self.disorder
        if disorder is not None:
            client, server = disorder.client, disorder.server
            self.client_next, self.client_offset, self.client_recent = client.next, client.offset, client.recent
            self.server_next, self.server_offset, self.server_recent = server.next, server.offset, server.recent
            self.client_acked = min(client.offset, client.acked) if client.heard else -1
            self.server_acked = min(server.offset, server.acked) if server.heard else -1
            self.disorder = None
            self.state &= _BOTH_ENDED
            # reference cycles, which would stay until the garbage collector runs
            del client.peer, server.peer, client.disorder, server.disorder

    def swap(self) -> None:
        """Exchange client and server, because the receiver has found that the roles are the other ones."""
        self.key = self.back
        self.client_next, self.server_next = self.server_next, self.client_next
        self.client_offset, self.server_offset = self.server_offset, self.client_offset
        self.client_recent, self.server_recent = self.server_recent, self.client_recent
        self.client_acked, self.server_acked = self.server_acked, self.client_acked
        self.starts = (self.starts & 5) << 1 | (self.starts & 10) >> 1
        self.state = self.state & _DISORDERED | (self.state & _CLIENT_ENDED) << 1 | (self.state & _SERVER_ENDED) >> 1
        disorder = self.disorder
        if disorder is not None:
            disorder.client, disorder.server = disorder.server, disorder.client
            disorder.client.side, disorder.server.side = "client", "server"


def reversed_key(key: bytes) -> bytes:
    """Return the key of the other direction."""
    if len(key) == 12:
        return key[4:8] + key[:4] + key[10:] + key[8:10]
    return key[16:32] + key[:16] + key[34:] + key[32:34]

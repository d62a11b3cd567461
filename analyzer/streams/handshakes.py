"""SYNs of connections without data so far: they give the start of each direction."""

# A SYN alone proves nothing, so a connection is followed only from its first byte of data. A flood of SYNs fills this
# table and nothing else. A connection without any data is followed from its end on if that says something about the
# server: the handshake was complete, and the server closes, or the client does after it has waited. A port scan, which
# closes at once, is not.

from __future__ import annotations

from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..limits import DISPLACED_SYNS
from .flow import Flow, reversed_key
from .stream import ACK, FIN, M32, RST, SANE_AHEAD

__all__ = ["GREETING_WAITED_NS", "Handshake", "Handshakes", "drop_oldest", "first_of"]

# A client that closes earlier has not waited for the greeting: a port scan, a health check.
GREETING_WAITED_NS = 30_000_000_000
_ENDS = FIN | RST
_NEAR = 1 << 22  # bytes that a capture may miss at the start of a connection
_GONE = -2  # instead of an acknowledgment number: the client reset the connection before it had waited


class Handshake(Struct, frozen=True, gc=False):
    """A SYN. ``answers``: it acknowledges the peer's SYN. ``acked``: its acknowledgment number, or that of the segment
    after it, negative if none."""

    isn: int
    frame: int
    time_ns: int
    answers: bool
    acked: int


class Handshakes(dict[bytes, Handshake]):
    """The latest SYN of each direction, by flow key. ``forgotten``: how many were dropped; their connections look as if
    they had started before the capture. ``greeting_ports``: ports, as they stand in a key, of servers that speak
    first. ``displaced``: SYNs before the latest, with other numbers."""

    def __init__(self, limit: int) -> None:
        """``limit``: most SYNs that are remembered at once; 0: no limit."""
        super().__init__()
        self._limit = limit
        self.forgotten = 0
        self.displaced: dict[bytes, Handshake] = {}
        self.greeting_ports: frozenset[bytes] = frozenset()

    def note(self, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int) -> None:
        """Remember a SYN; old ones are dropped if there is no room. A later one with another number is ignored if the
        first was answered: it is forged, or will get an answer of its own."""
        if len(self) >= self._limit > 0:
            self.forgotten += drop_oldest(self)
        answers = flags & ACK != 0
        known = self.get(key)
        if known is None and not answers:  # most SYNs; nothing depends on the other direction
            self[key] = Handshake(seq, frame, time_ns, False, -1)
            return
        back = reversed_key(key)
        theirs = self.get(back)
        forged = not answers and theirs is not None and theirs.answers
        if known is None or (known.isn != seq and not forged):
            if known is not None:
                self._displace(key, known)
            self[key] = Handshake(seq, frame, time_ns, answers, ack if answers else -1)
        if answers and theirs is not None and theirs.isn != (ack - 1) & M32:
            self._displace(back, theirs)
            self[back] = replace(theirs, isn=(ack - 1) & M32)  # the answer shows which SYN was the peer's

    def answers(self, flow: Flow, key: bytes, ack: int, capture: int) -> bool:
        """Return whether a SYN-ACK of ``key`` in ``capture`` answers a SYN of the other direction that came after
        ``flow`` had started."""
        theirs = self.get(reversed_key(key))
        return theirs is not None and (ack - theirs.isn) & M32 == 1 and _is_after(theirs, flow, capture)

    def begins_another(self, flow: Flow, key: bytes, seq: int, capture: int) -> bool:
        """Return whether a segment of ``key`` in ``capture`` directly follows a SYN that came after ``flow`` had
        started, and is not what ``flow`` expects."""
        mine = self[key]
        return _is_after(mine, flow, capture) and (seq - mine.isn) & M32 == 1 and seq != flow.expected(key)

    def concerns(self, key: bytes, seq: int, ack: int, flags: int, time_ns: int) -> bool:
        """Return whether a segment without data shows that its connection must be followed: it carried data that was
        not captured, or it ends here without any."""
        mine = self.get(key)
        if mine is None:
            return False
        isn, frame, began_ns, answers, acked = mine.isn, mine.frame, mine.time_ns, mine.answers, mine.acked
        theirs = self.get(reversed_key(key))
        ahead = (seq - isn) & M32
        if theirs is None:
            if acked < 0 and ahead == 1:
                self[key] = Handshake(isn, frame, began_ns, answers, ack)  # the SYN of the peer was lost
            return False
        seen = (ack - theirs.isn) & M32
        # SYN and FIN take one sequence number each
        if 2 < ahead < SANE_AHEAD or 2 < seen < SANE_AHEAD:
            return True
        if ahead != 1 or (key[-4:-2] if answers else key[-2:]) not in self.greeting_ports:
            return False
        if flags & _ENDS:
            if answers:  # the server ends it, and had not received a FIN of the client
                return theirs.acked >= 0 and seen == 1
            if time_ns - theirs.time_ns >= GREETING_WAITED_NS:
                return acked >= 0 or (flags & ACK != 0 and seen == 1)
            if flags & RST:
                self[key] = Handshake(isn, frame, began_ns, answers, _GONE)
        elif acked == -1 and seen == 1:
            self[key] = Handshake(isn, frame, began_ns, answers, ack)  # the handshake is complete
        return False

    def take(self, key: bytes, back: bytes, seq: int, ack: int) -> tuple[Handshake | None, Handshake | None]:
        """Return and forget the SYNs of both directions, when ``key`` sends its first data at ``seq`` and acknowledges
        up to ``ack``, -1: nothing. ``back``: the other direction. SYNs with far numbers belong to another connection,
        and stay."""
        mine, theirs = _take_near(self, key, seq), _take_near(self, back, ack)
        if self.displaced:
            mine = mine or _take_near(self.displaced, key, seq)
            theirs = theirs or _take_near(self.displaced, back, ack)
        return mine, theirs

    def _displace(self, key: bytes, known: Handshake) -> None:
        """Keep a SYN in whose place another one comes: both may begin a connection (`strangers`)."""
        self.displaced[key] = known
        if len(self.displaced) > DISPLACED_SYNS:
            drop_oldest(self.displaced)


def _take_near(known: dict[bytes, Handshake], key: bytes, number: int) -> Handshake | None:
    """Return the SYN of ``key`` that ``number`` may follow, and forget it; -1: any."""
    one = known.get(key)
    # A keep-alive, and an ACK of nothing, have the number of the SYN itself.
    if one is None or (number >= 0 and (number - one.isn) & M32 >= _NEAR):
        return None
    del known[key]
    return one


def _is_after(syn: Handshake, flow: Flow, capture: int) -> bool:
    """Return whether a SYN in ``capture`` came after ``flow`` had started. Clocks of two captures are not compared."""
    return flow.capture != capture or syn.time_ns >= flow.started_ns


def first_of(mine: Handshake | None, theirs: Handshake | None) -> Handshake | None:
    """Return the SYN that began a connection: the one that answers none, or else the earlier one. Frame numbers are not
    compared, because they restart in each file; times alone may go back."""
    if mine is None or theirs is None:
        return mine or theirs
    return theirs if (theirs.answers, theirs.time_ns) < (mine.answers, mine.time_ns) else mine


def drop_oldest(table: dict[bytes, Any], also: set[bytes] | None = None) -> int:
    """Drop an eighth of ``table``, and its keys from ``also``. Returns how many. Dropping one at a time would each time
    walk over all the entries that were dropped before."""
    oldest = list(islice(table, len(table) // 8 + 1))
    for key in oldest:
        del table[key]
    if also is not None:
        also.difference_update(oldest)
    return len(oldest)

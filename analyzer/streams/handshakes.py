"""SYNs that wait for their connection to carry something: what each direction begins with."""

# A SYN alone proves nothing, so no connection is followed before its first byte of data; a flood of SYNs fills this
# table and nothing else.

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from .stream import M32, SANE_AHEAD, reversed_key

if TYPE_CHECKING:
    from ..segments.decoder import WholeSegment

__all__ = ["ACK", "SYN", "Handshake", "Handshakes", "drop_oldest"]

SYN, ACK = 0x02, 0x10


class Handshake(NamedTuple):
    """A SYN. ``answers``: it acknowledges the peer's. ``acked``: the number that its sender acknowledged, -1: none."""

    isn: int
    frame: int
    time_ns: int
    answers: bool
    acked: int


class Handshakes(dict[bytes, Handshake]):
    """The latest SYN of each direction, by flow key. ``forgotten``: how many were given up, so that what follows them
    looks like mid-stream."""

    def __init__(self, limit: int) -> None:
        """``limit``: SYNs that are remembered at once, 0: any number."""
        super().__init__()
        self._limit = limit
        self.forgotten = 0

    def make_room(self) -> None:
        """One more will be noted."""
        if len(self) >= self._limit > 0:
            self.forgotten += drop_oldest(self)

    def note(self, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int) -> None:
        """Remember a SYN. A later one with another number is forged, or will have an answer of its own, where the first
        one has been answered."""
        back = reversed_key(key)
        known, theirs = self.get(key), self.get(back)
        forged = not flags & ACK and theirs is not None and theirs.answers
        if known is None or (known.isn != seq and not forged):
            self[key] = Handshake(seq, frame, time_ns, bool(flags & ACK), ack if flags & ACK else -1)
        if flags & ACK and theirs is not None and theirs.isn != (ack - 1) & M32:
            self[back] = theirs._replace(isn=(ack - 1) & M32)  # the answer tells which SYN was the peer's

    def answers(self, key: bytes, ack: int) -> bool:
        """Whether a segment with SYN and ACK of ``key`` answers a SYN of the other direction."""
        theirs = self.get(reversed_key(key))
        return theirs is not None and (ack - theirs.isn) & M32 == 1

    def follows(self, key: bytes, seq: int) -> bool:
        """Whether a segment of ``key`` is the next behind a SYN."""
        mine = self.get(key)
        return mine is not None and (seq - mine.isn) & M32 == 1

    def carried(self, key: bytes, seq: int, ack: int) -> bool:
        """Whether a segment without data shows that its connection carried some, of which nothing was captured."""
        mine = self.get(key)
        if mine is None:
            return False
        theirs = self.get(reversed_key(key))
        if theirs is None:
            if mine.acked < 0 and (seq - mine.isn) & M32 == 1:
                self[key] = mine._replace(acked=ack)  # the SYN of the peer was lost: this tells its number
            return False
        # SYN and FIN take a number each
        return 2 < (seq - mine.isn) & M32 < SANE_AHEAD or 2 < (ack - theirs.isn) & M32 < SANE_AHEAD

    def take(self, key: bytes, seq: int) -> tuple[Handshake | None, Handshake | None]:
        """The SYNs of both directions, which are forgotten here, when ``key`` sends its first data at ``seq``."""
        mine, theirs = self.pop(key, None), self.pop(reversed_key(key), None)
        if mine is not None and (seq - mine.isn) & M32 >= SANE_AHEAD:
            mine = None  # the SYN of somebody else; a keep-alive may stand in the place of the SYN itself
        return mine, theirs

    def take_answered(self, key: bytes, ack: int) -> WholeSegment | None:
        """The SYN that a segment with SYN and ACK of ``key`` answers, as a segment, if it is all that is known between
        the two; somebody else follows the connection then, and it is forgotten here."""
        back = reversed_key(key)
        syn = self.get(back)
        if syn is None or syn.answers or syn.acked >= 0 or (ack - syn.isn) & M32 != 1 or key in self:
            return None
        del self[back]
        return back, syn.isn, 0, SYN, b"", syn.frame, syn.time_ns


def drop_oldest(table: dict[bytes, Any], also: set[bytes] | None = None) -> int:
    """Drop an eighth of ``table``, and those keys from ``also``; returns how many. One at a time would cost a walk over
    all the places that were dropped before."""
    oldest = list(islice(table, len(table) // 8 + 1))
    for key in oldest:
        del table[key]
    if also is not None:
        also.difference_update(oldest)
    return len(oldest)

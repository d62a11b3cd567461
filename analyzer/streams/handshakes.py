"""SYNs of connections without data so far: they give the start of each direction."""

# A SYN alone proves nothing, so a connection is followed only from its first byte of data. A flood of SYNs fills this
# table and nothing else.

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from .flow import reversed_key
from .stream import M32, SANE_AHEAD

__all__ = ["ACK", "SYN", "Handshake", "Handshakes", "drop_oldest", "first_of"]

SYN, ACK = 0x02, 0x10


class Handshake(NamedTuple):
    """A SYN. ``answers``: it acknowledges the peer's SYN. ``acked``: its acknowledgment number, -1 if none."""

    isn: int
    frame: int
    time_ns: int
    answers: bool
    acked: int


class Handshakes(dict[bytes, Handshake]):
    """The latest SYN of each direction, by flow key. ``forgotten``: how many were dropped; their connections look as if
    they had started before the capture."""

    def __init__(self, limit: int) -> None:
        """``limit``: most SYNs that are remembered at once; 0: no limit."""
        super().__init__()
        self._limit = limit
        self.forgotten = 0

    def make_room(self) -> None:
        """Drop old SYNs if there is no room for another."""
        if len(self) >= self._limit > 0:
            self.forgotten += drop_oldest(self)

    def note(self, key: bytes, seq: int, ack: int, flags: int, frame: int, time_ns: int) -> None:
        """Remember a SYN. A later one with another number is ignored if the first was answered: it is forged, or will
        get an answer of its own."""
        answers = flags & ACK != 0
        known = self.get(key)
        if known is None and not answers:  # most SYNs; nothing depends on the other direction
            self[key] = Handshake(seq, frame, time_ns, False, -1)
            return
        back = reversed_key(key)
        theirs = self.get(back)
        forged = not answers and theirs is not None and theirs.answers
        if known is None or (known.isn != seq and not forged):
            self[key] = Handshake(seq, frame, time_ns, answers, ack if answers else -1)
        if answers and theirs is not None and theirs.isn != (ack - 1) & M32:
            self[back] = theirs._replace(isn=(ack - 1) & M32)  # the answer shows which SYN was the peer's

    def answers(self, key: bytes, ack: int) -> bool:
        """Return whether a SYN-ACK of ``key`` answers a SYN of the other direction."""
        theirs = self.get(reversed_key(key))
        return theirs is not None and (ack - theirs.isn) & M32 == 1

    def follows(self, key: bytes, seq: int) -> bool:
        """Return whether a segment of ``key`` directly follows a SYN."""
        mine = self.get(key)
        return mine is not None and (seq - mine.isn) & M32 == 1

    def carried_data(self, key: bytes, seq: int, ack: int) -> bool:
        """Return whether a segment without data shows that its connection carried data that was not captured."""
        mine = self.get(key)
        if mine is None:
            return False
        theirs = self.get(reversed_key(key))
        if theirs is None:
            if mine.acked < 0 and (seq - mine.isn) & M32 == 1:
                self[key] = mine._replace(acked=ack)  # the SYN of the peer was lost: this gives its number
            return False
        # SYN and FIN take one sequence number each
        return 2 < (seq - mine.isn) & M32 < SANE_AHEAD or 2 < (ack - theirs.isn) & M32 < SANE_AHEAD

    def take(self, key: bytes, back: bytes, seq: int) -> tuple[Handshake | None, Handshake | None]:
        """Return and forget the SYNs of both directions, when ``key`` sends its first data at ``seq``. ``back``: the
        other direction."""
        mine, theirs = self.pop(key, None), self.pop(back, None)
        if mine is not None and (seq - mine.isn) & M32 >= SANE_AHEAD:
            mine = None  # a SYN of another connection; a keep-alive may have the number of the SYN itself
        return mine, theirs


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

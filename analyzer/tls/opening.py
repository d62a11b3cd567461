"""Open the encrypted records of a session: in order, with keys that have just changed, and after a loss."""

# Theory
# ------
# In order, a record is opened by the keys that opened the one before it, with the next number. After a change of keys
# there may be several candidates, of which the first record chooses one. After lost bytes, or a record that is not
# authentic, the numbers and keys that may come next are tried; the number that fits says how many records are missing.
# What is tried in vain is counted, and bounded by `TLS_TRIED_BYTES`.

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..limits import TLS_LOST_RECORDS, TLS_TRIED_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ciphers import Keys
    from .direction import Direction, Stage
    from .facts import Side, TlsFacts
    from .handler import TlsHandler
    from .records import Place
    from .session_secrets import SessionSecrets

__all__ = ["SMALLEST", "TOO_MANY", "RecordOpener", "RecordOwner"]

SMALLEST = 22  # octets of an encrypted record with one octet inside, at least
_TRY = 512  # to try a record of one octet takes as long as so many octets of a long one
TOO_MANY = "too many records were tried after lost bytes"


class RecordOwner(Protocol):
    """The session whose records are opened."""

    handler: TlsHandler

    def settled(self, one: Direction) -> None:
        """The keys of this direction are those of the session, not of its handshake."""

    def end(self, one: Direction, why: str) -> None:
        """Read nothing more of this direction."""


class RecordOpener:
    """Opens records for ``owner``. ``tried``: bytes of records that were tried in vain."""

    __slots__ = ("_facts", "_owner", "_secrets", "_sides", "tried")

    def __init__(
        self, owner: RecordOwner, sides: Mapping[Side, Direction], secrets: SessionSecrets, facts: TlsFacts
    ) -> None:
        self._owner = owner
        self._sides = sides
        self._secrets = secrets
        self._facts = facts
        self.tried = 0

    def open(self, one: Direction, record: bytes, place: Place) -> tuple[int, bytes] | None:
        """Return type and content of an encrypted record, None if it cannot be opened."""
        keys = one.keys
        if keys is not None and one.lost_at is None:
            opened = keys.open(record, keys.sequence)
            if opened is not None:
                return opened
        elif keys is None and one.lost_at is None:
            for stage, candidate in one.candidates:
                opened = candidate.open(record, 0)
                if opened is not None:
                    self._settle(one, stage, candidate)
                    return opened
        found = self._search(one, record, place) if one.lost_at is not None or keys is not None else None
        if found is None:
            self._cannot_open(one, record, place)
        return found

    def _settle(self, one: Direction, stage: Stage, keys: Keys) -> None:
        """Go on with ``keys``, which opened a record."""
        self._secrets.note_use()
        one.keys, one.stage = keys, stage
        one.candidates = []
        one.skipping = False
        if stage in {"application", "older"}:
            self._facts.finished.add(one.side)
            self._owner.settled(one)

    def _search(self, one: Direction, record: bytes, place: Place) -> tuple[int, bytes] | None:
        """Try the numbers and keys that may open ``record`` after lost bytes."""
        most = min(TLS_LOST_RECORDS, one.lost // SMALLEST + 1)
        for stage, keys, first in self._secrets.possible(one):
            for sequence in range(first, first + most + 1):
                if self.tried > TLS_TRIED_BYTES:
                    self._owner.end(one, TOO_MANY)
                    return None
                opened = keys.open(record, sequence)
                if opened is None:
                    self.tried += _TRY + len(record)
                    continue
                missing = sequence - first
                if missing and one.lost_at is None:
                    self.lose(one, place, 0)
                elif keys is one.keys and one.lost_at is not None and missing and keys.overhead:
                    inside = place.offset - one.lost_at.offset - missing * keys.overhead - one.reported
                    self._owner.handler.lost(one.side, max(0, inside), one.lost_at, 0)
                if keys is not one.keys:
                    self._settle(one, stage, keys)
                one.lost_at, one.lost, one.reported = None, 0, 0
                one.cutter.aligned = True
                return opened
        return None

    def _cannot_open(self, one: Direction, record: bytes, place: Place) -> None:
        facts = self._facts
        if one.over:
            return
        self.skip(one, record)
        if not one.cutter.aligned:
            self.tried += _TRY + len(record)
            one.rejected = True
            one.cutter.reject(record)
            if self.tried > TLS_TRIED_BYTES:
                self._owner.end(one, TOO_MANY)
            return
        if one.keys is None and one.skipping:
            return
        facts.unread[one.side] += len(record)
        if one.keys is not None:
            if one.lost_at is None:
                facts.note_unread(f"the TLS record of the {one.side} in frame {place.frame} is not authentic")
            if self._has_text(one):
                self.lose(one, place, 0)
            one.lost_at = one.lost_at or place
            one.lost += SMALLEST
            return
        other = self._sides["server" if one.side == "client" else "client"]
        if not one.candidates and not (other.keys or other.candidates):
            self._owner.end(one, self._secrets.why_none(server_hello=facts.saw_server_hello))
            return
        facts.note_unread(f"the keys do not open the records of the {one.side}")
        if any(facts.text.values()) or not one.candidates:
            self._owner.handler.lost(one.side, max(1, len(record) - SMALLEST + 1), place, 0)

    def skip(self, one: Direction, record: bytes | None) -> None:
        """Tell the keys of this direction that ``record``, or one that is missing, was not opened."""
        for keys in (one.keys, *(keys for _, keys in one.candidates)):
            if keys is not None:
                keys.skip(record)

    def _has_text(self, one: Direction) -> bool:
        """Whether the records of this direction may hold text, and not only the handshake."""
        return one.side in self._facts.finished or one.stage == "early"

    def lose(self, one: Direction, place: Place, missing: int) -> None:
        """Report that octets inside TLS are missing. How many is known when the next record can be opened."""
        one.reported += 1
        self._owner.handler.lost(one.side, 1, place, missing)

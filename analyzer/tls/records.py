"""Cut the bytes of one side into TLS records (RFC 8446 §5.1, RFC 5246 §6.2.1)."""

# Theory
# ------
# A record has five octets of header: type, version, length. Records are divided over segments in any way, so a record
# begins anywhere in a segment; its place is that of the segment with its first octet.
#
# After a gap the next header has to be found. If the gap ended inside the record in which it began, the rest of that
# record is skipped. Otherwise the cutter looks for five octets that may be a header, and the session says whether the
# record that would follow can be opened. If not, the search goes on one octet later.

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

__all__ = [
    "ALERT",
    "CHANGE_CIPHER",
    "DATA",
    "HANDSHAKE",
    "HEADER",
    "RECORD_TYPES",
    "SSL2",
    "Place",
    "RecordCutter",
    "begins_record",
]

RECORD_TYPES = range(0x14, 0x18)  # the first octets of records
CHANGE_CIPHER, ALERT, HANDSHAKE, DATA = RECORD_TYPES
SSL2 = 0x80  # the first octet of a hello in the form of SSL 2
HEADER = 5
MAX_RECORD = HEADER + (1 << 14) + 2048  # octets of a record that was encrypted (RFC 5246 §6.2.3)

_header = re.compile(rb"[\x14-\x17]\x03[\x00-\x04](?:[\x00-\x47]|\x48\x00)", re.DOTALL).search


def begins_record(data: bytes, at: int = 0) -> bool:
    """Return whether a TLS record begins at ``at``: a type that exists, and the major version 3."""
    return data[at] in RECORD_TYPES and data[at + 1 : at + 2] == b"\x03"


class Place(NamedTuple):
    """Where bytes begin: offset in the TCP stream, frame, time, and the bytes of the other side that their sender had
    acknowledged (-1: unknown)."""

    offset: int
    frame: int
    time_ns: int
    seen: int


class RecordCutter:
    """Takes bytes by ``add``, returns whole records by ``next``. ``invalid``: what came is no TLS record, and nothing
    more can be cut. ``aligned``: False while the next header is searched for."""

    __slots__ = ("_at", "_data", "_have", "_need", "_offset", "_parts", "_places", "_skip", "aligned", "invalid")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0  # in ``_data``
        self._parts: list[bytes] = []  # what came after ``_data``
        self._have = 0  # octets from ``_at`` on, with the parts
        self._need = HEADER  # octets from ``_at`` on without which there is nothing to return
        self._offset = 0  # of ``_at`` in the TCP stream
        self._places: deque[Place] = deque()  # of the pieces that came
        self._skip = 0  # octets of a record that cannot be read
        self.aligned = True
        self.invalid = False

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return len(self._data) + sum(map(len, self._parts)) + 100 * len(self._places) if self._have else 0

    @property
    def unfinished(self) -> int:
        """Octets of a record whose end has not come."""
        return self._have

    def add(self, data: bytes, place: Place) -> None:
        """Take the next bytes of the stream."""
        if self._skip:
            used = min(self._skip, len(data))
            self._skip -= used
            data, place = data[used:], place._replace(offset=place.offset + used)
        if self.invalid or not data:
            return
        if not self._have:
            self._data, self._at, self._offset = data, 0, place.offset
            self._places.clear()
        else:
            self._parts.append(data)
        self._have += len(data)
        if self._have > self._need or not self.aligned or not self._places:  # else no record begins here
            self._places.append(place)

    def next(self) -> tuple[bytes, Place] | None:
        """Return the next whole record with its header, None if there is none yet."""
        while self._have >= self._need and not self.invalid:
            if self._parts:
                self._join()
            if not self.aligned and not self._find_header():
                return None
            data, at = self._data, self._at
            if self._need == HEADER:
                length = int.from_bytes(data[at + 3 : at + HEADER], "big") + HEADER
                if data[at] not in RECORD_TYPES or data[at + 1] != 3 or length > MAX_RECORD:
                    self.invalid = True
                    self._parts.clear()
                    return None
                self._need = length
                if self._have < length:
                    return None
            record = data[at : at + self._need]
            place = self._place()
            self._advance(self._need)
            return record, place
        return None

    def reject(self, record: bytes) -> None:
        """Search on one octet after the start of ``record``, which ``next`` returned last: it is none."""
        size = len(record) - 1
        if self._have:
            self._at -= size
        else:
            self._data, self._at = record[1:], 0
        self._offset -= size
        self._have += size

    def drop(self, size: int) -> None:
        """Leave out the next ``size`` octets, which have come or not."""
        used = min(size, self._have)
        if self._parts:
            self._join()
        self._advance(used)
        self._skip = size - used

    def gap(self, length: int) -> int:
        """``length`` octets are missing here. Return how many octets of an unfinished record before them are lost."""
        lost, left = self._have, self._need - self._have
        known = self._skip or (left if self._need > HEADER and self.aligned else 0)
        self._data, self._at, self._have, self._need = b"", 0, 0, HEADER
        self._parts.clear()
        self._places.clear()
        if length <= known:
            self._skip = known - length
        else:
            self._skip = 0
            self.aligned = False
        return lost

    def cut(self, offset: int) -> bool:
        """Forget the bytes from ``offset`` of the stream on. Return whether that is possible: they are kept."""
        kept = offset - self._offset
        if not self._have or kept < 0 or not self.aligned:
            return False
        if self._parts:
            self._join()
        self._data = self._data[: self._at + kept]
        self._have = min(kept, self._have)
        while len(self._places) > 1 and self._places[-1].offset >= offset:
            self._places.pop()
        if self._have < HEADER:
            self._need = HEADER
        return True

    def _join(self) -> None:
        """Make one of the pieces that came."""
        self._data = b"".join((self._data[self._at :], *self._parts))
        self._at = 0
        self._parts.clear()

    def _find_header(self) -> bool:
        """Go to the next octets that may be a header. Return whether there are some."""
        if self._need > HEADER:
            return True
        match = _header(self._data, self._at)
        found = len(self._data) - (HEADER - 1) if match is None else match.start()
        if found > self._at:
            self._advance(found - self._at)
        return match is not None and self._have >= HEADER

    def _advance(self, size: int) -> None:
        self._at += size
        self._offset += size
        self._have -= size
        self._need = HEADER
        if not self._have:
            self._data, self._at = b"", 0

    def _place(self) -> Place:
        """Return the place of the next octet."""
        places, offset = self._places, self._offset
        while len(places) > 1 and places[1].offset <= offset:
            places.popleft()
        return places[0]._replace(offset=offset)

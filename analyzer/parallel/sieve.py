"""The flows that may carry SMTP, and the partition of each."""

# Theory
# ------
# Most flows of a capture are not SMTP, and their bytes must not leave the map step. On a port of SMTP everything is
# kept. On any other port the first bytes of each direction decide, as `connections.receivers` decides it, but in the
# order of the capture and without the segments of an earlier part of it. So the sieve may drop a flow too early: the
# reduce step finds that out, because a row marks the place, and asks for that flow.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.protocol_detection import Detection, judge_any
from ..streams.flow import reversed_key
from ..streams.handshakes import drop_oldest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import Limits

__all__ = ["DIGITS", "DROPPED", "SECRETS", "Row", "Sieve", "partition_of"]

Row = tuple[bytes, int, int, int, bytes, int, int, int]
"""A segment, see ``SegmentSink``; or, if its flags are DROPPED, DIGITS or SECRETS, a mark."""

DROPPED = -1
"""Flags of a mark: later segments of this flow were dropped, up to the next SYN."""

DIGITS = -2
"""Flags of a mark: from here on, times have as many decimals as its sequence number says."""

SECRETS = -3
"""Flags of a mark: its payload is a key log of TLS in the capture."""

_REMEMBERED = 65_536  # flows of each kind; a forgotten one is looked at again
_SYN = 2


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of a flow, which is that of both directions."""
    half = (len(key) - 4) // 2
    hosts = int.from_bytes(key[:half], "big") ^ int.from_bytes(key[half:-4], "big")
    ports = int.from_bytes(key[-4:-2], "big") ^ int.from_bytes(key[-2:], "big")
    return ((hosts ^ ports) * 0x9E3779B1 >> 16 & 0xFFFF) % count


class Sieve:
    """Takes segments, and adds those of flows that may carry SMTP to ``rows``, a list for each partition. ``ignored``:
    flows whose segments the decoder may omit. ``wanted``: exactly these flows are kept; None: see above."""

    def __init__(
        self, rows: list[list[Row]], ports: frozenset[int], limits: Limits, wanted: frozenset[bytes] | None
    ) -> None:
        self.ignored: set[bytes] = set()
        self._rows = rows
        self._ports = frozenset(port.to_bytes(2, "big") for port in ports)
        self._most = limits.sniffed_bytes
        self._wanted = wanted
        self._kept: dict[bytes, Callable[[Row], None]] = {}
        self._heads: dict[bytes, bytes] = {}
        self._dropped: dict[bytes, None] = {}

    def segment(
        self, key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
    ) -> None:
        """Take one segment, see ``SegmentSink``."""
        row = key, seq, ack, flags, payload, missing, frame, time_ns
        add = self._kept.get(key)
        if add is not None:
            add(row)
        else:
            self._look(row)

    def _look(self, row: Row) -> None:
        key, _, _, flags, payload, _, frame, time_ns = row
        if len(self._kept) > _REMEMBERED:
            self._kept.clear()
        add = self._rows[partition_of(key, len(self._rows))].append
        if self._wanted is not None:
            if key in self._wanted:
                add(row)
            return
        if key[-4:-2] in self._ports or key[-2:] in self._ports:
            self._kept[key] = add
            add(row)
            return
        add(row)
        back, heads = reversed_key(key), self._heads
        if flags & _SYN:
            for one in (key, back):
                heads.pop(one, None)
                self._dropped.pop(one, None)
                self.ignored.discard(one)
        elif payload:
            head = heads.get(key, b"")
            if len(head) < self._most or not self._most:
                heads[key] = head = head + payload
            other = heads.get(back, b"")
            full = len(head) >= self._most > 0
            verdict = judge_any(head, other, over=full)
            if verdict is Detection.SMTP:
                self._kept[key] = self._kept[back] = add
            elif verdict is Detection.OTHER:
                add((key, 0, 0, DROPPED, b"", 0, frame, time_ns))
                self._drop(key, back)
            elif len(heads) > _REMEMBERED:
                drop_oldest(heads)

    def _drop(self, *keys: bytes) -> None:
        for key in keys:
            self._heads.pop(key, None)
            self._dropped[key] = None
            self.ignored.add(key)
        if len(self._dropped) > _REMEMBERED:
            drop_oldest(self._dropped, self.ignored)

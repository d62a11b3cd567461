"""Find the captures that hold the frames of a connection, if one run reads several captures."""

# Frames are numbered from 1 in each capture, and a connection may continue in the next capture, so a frame number alone
# is ambiguous. At the end of a capture, the time of the last frame of each open connection is noted. The frames of the
# connection up to that time are in this capture, later frames in later ones. So no segment has to carry this data.
#
# Two captures may have recorded the same connection. Then the frames of the second one count only where they fill what
# the first one missed. These are noted one by one (`streams.receiver.Remarks`), and each becomes a part of its own.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Part
from ..streams.endpoints import endpoints
from ..timestamps import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import Connection, Endpoint

__all__ = ["CaptureParts"]

_Ends = frozenset["Endpoint"]
UnderWay = tuple[bytes, int, int]
"""An open connection: the key of a flow, and the times of its first and its last frame in ns."""


class CaptureParts:
    """``begin`` must be called for each capture. ``of`` returns the parts of a connection that has ended."""

    def __init__(self) -> None:
        self._number = -1
        self._path = ""
        self._paths: list[str] = []
        self._noted: dict[_Ends, tuple[int, list[Part]]] = {}  # time of the last frame in ns; the parts so far

    def begin(self, path: str, under_way: Iterable[UnderWay], clock: Callable[[int], str]) -> None:
        """Start the next capture, ``path``. ``under_way``: the open connections; ``clock`` formats their times."""
        if self._number >= 0:
            self._noted = dict(self._note(*one, clock) for one in under_way)
        self._number += 1
        self._path = path
        self._paths.append(path)

    @property
    def here(self) -> tuple[int, str] | None:
        """The current capture as number and path, None if there is none."""
        return None if self._number < 0 else (self._number, self._path)

    def _note(
        self, key: bytes, started_ns: int, last_ns: int, clock: Callable[[int], str]
    ) -> tuple[_Ends, tuple[int, list[Part]]]:
        ends = _ends(key)
        noted_ns, parts = self._noted.get(ends, (-1, []))
        if noted_ns < started_ns:  # the noted data belong to an earlier connection between these ports
            parts = []
        if not parts or last_ns > noted_ns:
            parts = [*parts, Part(self._number, self._path, clock(last_ns))]
        return ends, (last_ns, parts)

    def of(self, connection: Connection) -> list[Part]:
        """Return the parts of ``connection`` in reading order; an empty list if there is no capture.

        ``connection.captures``: a part for each frame of another capture that fills a gap, without a path.
        """
        if self._number < 0:
            return []
        parts = self._whole(connection)
        return self._with_filled(parts, connection.captures) if connection.captures else parts

    def _whole(self, connection: Connection) -> list[Part]:
        here = Part(self._number, self._path, connection.ended)
        noted = self._noted.pop(frozenset((connection.client, connection.server)), None) if self._noted else None
        if noted is None or parse_time(connection.started) > noted[0]:
            return [here]
        last_ns, parts = noted
        return [*parts, here] if parse_time(connection.ended) > last_ns else parts

    def _with_filled(self, parts: list[Part], filled: list[Part]) -> list[Part]:
        """Return ``parts``, divided where a frame of another capture fills a gap."""
        digits = len(parts[0].last.partition(".")[2]) - 1
        step = 10 ** (9 - digits)
        left = sorted(((parse_time(one.last), one) for one in filled), key=lambda one: one[0])
        found: list[Part] = []
        for part in parts:
            end = parse_time(part.last)
            while left and left[0][0] <= end:
                time_ns, one = left.pop(0)
                if one.capture != part.capture:
                    _add(found, Part(part.capture, part.path, format_time(time_ns - step, digits)))
                    _add(found, Part(one.capture, self._paths[one.capture], one.last))
            _add(found, part)
        return found


def _add(parts: list[Part], part: Part) -> None:
    """Add ``part``, or extend the last one if it is of the same capture."""
    if parts and parts[-1].capture == part.capture:
        parts[-1] = part
    else:
        parts.append(part)


def _ends(key: bytes) -> _Ends:
    return frozenset(endpoints(key))

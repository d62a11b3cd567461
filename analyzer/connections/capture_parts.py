"""In which captures the frames of a connection lie, where one run reads several."""

# Frames are numbered anew in each capture, and a connection may go on from one to the next, so a frame number alone
# says nothing. What is noted when a capture ends is how far each connection that is open has come: its frames up to
# that time lie there, later ones in captures that follow. So nothing has to be carried along with every segment.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Part
from ..timestamps import parse_time
from .endpoints import endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import Connection, Endpoint

__all__ = ["CaptureParts"]

_Ends = frozenset["Endpoint"]
UnderWay = tuple[bytes, int, int]
"""A connection that is open: the key of a flow, and the times of the first and the last frame in ns."""


class CaptureParts:
    """Tell it of each capture that begins; ask it for the parts of each connection that has ended."""

    def __init__(self) -> None:
        self._number = -1
        self._path = ""
        self._noted: dict[_Ends, tuple[int, list[Part]]] = {}  # time of the last frame in ns; the parts so far

    def begin(self, path: str, under_way: Iterable[UnderWay], clock: Callable[[int], str]) -> None:
        """The next capture is ``path``; ``under_way``: what is open, ``clock`` writes its times."""
        if self._number >= 0:
            self._noted = dict(self._note(*one, clock) for one in under_way)
        self._number += 1
        self._path = path

    @property
    def here(self) -> tuple[int, str] | None:
        """The capture, its number and path; None: there is none."""
        return None if self._number < 0 else (self._number, self._path)

    def began_before(self, key: bytes) -> bool:
        """Whether a connection that ends now may have begun in an earlier capture; ``key``: of its flow."""
        return bool(self._noted) and _ends(key) in self._noted

    def _note(
        self, key: bytes, started_ns: int, last_ns: int, clock: Callable[[int], str]
    ) -> tuple[_Ends, tuple[int, list[Part]]]:
        ends = _ends(key)
        noted_ns, parts = self._noted.get(ends, (-1, []))
        if noted_ns < started_ns:  # what was noted is of an earlier connection between these ports
            parts = []
        if not parts or last_ns > noted_ns:
            parts = [*parts, Part(self._number, self._path, clock(last_ns))]
        return ends, (last_ns, parts)

    def of(self, connection: Connection) -> list[Part]:
        """The parts of ``connection``, in the order in which they were read; none where there is no capture."""
        if self._number < 0:
            return []
        here = Part(self._number, self._path, connection.ended)
        noted = self._noted.pop(frozenset((connection.client, connection.server)), None) if self._noted else None
        if noted is None or parse_time(connection.started) > noted[0]:
            return [here]
        last_ns, parts = noted
        return [*parts, here] if parse_time(connection.ended) > last_ns else parts


def _ends(key: bytes) -> _Ends:
    return frozenset((endpoint(key, source=True), endpoint(key, source=False)))

"""Where in the input each connection got its number, and where it ended."""

# Theory
# ------
# If several processes follow some of the connections each, their results must get the order and the numbers of a single
# process. Both depend on where two things happened: the bytes that showed that a connection is SMTP, and its end.
# Frames are in order, and what happens after a block of the input has an order of its own. So the place of an event is
# a tuple, and all places of one run can be compared.

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..streams.stream import Segment

__all__ = ["AFTER_ALL", "Place", "Places"]

AFTER_ALL = 1 << 62
"""Number of a capture after every other."""

Place = tuple[int, ...]
"""Capture and frame. If a RST had waited until the end of a block: capture, last frame of the block, 0, and the
`Moment` of the RST. For a connection that was given up after a block: capture, last frame, 1, and `Flow.started`. At
the end of all input: AFTER_ALL and `Flow.started`."""


class Places:
    """Notes places. ``segment``: the one that is read, its frame is the seventh field; ``block_end``: the last frame of
    the block. By the numbers that connections have here: ``numbers``: the place where each open one got it, and
    ``flows``: its key; ``ended``: that place, and the one of the end, of those that ended. ``numbered``: all places of
    numbers. Whoever takes items from the last two removes them."""

    def __init__(self) -> None:
        self.capture = 0
        self.segment: Segment | None = None
        self.block_end = 0
        self.numbers: dict[int, Place] = {}
        self.flows: dict[int, bytes] = {}
        self.numbered: list[Place] = []
        self.ended: dict[int, tuple[Place, Place]] = {}
        self._here: Place = ()
        self._given = 0
        self._latest: Place = ()  # where the last number was given
        self._in_place = 0  # numbers given there before that

    @property
    def here(self) -> Place:
        """Where the current event happens."""
        return self._here if self.segment is None else (self.capture, self.segment[6])

    def note_reset(self, moment: tuple[int, ...]) -> None:
        """The next event is that a RST of this `Moment` counts, because nothing came after it."""
        self._here = self.capture, self.block_end, 0, *moment

    def note_given_up(self, started: tuple[int, int, int]) -> None:
        """The next event is that a connection is given up that ``started`` there."""
        self._here = self.capture, self.block_end, 1, *started

    def note_last(self, started: tuple[int, int, int]) -> None:
        """The next event is the end of a connection that is open when the input ends."""
        self._here = AFTER_ALL, *started

    def note_number(self, key: bytes) -> None:
        """The connection with the flow ``key`` gets the next number."""
        here = self.here
        self._in_place = self._in_place + 1 if here == self._latest else 0
        self._latest = here
        if self._in_place:
            here = (*here, -1, self._in_place)  # after the first one there, and before what happens after the block
        self._given += 1
        self.numbers[self._given] = here
        self.flows[self._given] = key
        self.numbered.append(here)

    def note_end(self, number: int) -> None:
        """The connection with this number ends."""
        self.ended[number] = self.numbers.pop(number), self.here
        del self.flows[number]

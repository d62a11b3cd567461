"""The common part of the readers of all capture formats: position, statistics and problems."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

from ..limits import DEFAULT_LIMITS
from .input_window import MAX_RECORD, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..segments.decoder import SegmentDecoder
    from .frame_loop import FrameLayout, FrameRun

__all__ = ["Reader"]

MAX_LINK_TYPES = 64  # of one capture that the report names; merged files have a few


def _ignore_digits(digits: int) -> None:
    pass


def _ignore_secrets(key_log: bytes) -> None:
    pass


class Reader:
    """Reads one capture. Its attributes are correct after each block.

    ``frames``: records so far, as Wireshark numbers them. ``octets``: captured bytes in them. ``first_ns``,
    ``prior_ns`` and ``last_ns``: times of the first, the last but one and the last frame that have one. ``digits``:
    decimals of a second in the times; ``on_digits`` is called when that changes. ``on_secrets`` is called with each key
    log of TLS in the capture; with an empty one where a part begins that may have some. ``link_types``: the first ones,
    in order of appearance. ``problems``: damage, one sentence each. ``counting``: frames are only counted, not decoded;
    then ``before`` is the state before the block in the window. ``start``: where the first record is in the window.
    """

    format: ClassVar[str]
    _not_state: ClassVar[tuple[str, ...]] = ()  # attributes that can be made again

    def __init__(self, window: Window) -> None:
        self.window = window
        self.frames = 0
        self.octets = 0
        self.first_ns: int | None = None
        self.prior_ns: int | None = None
        self.last_ns: int | None = None
        self.digits = 6
        self.on_digits: Callable[[int], None] = _ignore_digits
        self.on_secrets: Callable[[bytes], None] = _ignore_secrets
        self.link_types: list[int] = []
        self.problems: list[str] = []
        self.longest = MAX_RECORD
        self.counting = False
        self.before: dict[str, Any] = {}
        self.start = 0
        self.most_empty = DEFAULT_LIMITS.empty_records
        self._empty = 0  # records in a row without a byte of a frame

    def run(self, decoder: SegmentDecoder) -> Iterator[None]:
        """Read to the end or to the damage. Yields after each block, so that the caller can take finished results."""
        raise NotImplementedError

    def resume(self, state: dict[str, Any]) -> None:
        """Read on where another reader of the same input had this state ``before`` the block in the window."""
        vars(self).update({name: copy(value) for name, value in state.items()})
        self.start = 0

    def _note_state(self) -> None:
        """Note what a reader must know to read on from here, if that may be asked for."""
        if self.counting:
            left = ("window", "on_digits", "on_secrets", "counting", "before", "start", *self._not_state)
            self.before = {name: copy(value) for name, value in vars(self).items() if name not in left}

    def _note_time(self, time_ns: int) -> None:
        """Note the time of a frame. Called for the first, the last but one and the last frame of each block."""
        if self.first_ns is None:
            self.first_ns = time_ns
        self.prior_ns, self.last_ns = self.last_ns, time_ns

    def _note_run(self, layout: FrameLayout, first: int, run: FrameRun) -> None:
        """Note the counts and times of a run of at least one frame. ``first``: where its first record starts."""
        self.frames = run.number
        for place in sorted({first, run.prior, run.last} - {-1}):
            self._note_time(layout.whole(self.window.data, place)[0])

    def _is_filler(self, records: int, octets: int, what: str = "records") -> bool:
        """Note a run of records with ``octets`` bytes of frames in them. Returns whether so many before and in it had
        none that reading ends."""
        self._empty = 0 if octets else self._empty + records
        if not self._empty > self.most_empty > 0:
            return False
        self.problems.append(
            f"{self._empty} empty {what} one after another, up to byte {self.window.base + self.window.size}: stopped "
            "there, the rest of the file was not decoded"
        )
        return True

    def _note_link_type(self, link_type: int) -> None:
        if len(self.link_types) < MAX_LINK_TYPES and link_type not in self.link_types:
            self.link_types.append(link_type)

    def _next_block(self, used: int, need: int, what: str, head: int = 0) -> bool:
        """Move the window past ``used`` bytes, to a record of ``need`` bytes. Returns False if reading ends here.

        ``head``: those of the ``need`` bytes that the length field of the record does not count.
        """
        window = self.window
        at = window.base + used
        if need > self.longest > 0:
            self.problems.append(f"the {what} at byte {at} claims {need - head} bytes: damaged from there on")
            return False
        if window.advance(used, need) and window.size >= need:
            return True
        if window.size and not window.fault:
            self.problems.append(f"the last {what} is cut short at byte {window.base + window.size}")
        return False

"""Count what became of the frames of a capture, and say which of them could not be decoded, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..limits import DEFAULT_LIMITS
from .layers import Undecoded
from .link_layers import link_name

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DecodeTally"]

_NAMED = 16  # kinds of undecoded frames that are reported by name; a real capture has one or two


class DecodeTally:
    """Counts of the frames of one capture: how many each decoder decoded, and how many could not be decoded.

    ``unknown_links``: by link type; ``unopened``: by what could not be opened; ``unfinished``: datagrams that never
    became whole; ``overlapping`` and ``abandoned``: datagrams whose fragments overlap with other bytes, and those of
    them that no receiver accepts.
    """

    def __init__(self) -> None:
        self.fast = 0
        self.raw = 0
        self.scapy = 0
        self.empty = 0
        self.undecodable = 0
        self.first_undecodable = 0
        self.unknown_links: dict[int, int] = {}
        self.unopened: dict[str, int] = {}
        self.unopened_more = 0
        self.unfinished = 0
        self.overlapping = 0
        self.abandoned = 0

    @classmethod
    def of(cls, counts: dict[str, Any]) -> DecodeTally:
        """Return the tally whose ``vars`` are ``counts``. Keys may have become text."""
        tally = cls()
        vars(tally).update(counts)
        tally.unknown_links = {int(link): frames for link, frames in tally.unknown_links.items()}
        return tally

    def undecoded(self, number: int) -> None:
        """Count a frame whose headers are cut or contradict each other."""
        self.undecodable += 1
        self.first_undecodable = self.first_undecodable or number

    def unopened_frame(
        self, found: Undecoded, link_type: int, frames: int = 1, most: int = DEFAULT_LIMITS.undecoded_kinds
    ) -> None:
        """Count a frame whose content is unknown. ``most``: kinds that are counted apart; 0: all."""
        if found.what.startswith("link type "):
            self.unknown_links[link_type] = self.unknown_links.get(link_type, 0) + frames
        elif found.what in self.unopened or not len(self.unopened) >= most > 0:
            self.unopened[found.what] = self.unopened.get(found.what, 0) + frames
        else:
            self.unopened_more += frames

    @property
    def decoder_counts(self) -> tuple[int, int, int]:
        """Frames that the hot loop, the raw decoder and Scapy decoded."""
        return self.fast, self.raw, self.scapy

    def add(self, later: DecodeTally) -> None:
        """Add the counts of ``later``, a tally of other frames of the same capture."""
        first = min(filter(None, (self.first_undecodable, later.first_undecodable)), default=0)
        for name, value in vars(later).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        self.first_undecodable = first
        for link, frames in later.unknown_links.items():
            self.unknown_links[link] = self.unknown_links.get(link, 0) + frames
        for what, frames in later.unopened.items():
            self.unopened_frame(Undecoded(what), 0, frames)

    def problems(self) -> list[str]:
        """Return the problems with these frames, as plain sentences."""
        named, more = _largest(self.unknown_links.items())
        sentences = [
            f"link type {_link(link)} is not supported: {_count(frames, 'frame was', 'frames were')} not decoded"
            for link, frames in named
        ]
        if more:
            sentences.append(f"{len(more)} more link types are not supported: {sum(more)} frames were not decoded")
        kinds, other = _largest(self.unopened.items())
        sentences += [
            f"{_count(frames, 'frame', 'frames')} of {what} {'was' if frames == 1 else 'were'} not decoded"
            for what, frames in kinds
        ]
        if other or self.unopened_more:
            sentences.append(f"{sum(other) + self.unopened_more} frames of other kinds were not decoded")
        if self.undecodable:
            sentences.append(
                f"{_count(self.undecodable, 'frame', 'frames')} could not be decoded, their headers are cut or "
                f"damaged (the first is frame {self.first_undecodable})"
            )
        if self.empty:
            sentences.append(
                f"{_count(self.empty, 'record is', 'records are')} empty: no byte of a frame to be decoded"
            )
        if self.unfinished:
            sentences.append(
                f"{_count(self.unfinished, 'fragmented datagram', 'fragmented datagrams')} never became whole"
            )
        if self.overlapping:
            sentences.append(
                f"{_count(self.overlapping, 'datagram has', 'datagrams have')} fragments that overlap with other "
                f"content: the first copy was used"
            )
        if self.abandoned:
            sentences.append(
                f"{_count(self.abandoned, 'datagram was', 'datagrams were')} not decoded: fragments of IPv6 that "
                f"overlap are dropped by every receiver (RFC 8200 §4.5)"
            )
        return sentences


def _link(number: int) -> str:
    name = link_name(number)
    return name if name == str(number) else f"{name} ({number})"


def _largest(counts: Iterable[tuple[Any, int]]) -> tuple[list[tuple[Any, int]], list[int]]:
    """Return the kinds that are named, those with most frames first, and the counts of the others."""
    ordered = sorted(counts, key=lambda item: -item[1])
    return ordered[:_NAMED], [frames for _, frames in ordered[_NAMED:]]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

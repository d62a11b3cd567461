"""Interfaces as one source of frames: numbered, counted, and checked for frames that the kernel loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..errors import UsageError, display_path
from ..model import Capture
from ..segments.link_layers import link_name
from ..timestamps import format_time
from .packet_ring import BLOCK_BYTES, DEFAULT_BYTES, PacketRing
from .recorder import Recorder
from .ring_frames import cut, decode, frames
from .sinks import left_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..segments.decoder import SegmentDecoder
    from ..tls.key_log import KeyLog
    from .recorder import Rotation

__all__ = ["Interfaces", "Source"]

_DIGITS = 9


class Source(Protocol):
    """A source of frames for a live audit. ``name``: for messages; ``digits``: decimals of a second in its times.

    ``finished``: it will deliver nothing more. ``moving``: its clock is the clock of the machine, so time goes on
    without frames. ``captures``: captures that are over; the code that reports them removes them.
    """

    name: str
    digits: int
    finished: bool
    moving: bool
    captures: list[Capture]

    def files(self) -> Sequence[int]:
        """Return the descriptors that become readable when frames are there."""

    def take(self, decoder: SegmentDecoder, limit: int | None = None) -> int:
        """Pass the available frames to ``decoder``, ``limit`` at most, and return soon. Return the number of frames."""

    def notices(self) -> Iterator[str]:
        """Return what has changed, one line each. Called about every second."""

    def counts(self) -> tuple[int, int, int]:
        """Return frames, captured bytes, and frames lost, since the start."""

    def end(self, time_ns: int) -> None:
        """The run ends at this time: ``take`` passes no frame that is later. Called if ``moving``, before the last
        calls of ``take``."""

    def leave(self) -> None:
        """Count the frames that ``take`` did not get to, for ``notices`` and for the capture's problems. Called after
        ``end``, if time ran out."""

    def close(self, decoder: SegmentDecoder) -> None:
        """End the reading: what was being read becomes one of ``captures``."""


class Interfaces:
    """Rings of one or several interfaces. ``size``: bytes of each; after that, bytes of all that the kernel gave."""

    digits = _DIGITS
    finished = False
    moving = True

    def __init__(
        self,
        names: Iterable[str],
        ports: frozenset[int],
        expression: str | None = None,
        *,
        size: int = DEFAULT_BYTES,
        promiscuous: bool = True,
        group: int | None = None,
    ) -> None:
        """``group``: see ``PacketRing``; each interface has a group of its own, from this number on."""
        self.rings: list[PacketRing] = []
        try:
            for number, name in enumerate(dict.fromkeys(names)):
                own = None if group is None else group + number
                self.rings.append(PacketRing(name, ports, expression, size=size, promiscuous=promiscuous, group=own))
        except BaseException:
            for ring in self.rings:
                ring.close()
            raise
        self.name = display_path("+".join(ring.interface for ring in self.rings))
        self.size = sum(ring.blocks for ring in self.rings) * BLOCK_BYTES
        self._record: Recorder | None = None
        self._keys: KeyLog | None = None
        self.captures: list[Capture] = []
        links = list(dict.fromkeys(link_name(ring.link_type) for ring in self.rings))
        self._capture = Capture(self.name, "live", links)
        self._first_ns = self._last_ns = 0
        self._up = {ring.interface: True for ring in self.rings}
        self._dropped = 0
        self._end_ns: int | None = None
        self._left: dict[str, int] = {}  # frames of each interface that were left in its ring
        self._fault_said = False

    def start(self) -> None:
        """Let frames come, if the rings are part of a group."""
        for ring in self.rings:
            ring.start()

    def record_to(self, path: str, ring: Rotation | None, keys: KeyLog | None = None) -> None:
        """Write every frame to ``path``, or to the files of a ring, with the secrets of the TLS sessions that ``keys``
        open. Raises UsageError if that is not possible."""
        if keys is not None:
            keys.take_used()  # from now on they are noted
        self._keys = keys
        self._record = Recorder(path, [(one.interface, one.link_type) for one in self.rings], ring)

    def files(self) -> Sequence[int]:
        """See ``Source``."""
        return [ring.fileno() for ring in self.rings]

    def take(self, decoder: SegmentDecoder, limit: int | None = None) -> int:
        """See ``Source``: reads a block of each interface."""
        capture = self._capture
        before = capture.frames
        for number, ring in enumerate(self.rings):
            block = ring.take()
            if block is None:
                continue
            if self._end_ns is not None:
                block = cut(block, self._end_ns)
            if limit is not None:
                block = block._replace(frames=max(0, min(block.frames, limit - capture.frames + before)))
            done = decode(block, decoder, capture.frames, ring.link_type)
            if self._record is not None:
                if self._keys is not None:  # what opens the frames comes before them
                    self._record.add_secrets(self._keys.take_used())
                self._record.add(number, frames(block, ring.link_type))
            capture.frames += done.frames
            capture.bytes += done.octets
            self._first_ns = self._first_ns or done.first_ns
            self._last_ns = done.last_ns or self._last_ns
        return capture.frames - before

    def notices(self) -> Iterator[str]:
        """See ``Source``: reports frames lost by the kernel, interfaces that went down or came back, and a recording
        that had to stop."""
        if self._record is not None and self._record.fault is not None and not self._fault_said:
            self._fault_said = True
            yield self._record.fault
        for ring in self.rings:
            fault, up, was_up = ring.fault(), ring.up, self._up[ring.interface]
            if not up and not was_up:
                up = self._bind_again(ring)
            self._up[ring.interface] = up
            if was_up and not up:
                yield f"{ring.interface}: the interface is down: waiting for it"
            elif up and not was_up:
                yield f"{ring.interface}: the interface is up again"
            elif fault is not None and up:
                yield f"{ring.interface}: {fault}, and up again"
        _, _, dropped = self.counts()
        if dropped > self._dropped:
            yield f"{self.name}: the kernel dropped {dropped - self._dropped:,} frames, {dropped:,} since the start"
            self._dropped = dropped

        yield from self._left_sentences()

    @staticmethod
    def _bind_again(ring: PacketRing) -> bool:
        """Bind to an interface that was removed and created again: it has another number. Return whether it is up."""
        try:
            if ring.find() != ring.index:
                ring.bind()
        except (OSError, UsageError):
            return False  # not there yet
        return ring.up

    def counts(self) -> tuple[int, int, int]:
        """See ``Source``."""
        return self._capture.frames, self._capture.bytes, sum(ring.statistics().dropped for ring in self.rings)

    def end(self, time_ns: int) -> None:
        """See ``Source``: the kernel adds no more frames to the rings."""
        self._end_ns = time_ns
        for ring in self.rings:
            ring.stop()

    def leave(self) -> None:
        """See ``Source``."""
        for ring in self.rings:
            left = 0
            while (block := ring.take()) is not None:
                left += (block if self._end_ns is None else cut(block, self._end_ns)).frames
            if left:
                self._left[ring.interface] = left

    def _left_sentences(self) -> list[str]:
        return [left_sentence(name, left) for name, left in self._left.items()]

    def close(self, decoder: SegmentDecoder) -> None:
        """See ``Source``."""
        capture = self._capture
        if self._first_ns:
            capture.first = format_time(self._first_ns, _DIGITS)
            capture.last = format_time(self._last_ns, _DIGITS)
        for ring in self.rings:
            frames_, dropped = ring.statistics()
            if dropped:
                capture.problems.append(
                    f"{ring.interface}: the kernel dropped {dropped:,} of {frames_:,} frames: the ring was full"
                )
        capture.problems += self._left_sentences()
        capture.problems += decoder.problems()
        if self._record is not None:
            if self._keys is not None:
                self._record.add_secrets(self._keys.take_used())
            self._record.close([ring.statistics() for ring in self.rings])
            if self._record.fault is not None:
                capture.problems.append(self._record.fault)
        self.captures.append(capture)
        for ring in self.rings:
            ring.close()

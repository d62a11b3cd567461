"""Interfaces on systems without a ring: Scapy's own listening socket, frame by frame."""

# This is slow: it loses frames above a few thousand frames per second, and cannot report how many. It lets the command
# work on every system on which Scapy can listen; `tcpdump -w - | smtpwire audit -` is faster.

from __future__ import annotations

from itertools import islice
from select import select
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, display_path
from ..model import Capture
from ..segments.link_layers import link_name
from ..timestamps import format_time
from .sinks import left_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..segments.decoder import SegmentDecoder

__all__ = ["ScapySource"]

_AT_ONCE = 256  # frames read before findings are reported


class ScapySource:
    """``conf.L2listen`` for each of ``names``; ``expression`` as for ``PacketRing``. Raises UsageError as that does."""

    digits = 6
    moving = True

    def __init__(
        self, names: Sequence[str], ports: frozenset[int], expression: str | None = None, *, promiscuous: bool = True
    ) -> None:
        from scapy.all import conf  # noqa: PLC0415  all: it selects what fits the system

        self._layers = conf.l2types.layer2num
        wanted = " or ".join(f"tcp port {port}" for port in sorted(ports))
        words = f"{wanted} or (vlan and ({wanted})) or (ip[6:2] & 0x1fff != 0)" if expression is None else expression
        self.name = "+".join(names)
        self.captures: list[Capture] = []
        self._sockets: list[Any] = []
        self._capture = Capture(self.name, "live")
        self._first_ns = self._last_ns = self._left = 0
        self.finished = False
        self._end_ns: int | None = None
        for name in names:
            try:
                self._sockets.append(conf.L2listen(iface=name, filter=words or None, promisc=promiscuous))
            except PermissionError:
                hint = "run it as root, or pipe a capture in: tcpdump -w - | smtpwire audit -"
                raise UsageError("no permission to capture", display_path(name), hint) from None
            except Exception as error:  # errors of Scapy, of libpcap and of the system
                reason = " ".join(str(error).split()) or type(error).__name__
                raise UsageError("cannot capture", display_path(name), reason) from error

    def files(self) -> Sequence[int]:
        """See ``Source``."""
        return [one.fileno() for one in self._sockets]

    def take(self, decoder: SegmentDecoder, limit: int | None = None) -> int:
        """See ``Source``."""
        capture, before = self._capture, self._capture.frames
        for link, time_ns, data in islice(self._waiting(), _AT_ONCE if limit is None else min(limit, _AT_ONCE)):
            capture.frames += 1
            capture.bytes += len(data)
            if link_name(link) not in capture.link_types:
                capture.link_types.append(link_name(link))
            self._last_ns = time_ns
            self._first_ns = self._first_ns or time_ns
            decoder.frame(link, time_ns, data, len(data), capture.frames)
        return capture.frames - before

    def _waiting(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield link type, time and bytes of each available frame that came before the end of the run."""
        while ready := select(self._sockets, [], [], 0)[0]:
            for one in ready:
                layer, data, time = one.recv_raw()
                time_ns = int((time or 0) * 1_000_000) * 1000
                if self._end_ns is not None and time_ns > self._end_ns:
                    self.finished = True
                    return
                if data:
                    yield self._layers.get(layer, 1), time_ns, data

    def notices(self) -> Iterator[str]:
        """See ``Source``: frames left at the end. Scapy gives no other information."""
        yield from self._left_sentences()

    def counts(self) -> tuple[int, int, int]:
        """See ``Source``. The number of lost frames is not known."""
        return self._capture.frames, self._capture.bytes, 0

    def end(self, time_ns: int) -> None:
        """See ``Source``."""
        self._end_ns = time_ns

    def leave(self) -> None:
        """See ``Source``."""
        self._left = 0 if self.finished else sum(1 for _ in self._waiting())

    def _left_sentences(self) -> list[str]:
        return [left_sentence(self.name, self._left)] if self._left else []

    def close(self, decoder: SegmentDecoder) -> None:
        """See ``Source``."""
        capture = self._capture
        if self._first_ns:
            capture.first, capture.last = format_time(self._first_ns, 6), format_time(self._last_ns, 6)
        capture.problems += ["lost frames are not counted: there is no ring on this system"]
        capture.problems += self._left_sentences()
        capture.problems += decoder.problems()
        self.captures.append(capture)
        for one in self._sockets:
            one.close()

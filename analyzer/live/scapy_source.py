"""Interfaces on systems without a ring: Scapy's own listening socket, frame by frame."""

# This is slow: it loses frames above a few thousand frames per second, and cannot report how many. It lets the command
# work on every system on which Scapy can listen; `tcpdump -w - | smtpwire audit -` is faster.

from __future__ import annotations

from select import select
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, display_path
from ..model import Capture
from ..segments.link_layers import link_name
from ..timestamps import format_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..segments.decoder import SegmentDecoder
    from .recorder import Rotation

__all__ = ["ScapySource"]

_AT_ONCE = 256  # frames read before findings are reported


class ScapySource:
    """``conf.L2listen`` for each of ``names``; ``expression`` as for ``PacketRing``. Raises UsageError as that does."""

    digits = 6
    finished = False
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
        self._first_ns = self._last_ns = 0
        for name in names:
            try:
                self._sockets.append(conf.L2listen(iface=name, filter=words or None, promisc=promiscuous))
            except PermissionError:
                hint = "run it as root, or pipe a capture in: tcpdump -w - | smtpwire audit -"
                raise UsageError("no permission to capture", display_path(name), hint) from None
            except Exception as error:  # errors of Scapy, of libpcap and of the system
                reason = " ".join(str(error).split()) or type(error).__name__
                raise UsageError("cannot capture", display_path(name), reason) from error

    def record_to(self, path: str, ring: Rotation | None) -> None:
        """Raise UsageError: Scapy has already dissected the frames, so they are not written."""
        raise UsageError(
            "frames cannot be written on this system", f"--write {display_path(path)}", "use tcpdump -w for that"
        )

    def files(self) -> Sequence[int]:
        """See ``Source``."""
        return [one.fileno() for one in self._sockets]

    def take(self, decoder: SegmentDecoder, limit: int | None = None) -> int:
        """See ``Source``."""
        capture, before = self._capture, self._capture.frames
        for _ in range(_AT_ONCE if limit is None else min(limit, _AT_ONCE)):
            ready = select(self._sockets, [], [], 0)[0]
            if not ready:
                break
            for one in ready:
                layer, data, time = one.recv_raw()
                if not data:
                    continue
                link = self._layers.get(layer, 1)
                capture.frames += 1
                capture.bytes += len(data)
                if link_name(link) not in capture.link_types:
                    capture.link_types.append(link_name(link))
                self._last_ns = int((time or 0) * 1_000_000) * 1000
                self._first_ns = self._first_ns or self._last_ns
                decoder.frame(link, self._last_ns, data, len(data), capture.frames)
        return capture.frames - before

    def notices(self) -> Iterator[str]:
        """See ``Source``: Scapy gives no such information."""
        yield from ()

    def counts(self) -> tuple[int, int, int]:
        """See ``Source``. The number of lost frames is not known."""
        return self._capture.frames, self._capture.bytes, 0

    def close(self, decoder: SegmentDecoder) -> None:
        """See ``Source``."""
        capture = self._capture
        if self._first_ns:
            capture.first, capture.last = format_time(self._first_ns, 6), format_time(self._last_ns, 6)
        capture.problems += ["lost frames are not counted: there is no ring on this system"]
        capture.problems += decoder.problems()
        self.captures.append(capture)
        for one in self._sockets:
            one.close()

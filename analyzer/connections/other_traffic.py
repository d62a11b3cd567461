"""Count the TCP connections that are not SMTP: a report without any SMTP says what the captures hold instead."""

# As soon as there is SMTP nothing more is counted: a capture may be full of other connections.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..limits import OTHER_TRAFFIC
from ..lines.protocol_detection import protocol_of
from ..model import OtherTraffic
from ..streams.flow import reversed_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..streams.flow import Flow
    from ..streams.handshakes import Handshakes

__all__ = ["HANDSHAKE_ONLY", "SYN_ONLY", "OtherConnections", "ordered"]

HANDSHAKE_ONLY = "only a handshake"
SYN_ONLY = "only a SYN"
_REST = "other protocols", 0


class OtherConnections:
    """Connections by protocol and port of the server. With more kinds than `limits.OTHER_TRAFFIC`, the rest is one."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}

    def add(self, flow: Flow, client: bytes, server: bytes) -> None:
        """Count a connection that is not SMTP. ``client`` and ``server``: its first bytes."""
        ends = _port(flow.key[-2:]), _port(flow.key[-4:-2])
        self._count(protocol_of(client, server), ends[0] if flow.handshake else min(ends))

    def add_handshakes(self, handshakes: Handshakes) -> None:
        """Count the connections that had no data."""
        for key, syn in handshakes.items():
            if syn.answers:
                self._count(HANDSHAKE_ONLY, _port(key[-4:-2]))
            elif reversed_key(key) not in handshakes:
                self._count(SYN_ONLY, _port(key[-2:]))

    def ordered(self) -> list[OtherTraffic]:
        """Return the counts, the largest first."""
        return ordered(self._counts)

    def _count(self, protocol: str, port: int) -> None:
        kind = protocol, port
        if kind not in self._counts and len(self._counts) >= OTHER_TRAFFIC:
            kind = _REST
        self._counts[kind] = self._counts.get(kind, 0) + 1


def ordered(counts: Mapping[tuple[str, int], int]) -> list[OtherTraffic]:
    """Return counts by protocol and port, the largest first."""
    found = sorted(counts.items(), key=lambda one: (-one[1], one[0][1], one[0][0]))
    return [OtherTraffic(protocol, port, count) for (protocol, port), count in found]


def _port(octets: bytes) -> int:
    return int.from_bytes(octets, "big")

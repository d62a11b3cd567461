"""Which connections are followed, which have only SYNs so far, and which have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from .flow import Flow, reversed_key
from .handshakes import Handshakes, drop_oldest
from .port_reuse import Lifetime, begins_another
from .receiver import IGNORING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..limits import Limits

__all__ = ["ClosedDirection", "FlowTable"]

ClosedDirection = tuple["int | None", "int | None", Lifetime]
"""A direction of a connection that ended: the numbers of its SYN and of that of the other direction, None if it was not
captured, and the lifetime of the connection."""


class FlowTable:
    """``flows``: the connections that are followed, by the keys of both directions. ``others``: second connections
    between the same addresses and ports. ``handshakes``: SYNs without data so far. ``closed``: directions of
    connections that ended. ``ignored``: directions of connections that are not SMTP; sources may omit their
    segments."""

    def __init__(self, limits: Limits) -> None:
        self.flows: dict[bytes, Flow] = {}
        self.others: dict[bytes, Flow] = {}
        self.handshakes = Handshakes(limits.handshakes)
        self.closed: dict[bytes, ClosedDirection] = {}
        self.ignored: set[bytes] = set()
        self._most_closed = 2 * limits.closed_connections

    def __len__(self) -> int:
        """Return the number of connections that are followed."""
        return (len(self.flows) + len(self.others)) // 2

    def __iter__(self) -> Iterator[Flow]:
        """Yield the connections that are followed, oldest first."""
        return iter([flow for flows in (self.flows, self.others) for key, flow in flows.items() if key == flow.key])

    def waiting(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield the SYNs of connections without data so far: the key, and the time twice."""
        for key, syn in self.handshakes.items():
            yield key, syn.time_ns, syn.time_ns

    def add(self, flow: Flow) -> None:
        """Follow ``flow``, beside the connection with the same addresses and ports if there is one."""
        flows = self.others if flow.key in self.flows else self.flows
        flows[flow.key] = flows[flow.back] = flow

    def has(self, flow: Flow) -> bool:
        """Return whether ``flow`` is followed."""
        return self.flows.get(flow.key) is flow or self.others.get(flow.key) is flow

    def drop(self, flow: Flow, lifetime: Lifetime) -> None:
        """Follow ``flow`` no longer, and remember that it ended. The second connection takes the place of the first."""
        other = self.others.pop(flow.key, None)
        if other is not None:
            del self.others[flow.back]
            if other is not flow:
                self.flows[other.key] = self.flows[other.back] = other
            return
        closed, client, server = self.closed, flow.isn(client=True), flow.isn(client=False)
        for key, one in ((flow.key, (client, server, lifetime)), (flow.back, (server, client, lifetime))):
            self.flows.pop(key, None)
            closed.pop(key, None)  # to move it to the end
            closed[key] = one
            if len(closed) > self._most_closed > 0:
                drop_oldest(closed, self.ignored)

    def ignore(self, flow: Flow) -> None:
        """Add ``flow``, which is no longer followed, to ``ignored``, unless another connection uses the same ports."""
        if flow.key not in self.flows:
            self.ignored |= {flow.key, flow.back}
        flow.receiver = IGNORING

    def is_copy(self, key: bytes, seq: int, time_ns: int, capture: int) -> bool:
        """Return whether a SYN of direction ``key`` belongs to the connection that ended."""
        isn, _, lifetime = self.closed[key]
        if isn != seq or begins_another(lifetime, time_ns, capture):
            return False
        if capture == lifetime.capture:  # what follows this SYN belongs to that connection, too
            lifetime = replace(lifetime, last_ns=time_ns)
            for one in (key, reversed_key(key)):
                if one in self.closed:
                    self.closed[one] = (*self.closed[one][:2], lifetime)
        return True

    def forget(self, key: bytes) -> None:
        """Forget that the connection with direction ``key`` ended: another one uses its ports now."""
        for one in (key, reversed_key(key)):
            self.closed.pop(one, None)
            self.ignored.discard(one)

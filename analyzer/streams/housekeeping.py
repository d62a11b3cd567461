"""End connections that were idle for too long, are too many, or hold too much."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from .capture_clock import IdleClock
from .memory_pressure import GROWTH_PER_FLOW, heaviest, relieve, weight
from .stream import Shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import Limits
    from .flow import Flow
    from .flow_table import FlowTable

__all__ = ["Housekeeping", "Pressure"]


class Pressure(NamedTuple):
    """What limits for all connections did: handshakes that were forgotten, and connections whose missing bytes were
    declared lost."""

    forgotten: int = 0
    relieved: int = 0

    def problems(self, limits: Limits) -> list[str]:
        """Return it as plain sentences."""
        sentences = []
        if self.forgotten:
            waited = f"more than {limits.handshakes} handshakes waited for their connection's first bytes"
            sentences.append(f"{waited}: {self.forgotten} were forgotten")
        if self.relieved:
            held = f"all connections together held more than {limits.all_held_bytes} bytes"
            sentences.append(f"{held}: missing bytes were declared lost in {self.relieved} of them")
        return sentences


class Housekeeping:
    """``relieved``: connections whose missing bytes were declared lost, because all held too much. ``evicted``:
    connections that were ended by a limit."""

    def __init__(self, table: FlowTable, limits: Limits, end: Callable[[Flow, str], None]) -> None:
        """``end``: ends a connection, for the reason given."""
        self.clock = IdleClock()
        self.shared = Shared()
        self.relieved = 0
        self.evicted = 0
        self._table = table
        self._limits = limits
        self._end = end
        self._free = limits.all_held_bytes  # bytes that may be kept before all connections are weighed

    def sweep(self) -> None:
        """End connections that were idle too long or are too many. Cheap if called often."""
        limits, table = self._limits, self._table
        if self.shared.grown > self._free and limits.all_held_bytes:
            self._weigh()
        clock = self.clock
        crowded = len(table) > limits.connections > 0
        if not clock.sweep_expected and not crowded:
            return
        clock.note_sweep()
        if limits.idle_seconds:
            oldest = clock.now_ns - limits.idle_seconds * 1_000_000_000
            idle = [flow for flow in table if flow.last_ns < oldest]
            for flow in sorted(idle, key=attrgetter("started")):
                self._evict(flow, f"no longer followed: idle for more than {limits.idle_seconds} s")
        if len(table) > limits.connections > 0:
            alive = sorted(table, key=attrgetter("last_ns", "started"))
            for flow in alive[: len(table) - limits.connections + limits.connections // 10]:
                self._evict(flow, f"no longer followed: more than {limits.connections} connections were open")

    def pressure(self) -> Pressure:
        """Return what limits did to connections that no other note reports, since the last call."""
        handshakes = self._table.handshakes
        forgotten, handshakes.forgotten = handshakes.forgotten, 0
        relieved, self.relieved = self.relieved, 0
        return Pressure(forgotten, relieved)

    def adjust(self, by_ns: int) -> None:
        """Shift all times by ``by_ns``, because the clock that stamps the segments was changed by that."""
        self.clock.adjust(by_ns)
        for flow in self._table:
            flow.last_ns += by_ns

    def _weigh(self) -> None:
        """Weigh all connections. If together they hold too much, relieve those that hold most."""
        limit = self._limits.all_held_bytes
        total, chosen = heaviest(self._table, limit)
        for flow in chosen:
            before = weight(flow)
            self.relieved += 1
            relieve(flow)
            total += weight(flow) - before
            if total > limit // 2 and weight(flow) > before // 2 and flow.key in self._table.flows:
                total -= weight(flow)
                self._evict(flow, f"no longer followed: all connections together held more than {limit} bytes")
        self.shared.grown = 0
        self._free = max(limit // 8, limit - total, GROWTH_PER_FLOW * len(self._table))

    def _evict(self, flow: Flow, why: str) -> None:
        self.evicted += 1
        self._end(flow, why)

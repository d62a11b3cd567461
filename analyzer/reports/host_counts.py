"""Findings by host, in bounded memory: a scan of a whole network has more hosts than a report can count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import Connection, Severity

__all__ = ["MAX_HOSTS", "SEVERITIES", "Counts", "HostCounts", "HostTally", "no_counts"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
# Hosts of one role that are counted separately.
MAX_HOSTS = 4096

Counts = dict["Severity", int]


def no_counts() -> Counts:
    """Return a count of 0 for each severity."""
    return dict.fromkeys(SEVERITIES, 0)


@dataclass(slots=True)
class HostCounts:
    """One host in one role, with the findings that are its fault."""

    address: str
    connections: int = 0
    counts: Counts = field(default_factory=no_counts)

    @property
    def worth(self) -> tuple[int, ...]:
        """Return a sort key: the host with the most and worst faults has the largest."""
        return *(self.counts[severity] for severity in SEVERITIES), self.connections


class HostTally:
    """The counts of each host. ``uncounted``: connections of hosts beyond MAX_HOSTS, by role. ``on_the_path``: findings
    that are the fault of neither."""

    def __init__(self) -> None:
        self.hosts: dict[str, dict[str, HostCounts]] = {"client": {}, "server": {}}
        self.uncounted: dict[str, int] = {"client": 0, "server": 0}
        self.on_the_path = 0

    def connection(self, connection: Connection) -> None:
        """Count one more connection."""
        sides = {
            "client": self._host("client", connection.client.address),
            "server": self._host("server", connection.server.address),
        }
        for host in sides.values():
            if host is not None:
                host.connections += 1
        for finding in connection.findings:
            if finding.side == "path":
                self.on_the_path += 1
                continue
            at_fault = sides[finding.side]
            if at_fault is not None:
                at_fault.counts[finding.severity] += 1

    def _host(self, role: str, address: str) -> HostCounts | None:
        hosts = self.hosts[role]
        host = hosts.get(address)
        if host is None and len(hosts) < MAX_HOSTS:
            host = hosts[address] = HostCounts(address)
        elif host is None:
            self.uncounted[role] += 1
        return host

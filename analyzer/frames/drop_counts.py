"""Count the packets that a capture program dropped, as a pcapng file says."""

from __future__ import annotations

__all__ = ["DropCounts"]


class DropCounts:
    """The counts of one file. Packets and interfaces may both say how many were dropped, and mean the same ones, so the
    larger sum counts."""

    def __init__(self) -> None:
        self._before_packets = 0
        self._of_interfaces = 0  # of earlier sections
        self._latest: dict[tuple[int, int], int] = {}  # by interface and option; each is a count since the start

    def __copy__(self) -> DropCounts:
        """Return counts of their own, for a reader that reads on here."""
        copy = DropCounts()
        vars(copy).update(vars(self), _latest=dict(self._latest))
        return copy

    def before_packet(self, count: int) -> None:
        """Add packets that were dropped between a packet and the one before it."""
        self._before_packets += count

    def of_interface(self, interface: int, option: int, count: int) -> None:
        """Note the count of an interface so far."""
        self._latest[interface, option] = count

    def next_section(self) -> None:
        """Begin another section, whose interfaces are others."""
        self._of_interfaces += sum(self._latest.values())
        self._latest = {}

    def problems(self) -> list[str]:
        """Return the counts as a sentence, if any packet was dropped."""
        dropped = max(self._before_packets, self._of_interfaces + sum(self._latest.values()))
        if not dropped:
            return []
        return [f"{dropped} {'packet was' if dropped == 1 else 'packets were'} dropped by the program that captured"]

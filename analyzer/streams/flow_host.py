"""What decides about the connections of a reassembler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .flow import Flow

__all__ = ["FlowHost"]


class FlowHost(Protocol):
    """Decides what becomes of each connection."""

    def accept(self, flow: Flow) -> None:
        """Set ``receiver`` of a new connection. Called at its first payload byte."""

    def giving_up(self, flow: Flow) -> None:
        """A limit ends the connection now."""

    def finished(self, flow: Flow, why: str) -> None:
        """The connection is over, and its receiver has everything. ``why``: "" or a sentence for the report (evicted,
        ports reused)."""

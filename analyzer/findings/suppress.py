"""Findings that the user does not want: between certain hosts, or with certain reply codes."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ..model import ReplyTurn

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import Connection, Finding

__all__ = ["KnownFindings", "Peer", "agreed", "drop"]

Network = IPv4Network | IPv6Network

UNREGISTERED_CODE = "RPL409"


class KnownFindings(Protocol):
    """Findings that are left out and counted. ``baseline.Baseline`` is one; an audit without a baseline does not load
    it."""

    @property
    def suppressed(self) -> int:
        """Findings that were left out so far."""

    def knows(self, finding: Finding, connection: Connection) -> bool:
        """Whether ``finding`` is known; if so, count it."""

    def summary(self) -> str:
        """Return the counts in one line."""


class Peer(Struct, frozen=True):
    """Ids of rules that are not reported between ``client`` and ``server``; None means any host."""

    client: Network | None
    server: Network | None
    ignore: frozenset[str]

    def fits(self, connection: Connection) -> bool:
        """Whether both endpoints of ``connection`` match."""
        from ipaddress import ip_address  # noqa: PLC0415 - loaded only if peers are configured

        ends = ((self.client, connection.client), (self.server, connection.server))
        return all(network is None or ip_address(end.address) in network for network, end in ends)


def agreed(finding: Finding, connection: Connection, codes: frozenset[int]) -> bool:
    """Whether ``finding`` only reports an unregistered reply code that is one of ``codes``, which are known here."""
    if finding.rule != UNREGISTERED_CODE or finding.turn is None:
        return False
    turn = connection.dialogue[finding.turn]
    return isinstance(turn, ReplyTurn) and turn.code in codes


def drop(connection: Connection, unwanted: Callable[[Finding], bool]) -> int:
    """Remove ``unwanted`` findings from ``connection``; return the number of removed findings.

    If the cause of a finding is removed, the cause of that cause takes its place, if it is kept.
    """
    findings = connection.findings
    new_index: list[int | None] = []  # of each finding in ``kept``; for a removed one, the index of its cause
    kept: list[Finding] = []
    for finding in findings:
        cause = None if finding.caused_by is None else _index_of(finding.caused_by, new_index)
        if unwanted(finding):
            new_index.append(cause)
            continue
        new_index.append(len(kept))
        finding.caused_by = cause
        kept.append(finding)
    connection.findings = kept
    return len(findings) - len(kept)


def _index_of(old: int, new_index: list[int | None]) -> int | None:
    # A cause always comes before its consequences.
    return new_index[old] if old < len(new_index) else None

"""Findings that the user does not want: between certain hosts, or with certain reply codes."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ..model import LeftOut, ReplyTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Literal

    from ..model import Connection, Finding, Summary

__all__ = ["KnownFindings", "Peer", "Suppression", "drop"]

Network = IPv4Network | IPv6Network

UNREGISTERED_CODE = "RPL409"


class KnownFindings(Protocol):
    """Findings that are left out and counted. ``baseline.Baseline`` is one; an audit without a baseline does not load
    it. ``name``: that of its file."""

    name: str

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

    def __str__(self) -> str:
        """Return the hosts: ``client 10.0.0.0/8, server 192.0.2.1/32``."""
        ends = (("client", self.client), ("server", self.server))
        return ", ".join(f"{side} {network}" for side, network in ends if network is not None)

    def fits(self, connection: Connection) -> bool:
        """Whether both endpoints of ``connection`` match."""
        from ipaddress import ip_address  # noqa: PLC0415 - loaded only if peers are configured

        ends = ((self.client, connection.client), (self.server, connection.server))
        return all(network is None or ip_address(end.address) in network for network, end in ends)


class Suppression:
    """Says which findings are left out, and counts them in ``summary`` by setting and rule."""

    def __init__(
        self, peers: Iterable[Peer], codes: frozenset[int], baseline: KnownFindings | None, summary: Summary
    ) -> None:
        self._peers = tuple(peers)
        self._codes = codes
        self._baseline = baseline
        self._summary = summary
        self._counted: dict[tuple[str, str, str], LeftOut] = {}
        self.idle = not (self._peers or codes or baseline is not None)
        """Nothing is ever left out."""

    def unwanted(self, connection: Connection, secretless: Callable[[Finding], Finding]) -> Callable[[Finding], bool]:
        """Return a function that says whether a finding of ``connection`` is left out. It counts each one.
        ``secretless``: returns a copy without secrets, because a baseline has none."""
        peers = [peer for peer in self._peers if peer.fits(connection)]
        codes, baseline = self._codes, self._baseline

        def is_unwanted(finding: Finding) -> bool:
            for peer in peers:
                if finding.rule in peer.ignore:
                    return self._count("per-peer", str(peer), finding)
            if codes and _is_agreed(finding, connection, codes):
                return self._count("known-codes", "", finding)
            if baseline is not None and baseline.knows(secretless(finding), connection):
                return self._count("baseline", baseline.name, finding)
            return False

        return is_unwanted

    def _count(self, by: Literal["per-peer", "known-codes", "baseline"], where: str, finding: Finding) -> bool:
        key = by, where, finding.rule
        if key not in self._counted:
            self._counted[key] = LeftOut(by, where, finding.rule, 0)
            self._summary.left_out.append(self._counted[key])
        self._counted[key].findings += 1
        self._summary.suppressed += 1
        return True


def _is_agreed(finding: Finding, connection: Connection, codes: frozenset[int]) -> bool:
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

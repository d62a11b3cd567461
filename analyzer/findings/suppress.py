"""Findings that the user does not want: between certain hosts, or with certain reply codes."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from ..model import LeftOut, ReplyTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ..model import Connection, Finding, Summary

__all__ = ["KnownFindings", "Peer", "Suppression", "drop"]

Network = IPv4Network | IPv6Network
_Reason = Literal["per-peer", "known-codes", "baseline"]

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

    def summary(self, not_asked: Collection[str] = ()) -> str:
        """Return the counts in one line. ``not_asked``: rules that this run does not ask."""


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
        ends = ((self.client, connection.client), (self.server, connection.server))
        return all(network is None or _parsed(end.address) in network for network, end in ends)


@lru_cache(maxsize=4096)
def _parsed(address: str) -> IPv4Address | IPv6Address:
    """Return an address of a connection as an object: each setting compares it."""
    return ip_address(address)


class Suppression:
    """Says which findings are left out, and counts them in ``summary`` by setting and rule. ``anonymous``: the hosts of
    a setting are not named."""

    def __init__(
        self,
        peers: Iterable[Peer],
        codes: frozenset[int],
        baseline: KnownFindings | None,
        summary: Summary,
        *,
        anonymous: bool = False,
    ) -> None:
        self._peers = [(peer, f"number {number}" if anonymous else str(peer)) for number, peer in enumerate(peers, 1)]
        self._left_out: list[tuple[_Reason, str, str]] = []  # that `settle` will count
        self._codes = codes
        self._baseline = baseline
        self._summary = summary
        self._counted: dict[tuple[_Reason, str, str], LeftOut] = {}
        self.idle = not (self._peers or codes or baseline is not None)
        """Nothing is ever left out."""

    def unwanted(self, connection: Connection, secretless: Callable[[Finding], Finding]) -> Callable[[Finding], bool]:
        """Return a function that says whether a finding of ``connection`` is left out. `settle` counts them.
        ``secretless``: returns a copy without secrets, because a baseline has none."""
        peers = [(peer.ignore, name) for peer, name in self._peers if peer.fits(connection)]
        codes, baseline, left_out = self._codes, self._baseline, self._left_out

        def is_unwanted(finding: Finding) -> bool:
            # A baseline is asked first: an entry is stale only if its finding does not occur.
            if baseline is not None and baseline.knows(secretless(finding), connection):
                left_out.append(("baseline", baseline.name, finding.rule))
                return True
            for ignored, name in peers:
                if finding.rule in ignored:
                    left_out.append(("per-peer", name, finding.rule))
                    return True
            if codes and _is_agreed(finding, connection, codes):
                left_out.append(("known-codes", "", finding.rule))
                return True
            return False

        return is_unwanted

    def settle(self, *, counts: bool = True) -> None:
        """Count what was left out since the last call, unless its connection is not reported (``counts``)."""
        for key in self._left_out if counts else ():
            if key not in self._counted:
                self._counted[key] = LeftOut(*key, 0)
                self._summary.left_out.append(self._counted[key])
            self._counted[key].findings += 1
            self._summary.suppressed += 1
        self._left_out.clear()


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

"""Findings that the user has said not to want: between certain hosts, or known from before (``baseline``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ..model import ReplyTurn

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network, IPv6Network

    from ..model import Connection, Finding

    Network = IPv4Network | IPv6Network

__all__ = ["Peer", "agreed", "drop"]

UNREGISTERED_CODE = "RPL409"


class Peer(Struct, frozen=True):
    """Rules, by id, that are not reported between ``client`` and ``server``; None stands for any host."""

    client: Network | None
    server: Network | None
    ignore: frozenset[str]

    def fits(self, connection: Connection) -> bool:
        """Whether both ends of ``connection`` are meant."""
        from ipaddress import ip_address  # noqa: PLC0415 - only who has configured peers pays for it

        ends = ((self.client, connection.client), (self.server, connection.server))
        return all(network is None or ip_address(end.address) in network for network, end in ends)


def agreed(finding: Finding, connection: Connection, codes: frozenset[int]) -> bool:
    """Whether ``finding`` only says that a reply code is unknown which is one of ``codes``: those are known here."""
    if finding.rule != UNREGISTERED_CODE or finding.turn is None:
        return False
    turn = connection.dialogue[finding.turn]
    return isinstance(turn, ReplyTurn) and turn.code in codes


def drop(connection: Connection, unwanted: Callable[[Finding], bool]) -> int:
    """Take ``unwanted`` findings out of ``connection``; gives how many.

    What followed from a dropped finding then follows from that one's own cause, if it has one that stays.
    """
    findings = connection.findings
    place: list[int | None] = []  # where each finding is afterwards; of a dropped one, where its cause is
    kept: list[Finding] = []
    for finding in findings:
        cause = None if finding.caused_by is None else _place_of(finding.caused_by, place)
        if unwanted(finding):
            place.append(cause)
            continue
        place.append(len(kept))
        finding.caused_by = cause
        kept.append(finding)
    connection.findings = kept
    return len(findings) - len(kept)


def _place_of(index: int, place: list[int | None]) -> int | None:
    # A cause is found before what follows from it.
    return place[index] if index < len(place) else None

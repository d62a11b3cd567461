"""Count a connection in the summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import Connection, Summary

__all__ = ["count", "is_complete"]


def is_complete(connection: Connection) -> bool:
    """Whether all of ``connection`` was captured, and in clear text."""
    both = connection.client_bytes and connection.server_bytes
    return bool(both and connection.opening == "handshake" and connection.tls == "none" and not connection.gaps)


def count(summary: Summary, connection: Connection, by: int = 1) -> None:
    """Add ``by`` times what ``connection`` holds to ``summary``. -1 takes it out again; then a rule may be left with a
    count of 0."""
    summary.connections += by
    summary.messages += by * len(connection.messages)
    if connection.tls != "none":
        summary.encrypted += by
        summary.implicit_tls += by * (connection.tls == "implicit")
    elif is_complete(connection):
        summary.complete += by
    for finding in connection.findings:
        summary.findings[finding.severity] += by
        summary.rules[finding.rule] = summary.rules.get(finding.rule, 0) + by

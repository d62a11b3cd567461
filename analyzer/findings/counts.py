"""Count a connection in the summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from ..model import LeftOut

if TYPE_CHECKING:
    from ..model import Connection, Summary

__all__ = ["add", "count", "decrypted", "is_complete"]

_COUNTS = (
    *("connections", "messages", "suppressed", "filtered"),
    *("complete", "encrypted", "implicit_tls", "decrypted", "partly_decrypted"),
)
Decrypted = Literal["all", "part", "none"]


def decrypted(connection: Connection) -> Decrypted:
    """Return how much could be read of what was inside TLS; ``none`` also if there is no TLS."""
    session = connection.tls_session
    return "none" if session is UNSET else session.decrypted


def is_complete(connection: Connection) -> bool:
    """Whether all of ``connection`` was captured, and could be read: in clear text, or wholly decrypted."""
    both = connection.client_bytes and connection.server_bytes
    readable = connection.tls == "none" or decrypted(connection) == "all"
    return bool(both and connection.opening == "handshake" and readable and not connection.gaps)


def count(summary: Summary, connection: Connection) -> None:
    """Add what ``connection`` holds to ``summary``."""
    summary.connections += 1
    summary.messages += len(connection.messages)
    summary.complete += is_complete(connection)
    if connection.tls != "none":
        summary.encrypted += 1
        summary.implicit_tls += connection.tls == "implicit"
        summary.decrypted += decrypted(connection) == "all"
        summary.partly_decrypted += decrypted(connection) == "part"
    for finding in connection.findings:
        summary.findings[finding.severity] += 1
        summary.rules[finding.rule] = summary.rules.get(finding.rule, 0) + 1


def add(total: Summary, part: Summary, by: int = 1) -> None:
    """Add ``by`` times the counts of ``part`` to ``total``. -1 takes them out again."""
    for name in _COUNTS:
        setattr(total, name, getattr(total, name) + by * getattr(part, name))
    for severity, findings in part.findings.items():
        total.findings[severity] += by * findings
    for rule, findings in part.rules.items():
        total.rules[rule] = total.rules.get(rule, 0) + by * findings
    total.rules = {rule: findings for rule, findings in total.rules.items() if findings}
    known = {(one.by, one.where, one.rule): one.findings for one in total.left_out}
    for one in part.left_out:
        kind = one.by, one.where, one.rule
        known[kind] = known.get(kind, 0) + by * one.findings
    total.left_out = [LeftOut(*kind, findings) for kind, findings in known.items() if findings]

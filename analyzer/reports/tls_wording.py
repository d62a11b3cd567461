"""The text about TLS: what a session showed of itself, its certificates, and how much of it was decrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from ..model import GapTurn, TlsTurn
from .output import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..model import Connection, TlsCertificate, TlsSession

__all__ = [
    "decryption",
    "handshake",
    "insides",
    "key_logs",
    "key_of",
    "tls_facts",
    "tls_lines",
    "validity",
]

# Protocols that a client offers, which are named.
NAMED_PROTOCOLS = 8
_TIMES = {1: "once", 2: "twice"}


def insides(connection: Connection) -> list[bool]:
    """Return of each turn whether it was inside TLS. A gap is if a turn before it is."""
    found, inside = [], False
    for turn in connection.dialogue:
        if isinstance(turn, GapTurn):
            found.append(inside)
        elif isinstance(turn, TlsTurn):
            found.append(False)
        else:
            inside = turn.inside is not UNSET
            found.append(inside)
    return found


def handshake(session: TlsSession | UnsetType) -> str:
    """Return the description of the turn in which TLS starts."""
    if session is UNSET or session.decrypted == "none":
        failed = session is not UNSET and session.alert is not None
        return "TLS handshake: it failed" if failed else "TLS handshake: what follows is encrypted"
    if session.decrypted == "all":
        return "TLS handshake: what follows was inside TLS"
    return "TLS handshake: what follows was inside TLS, and not all of it could be read"


def decryption(session: TlsSession) -> str:
    """Return how much of what was inside was decrypted, and why not all."""
    said = {"all": "decrypted", "part": "decrypted in part", "none": "not decrypted"}[session.decrypted]
    return said if session.why is None else f"{said}: {session.why}"


def tls_facts(session: TlsSession) -> Iterator[tuple[str, str]]:
    """Return what the session showed of itself, each fact with its name."""
    yield "version", session.version or "unknown"
    if session.suite is not None:
        yield "suite", session.suite
    if session.group is not None:
        yield "group", session.group
    if session.dh_bits is not None:
        yield "DHE", f"{session.dh_bits} bits"
    if session.sni is not None or session.ja4 is not None:  # no name was sent only if the hello was seen
        yield "SNI", session.sni or "none"
    if session.alpn is not None:
        yield "ALPN", session.alpn
    elif session.alpn_offered:
        more = len(session.alpn_offered) - NAMED_PROTOCOLS
        rest = f" and {more:,} more" if more > 0 else ""
        yield "ALPN", f"none of {', '.join(session.alpn_offered[:NAMED_PROTOCOLS])}{rest}"
    course = list(_course(session))
    if course:
        yield "course", ", ".join(course)
    if session.ja4 is not None:
        yield "JA4", session.ja4
    if session.alert is not None:
        yield "alert", f"{session.alert.description}, sent by the {session.alert.side}"
    if session.alert is None or session.decrypted != "none":
        yield "inside", decryption(session)


def _course(session: TlsSession) -> Iterator[str]:
    if session.resumed:
        yield "resumed"
    if session.retried:
        yield "the server asked for another hello"
    if session.early_data is not None:
        yield f"early data {'accepted' if session.early_data else 'refused'}"
    if session.renegotiations:
        yield f"renegotiated {_TIMES.get(session.renegotiations) or f'{session.renegotiations:,} times'}"
    if session.key_updates:
        yield plural(session.key_updates, "key update")
    if session.compressed:
        yield "compressed"


def validity(one: TlsCertificate) -> str:
    """Return the days of a certificate."""
    return f"{one.not_before[:10]} to {one.not_after[:10]}"


def key_of(one: TlsCertificate) -> str:
    """Return the kind and the size of the key of a certificate."""
    return one.key_type if one.key_bits is None else f"{one.key_type} {one.key_bits} bits"


def tls_lines(session: TlsSession) -> Iterator[str]:
    """Return the session in a few lines: what was agreed, the certificate of each side, and what was decrypted."""
    facts = dict(tls_facts(session))
    if session.version is None:
        facts["version"] = "TLS of an unknown version"
    inside = facts.pop("inside", None)
    last = ", ".join(_named(name, facts.pop(name)) for name in ("JA4", "alert") if name in facts)
    yield ", ".join(_named(name, value) for name, value in facts.items())
    for side, chain in (("", session.certificates), ("client ", session.client_certificates)):
        if chain:
            one, more = chain[0], len(chain) - 1
            above = f", {plural(more, 'more certificate')} in its chain" if more else ""
            whose = f"{side}certificate of {one.subject or 'nobody'}"
            yield f"{whose}: {validity(one)}, {key_of(one)}, by {one.issuer}{above}"
    if last:
        yield last
    if inside is not None:
        yield inside


def _named(name: str, value: str) -> str:
    return value if name in {"version", "suite", "group", "course"} else f"{name} {value}"


def key_logs(names: Sequence[str]) -> str:
    """Return which key logs belong to a capture: ``key log a.keys``; "" if none does."""
    return f"key log{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""

"""SEC 635 to 637: how TLS begins, as far as that is in the clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.tables.tls_alerts import ALERTS, CAUSES
from ..exchanges.exchange import Mark
from .phrases import Count, Phrase, Term
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_OBSOLETE = {0x0300: "SSL 3", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1"}


@rule(
    "SEC635",
    "clear-text-on-tls-port",
    "error",
    "client",
    "RFC 8314 §3.3, §7.3",
    on=OnExchange(marks=Mark.CLEAR_TO_TLS),
    hides=("SEC618", "RPL401", "RPL412", "TCP901", "TCP902", "TCP909", "TIM801"),
    explains=True,
)
def clear_text_on_tls_port(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client speaks clear text to the implicit-TLS port.

    On port 465 the TLS handshake comes before the first command, and the server waits for it. It cannot understand
    commands in plain text, and everyone on the path can read them. Fix the client: use TLS from the first byte, or port
    587 with STARTTLS. Fix the server: close the connection, and do not answer in plain text.
    """
    what = named(x, "Plain text")
    phrase = Phrase("{what} was sent in clear text to port 465, where TLS has to begin at once.", what=what)
    yield Evidence(phrase, certain=True)


@rule(
    "SEC636",
    "tls-handshake-failed",
    "warning",
    "client",
    "RFC 3207 §6; RFC 5246 §7.2; RFC 8446 §6",
    on=OnExchange(marks=Mark.TLS_BROKEN),
    hides=("TCP901", "TCP902", "RPL412"),
    explains=True,
)
def tls_handshake_failed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """TLS handshake broken off.

    One side ended the handshake with a fatal alert, or the server closed the connection without an answer to the
    client's hello. No mail can be sent in this session, and some clients send it without TLS in the next one. The alert
    says why, as its sender sees it: a certificate that it does not trust, or nothing in common. TLS lets one side
    refuse the other; it is a warning because the mail fails, or is sent without TLS. Fix the server: send a valid
    certificate for its name, with the whole chain, and allow current versions and cipher suites. Fix the client: update
    the list of authorities that it trusts, and allow current versions and cipher suites.
    """
    closing = talk.course.closing
    if talk.tls is None:
        return
    alert = talk.tls.session.facts.failed
    if alert is not None:
        known = ALERTS.get(alert.description)
        name = Phrase("{alert} ({number})", alert=Term(known or "unknown"), number=Count(alert.description))
        cause = CAUSES.get(alert.description)
        why = Phrase("") if cause is None else Phrase(": {cause}", cause=Term(cause))
        phrase = Phrase(
            "The {side} broke off the TLS handshake with the alert {name}{why}.",
            side=Term(alert.side),
            name=name,
            why=why,
        )
        yield Evidence(phrase, side=alert.side, length=7, evidence="", certain=True)
    elif closing is not None:
        how = Term("reset" if closing.how == "rst" else "closed")
        phrase = Phrase("The server {how} the connection instead of an answer to the client's TLS hello.", how=how)
        yield Evidence(phrase, side="server", length=0, evidence="", certain=True)


@rule(
    "SEC637",
    "obsolete-tls",
    "info",
    "server",
    "RFC 7568 §3; RFC 8996 §4, §5; RFC 8997 §3; RFC 8314 §4.1",
    on=OnExchange(marks=Mark.OLD_TLS),
    severities={"submission": "warning"},
)
def obsolete_tls(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server chose SSL 3, TLS 1.0 or TLS 1.1.

    These versions have known weaknesses and must not be used any more. It is only an info between relays, although the
    RFCs say MUST NOT, because an old version is still better than plain text; for submission it is a warning, because
    RFC 8314 leaves old clients time to change. The server chooses the highest version that both sides know, so the
    client may be the old one. Fix the server: enable TLS 1.2 and TLS 1.3, and turn the older versions off. Fix the
    client: do the same, if it knows no newer version.
    """
    version = None if talk.tls is None else talk.tls.session.facts.version
    if version in _OBSOLETE:
        phrase = Phrase("The server chose {version}.", version=Term(_OBSOLETE[version]))
        yield Evidence(phrase, length=0, evidence="", certain=True)

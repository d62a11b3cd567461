"""SEC 640, 641 and 644: the certificate of the server."""

# Only the server's own certificate is judged. Others of the chain may be left out by a client that knows a shorter one.
# With TLS 1.3 certificates are encrypted, so they are seen only with a key log; in a resumed session there is none.
# Between relays nobody checks certificates unless a policy says so, which no capture shows (RFC 7672, RFC 8461).

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...dissectors.printable import printable
from ..exchanges.exchange import Mark
from ..exchanges.lifecycle import SECOND
from ..timestamps import format_time
from .phrases import Count, Host, Phrase, Term
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..tls.certificates import Certificate

__all__: list[str] = []

_SUBMISSION: Final = {"submission": "warning"}
_SUBMISSION_ONLY: Final = {"rfc5321": "off", "rfc821": "off", "lmtp": "off"}
_LONGEST: Final = 100  # characters of a name that are quoted
_ENCRYPTED_CLIENT_HELLO: Final = 0xFE0D  # the extension; the name in the clear is not the one that is asked for then
_DAY: Final = 86_400
_FIRST_CLOCK: Final = 946_684_800  # the year 2000: captures with earlier times have no real ones
_BROKEN_HASHES: Final = frozenset(
    {
        *("md2WithRSAEncryption", "md5WithRSAEncryption", "sha1WithRSAEncryption"),
        *("dsa-with-sha1", "ecdsa-with-SHA1"),
    }
)


def _own(talk: Conversation) -> Certificate | None:
    """The server's own certificate, if it was seen."""
    chain = () if talk.tls is None else talk.tls.session.facts.certificates
    return chain[0] if chain else None


@rule(
    "SEC640",
    "certificate-for-another-name",
    "warning",
    "server",
    "RFC 7817 §3, §5; RFC 8314 §5.3; RFC 9525 §6",
    on=OnExchange(marks=Mark.TLS_PRESENTED),
    severities=_SUBMISSION_ONLY,
    once=True,
)
def certificate_for_another_name(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Certificate of the submission server does not name the host that the client asked for.

    A client for submission must compare the name of the server with those in its certificate. If none fits, the server
    may be anyone's. The name that the client asked for is that of the extension server_name (SNI). It is a warning
    because the client, or a proxy that answers it, may be configured for another name. A client that goes on does not
    check. Fix the server: get a certificate with all names under which clients are told to use it. Fix the client: use
    a name that the certificate has, and go on only if one fits.
    """
    own = _own(talk)
    hello = None if talk.tls is None else talk.tls.session.facts.client_hello
    if own is None or hello is None or hello.sni is None or not hello.sni.isascii():
        return
    asked = hello.sni.decode("ascii")
    from ..tls.certificates import names_host  # noqa: PLC0415  few captures have TLS

    hidden = any(kind == _ENCRYPTED_CLIENT_HELLO for kind, _ in hello.extensions)
    if hidden or names_host(own, asked):
        return
    names = own.names or (() if own.common_name is None else (own.common_name,))
    if names:
        more = Phrase(" and {more} more", more=Count(len(names) - 1)) if len(names) > 1 else Phrase("")
        named = Phrase("{named}{others}", named=Host(names[0][:_LONGEST]), others=more)
    else:
        named = Phrase("no host")
    phrase = Phrase(
        "The client asked for {asked}, but the certificate names {names}.",
        asked=Host(printable(hello.sni[:_LONGEST])),
        names=named,
    )
    yield Evidence(phrase, length=0, evidence="", certain=True)


@rule(
    "SEC641",
    "certificate-out-of-date",
    "info",
    "server",
    "RFC 5280 §4.1.2.5, §6.1.3; RFC 8314 §5.3",
    on=OnExchange(marks=Mark.TLS_PRESENTED),
    severities=_SUBMISSION,
    once=True,
)
def certificate_out_of_date(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Certificate of the server has expired, or is not valid yet.

    The time of the server's hello in the capture is not within the validity period of its certificate. A client that
    checks certificates refuses it. Between relays most do not check, and with DANE the dates do not matter (RFC 7671
    §5.1), so it is only an info there. If the capture is less than a day from the limit, its clock may be wrong, and
    the finding is indeterminate. Fix the server: renew the certificate in time, and load it again after that; set the
    clock of the machine that makes certificates. Fix the client: check the dates, for submission at least.
    """
    own, now = _own(talk), x.time_ns // SECOND
    if own is None or now < _FIRST_CLOCK:
        return
    if now > own.not_after:
        limit = own.not_after
        phrase = Phrase("The server's certificate had expired: it was valid until {until}.", until=_time(limit))
    elif now < own.not_before:
        limit = own.not_before
        phrase = Phrase("The server's certificate was not valid yet: it is valid from {since} on.", since=_time(limit))
    else:
        return
    yield Evidence(phrase, length=0, evidence="", certain=abs(now - limit) >= _DAY)


def _time(seconds: int) -> Term:
    return Term(format_time(seconds * SECOND, 0))


@rule(
    "SEC644",
    "weak-certificate-signature",
    "info",
    "server",
    "RFC 9325 §4.5; RFC 8446 §4.4.2.4",
    on=OnExchange(marks=Mark.TLS_PRESENTED),
    severities=_SUBMISSION,
    once=True,
)
def weak_certificate_signature(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Certificate of the server is signed with MD5 or SHA-1.

    Two certificates can be made that have the same MD5 or SHA-1 hash, so such a signature does not prove who is named
    in it, and current clients refuse it. A certificate that was issued by its own subject is not judged: nobody checks
    that signature. It is only an info between relays, where few clients check certificates. Fix the server: get a
    certificate that is signed with SHA-256 or better. Fix the client: accept no such signature.
    """
    own = _own(talk)
    if own is not None and not own.self_issued and own.signature in _BROKEN_HASHES:
        phrase = Phrase("The server's certificate is signed with {algorithm}.", algorithm=Term(own.signature))
        yield Evidence(phrase, length=0, evidence="", certain=True)

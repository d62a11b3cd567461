"""SEC 639, 642, 643 and 645 to 647: what client and server negotiate in the TLS handshake, and where none comes."""

# Between relays TLS is opportunistic: weak encryption is better than none (RFC 9325 §5.2, RFC 7435 §3), so most of this
# is an info there. For submission the client must know that its password is safe, so it is a warning. What was not seen
# of a handshake is not judged.

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...dissectors.tables.tls_alerts import alert_name
from ...dissectors.tables.tls_names import group_name, suite_name
from ..exchanges.exchange import Mark
from ..exchanges.lifecycle import SECOND
from ..exchanges.state_table import Act
from .end_facts import EndFact
from .phrases import Count, Phrase, Seconds, Term
from .registry import Ended, Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..tls.facts import TlsFacts
    from ..tls.hellos import ClientHello

__all__: list[str] = []

_SUBMISSION: Final = {"submission": "warning"}
_TLS13: Final = 0x0304
_MISSING_EXTENSION, _UNRECOGNIZED_NAME = 109, 112  # alerts
# Types of extensions
_SERVER_NAME, _SUPPORTED_GROUPS, _SIGNATURE_ALGORITHMS, _PRE_SHARED_KEY = 0, 10, 13, 41
_PSK_KEY_EXCHANGE_MODES, _KEY_SHARE = 45, 51
_METHODS: Final = {1: "DEFLATE", 64: "LZS"}  # RFC 3749 §2.1, RFC 3943 §3
_SHORT_CURVES: Final = frozenset({1, 2, 3, 4, 5, *range(15, 20)})  # groups of less than 224 bits
_DHE: Final = ("TLS_DHE_RSA_", "TLS_DHE_DSS_", "TLS_DH_anon_")  # whose prime comes first in the server's key exchange
_LEAST_PRIME_BITS: Final = 2048
_LEAST_BITS_OF: Final = {"RSA": 2048, "EC": 224}  # keys in certificates
_SILENT_NS: Final = 30 * SECOND


def _facts(talk: Conversation) -> TlsFacts | None:
    return None if talk.tls is None else talk.tls.session.facts


@rule(
    "SEC639",
    "sni-missing",
    "warning",
    "client",
    "RFC 6066 §3; RFC 8446 §9.2; RFC 9325 §3.7",
    on=OnExchange(marks=Mark.TLS_BROKEN),
    hides=("SEC636",),
    explains=True,
)
def sni_missing(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server refuses a TLS hello without a server name.

    A server that has certificates for several names chooses one by the extension server_name (SNI) of the client's
    hello. A client may leave it out, and a server may refuse that with the alert missing_extension or
    unrecognized_name. No mail can be sent in this session, and some clients send it without TLS in the next one. Fix
    the client: send the name of the server in server_name. Fix the server: use a default certificate for clients that
    send no name.
    """
    facts = _facts(talk)
    if facts is None or facts.failed is None or facts.client_hello is None:
        return
    alert, hello = facts.failed, facts.client_hello
    kinds = {kind for kind, _ in hello.extensions}
    if alert.side != "server" or _SERVER_NAME in kinds:
        return
    other_missing = facts.retried or _is_incomplete(hello, kinds)
    if alert.description == _UNRECOGNIZED_NAME or (alert.description == _MISSING_EXTENSION and not other_missing):
        phrase = Phrase(
            "The server broke off the TLS handshake with the alert {alert} ({number}): the client's hello has no "
            "server_name.",
            alert=Term(alert_name(alert.description)),
            number=Count(alert.description),
        )
        yield Evidence(phrase, length=7, evidence="", certain=True)


def _is_incomplete(hello: ClientHello, kinds: set[int]) -> bool:
    """Whether the hello lacks another extension that a server must miss (RFC 8446 §4.2.9, §9.2)."""
    if _TLS13 not in hello.versions:
        return False
    if _PRE_SHARED_KEY in kinds and _PSK_KEY_EXCHANGE_MODES not in kinds:
        return True
    if _PRE_SHARED_KEY not in kinds and not kinds >= {_SIGNATURE_ALGORITHMS, _SUPPORTED_GROUPS}:
        return True
    return (_SUPPORTED_GROUPS in kinds) != (_KEY_SHARE in kinds)


@rule(
    "SEC642",
    "weak-cipher-suite",
    "info",
    "server",
    "RFC 9325 §4.1",
    on=OnExchange(marks=Mark.TLS_CHOSEN),
    severities=_SUBMISSION,
    once=True,
)
def weak_cipher_suite(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server chose a cipher suite that must not be used.

    Suites without encryption (NULL), with RC4, or with less than 112 bits of security (export suites and DES) do not
    protect the mail. For submission, a suite without authentication (anonymous) does not protect it either: anyone on
    the path can be the server. It is only an info between relays, although RFC 9325 says MUST NOT, because most of them
    would send plain text instead; for submission it is a warning. The server chooses among the suites that the client
    offers. Fix the server: disable these suites. Fix the client: do not offer them.
    """
    facts = _facts(talk)
    hello = None if facts is None else facts.server_hello
    if hello is None:
        return
    name = suite_name(hello.suite)
    why = _weakness(name)
    if why is not None:
        reference = None
    elif "_anon_" in name and talk.profile == "submission":
        why, reference = "by which the server does not authenticate itself", "RFC 5246 §A.5; RFC 8314 §5.3"
    else:
        return
    phrase = Phrase("The server chose {suite}, {why}.", suite=Term(name), why=Term(why))
    yield Evidence(phrase, length=0, evidence="", certain=True, reference=reference)


def _weakness(name: str) -> str | None:
    """Return why a suite must not be used, as the end of a sentence; None if RFC 9325 does not say that it must not."""
    words = name.split("_")
    if "NULL" in words or name in {"TLS_SHA256_SHA256", "TLS_SHA384_SHA384"}:  # the latter: RFC 9150
        return "which does not encrypt"
    if "EXPORT" in words or "DES" in words or "DES40" in words:
        return "which offers less than 112 bits of security"
    return "which uses RC4" if "RC4" in words else None


@rule(
    "SEC643",
    "weak-tls-key",
    "info",
    "server",
    "RFC 9325 §4.5",
    on=OnExchange(marks=Mark.TLS_PRESENTED),
    severities=_SUBMISSION,
    once=True,
)
def weak_tls_key(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Key of the server is too short.

    RFC 9325 requires at least 2048 bits for the RSA key of the server's certificate and for the prime of a
    Diffie-Hellman key exchange, and 224 bits for elliptic curves. Shorter ones can be broken, some of them once for all
    servers that use the same prime. It is only an info between relays, because an old key is still better than plain
    text, and a warning for submission. Fix the server: get a certificate with a longer key; use ECDHE, or a group of
    2048 bits or more. Fix the client: refuse such keys where the server must be authenticated.
    """
    facts = _facts(talk)
    if facts is None or facts.server_hello is None:
        return
    parts: list[Phrase] = []
    for own in facts.certificates[:1]:
        kind, bits = own.key_type, own.key_bits
        if bits is not None and bits < _LEAST_BITS_OF.get(kind, 0):
            parts.append(Phrase("a certificate with an {kind} key of {bits} bits", kind=Term(kind), bits=Count(bits)))
    group, prime_bits = facts.group, facts.dh_bits
    if group is not None and group in _SHORT_CURVES:
        parts.append(Phrase("the curve {curve} for the key exchange", curve=Term(group_name(group))))
    dhe = prime_bits is not None and suite_name(facts.server_hello.suite).startswith(_DHE)
    if prime_bits is not None and dhe and prime_bits < _LEAST_PRIME_BITS:
        parts.append(Phrase("a prime of {prime_bits} bits for the key exchange", prime_bits=Count(prime_bits)))
    if parts:
        phrase = Phrase("The server uses {keys}: that is too short.", keys=Phrase.joined(" and ", parts))
        yield Evidence(phrase, length=0, evidence="", certain=True)


@rule(
    "SEC645",
    "tls-compression",
    "info",
    "server",
    "RFC 9325 §3.3; RFC 8446 §4.1.3; RFC 7457 §2.6",
    on=OnExchange(marks=Mark.TLS_CHOSEN),
    severities=_SUBMISSION,
    once=True,
)
def tls_compression(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server chose to compress inside TLS.

    The length of what was compressed tells something about it, and an attacker who can add text to it may find out a
    secret beside that text (CRIME). So TLS must not compress; TLS 1.3 cannot. Nobody has shown the attack for SMTP,
    and RFC 9325 says SHOULD NOT, so this is only an info between relays. The server chooses a method only if the client
    offers it. Fix the server: turn the compression of TLS off. Fix the client: do not offer it.
    """
    facts = _facts(talk)
    method = 0 if facts is None or facts.server_hello is None else facts.server_hello.compression
    if method:
        phrase = Phrase(
            "The server chose the compression method {method} ({number}).",
            method=Term(_METHODS.get(method, "unknown")),
            number=Count(method),
        )
        yield Evidence(phrase, length=0, evidence="", certain=True)


@rule(
    "SEC646",
    "no-secure-renegotiation",
    "info",
    "server",
    "RFC 5746 §3.6, §4.1; RFC 9325 §3.5",
    on=OnExchange(marks=Mark.TLS_CHOSEN),
    severities=_SUBMISSION,
    once=True,
)
def no_secure_renegotiation(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server does not know secure renegotiation.

    Up to TLS 1.2 an attacker on the path can begin a session, send commands in it, and let the client's handshake
    follow as a renegotiation: the server then takes these commands for the client's (CVE-2009-3555). The extension
    renegotiation_info prevents that. A server that supports it has to answer it in its hello, in resumed sessions too.
    RFC 9325 says MUST, and that a client has to break off otherwise; it is only an info between relays, where plain
    text would follow. Fix the server: update its TLS library. Fix the client: require renegotiation_info where the
    server must be authenticated.
    """
    facts = _facts(talk)
    if facts is None or facts.client_hello is None or facts.server_hello is None:
        return
    hello = facts.server_hello
    if hello.version < _TLS13 and facts.client_hello.offers_renegotiation_info and not hello.renegotiation_info:
        phrase = "The client offered secure renegotiation, but the server's hello has no renegotiation_info."
        yield Evidence(phrase, length=0, evidence="", certain=True)


@rule(
    "SEC647",
    "starttls-abandoned",
    "info",
    "client",
    "RFC 3207 §4",
    on=Ended(facts=EndFact.CLIENT_CLOSED | EndFact.SERVER_CLOSED),
    severities=_SUBMISSION,
)
def starttls_abandoned(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Client starts no TLS after the 220 to STARTTLS.

    After the 220 reply the TLS handshake comes before any other command. Here the client closed the connection instead,
    or sent nothing for so long that the server closed it. RFC 3207 does not forbid that, and nothing was sent in plain
    text, so it is only an info between relays: a program may test whether STARTTLS works. For submission it is a
    warning, because the TLS of this client probably does not work. Some clients then send the mail without TLS. Fix the
    client: find out why it cannot start TLS; send STARTTLS only if it can.
    """
    closing, last, course = talk.course.closing, talk.last, talk.course
    if talk.watching is None or not talk.watching.upgrading or talk.record.tls != "none":
        return
    if closing is None or not closing.certain or last is None or last.answer is None or last.act is not Act.STARTTLS:
        return
    if not (last.accepted and last.sure and talk.certain) or talk.midstream or talk.injected is not None:
        return
    after = last.answer.offset + len(last.answer.reply.raw)
    if any(course.lost.values()) or course.captured is False or talk.record.server_bytes > after:
        return
    if closing.side == "client":
        how = Term("reset" if closing.how == "rst" else "closed")
        phrase = Phrase("The client {how} the connection after the 220 to STARTTLS, without a TLS handshake.", how=how)
    elif closing.waited_ns >= _SILENT_NS:
        phrase = Phrase(
            "The client sent nothing after the 220 to STARTTLS; the server closed the connection after {waited} s.",
            waited=Seconds(closing.waited_ns // SECOND),
        )
    else:
        return
    yield Evidence(
        phrase,
        offset=talk.record.client_bytes,
        length=0,
        frame=closing.frame,
        time_ns=closing.time_ns,
        evidence="",
        certain=True,
    )

"""SEC 609, 628, 629, 634: logins, and who can read the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act, Phase
from .phrases import Code, IpAddress, Octets, Phrase, Term, Text
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_IN_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT})
_TAKEN = frozenset(range(250, 260))
_ASKS_LATE = frozenset({530, 535, 538, 550, 551, 553, 554})  # of a server that wants a login before it takes mail


@rule(
    "SEC609",
    "cleartext-credentials",
    "error",
    "client",
    "RFC 4954 §4; RFC 4616 §5; RFC 8314 §5.2",
    on=OnExchange(marks=Mark.CLEAR_PASSWORD),
)
def cleartext_credentials(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Password sent in clear text.

    PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER send the password or token unencrypted; base64 does not protect it. Anyone who
    can capture this traffic can log in. The report never shows the password or token. It is an error although most of
    the RFCs say SHOULD NOT, because the password is certainly disclosed. Fix the client: use TLS first, and change the
    password. Fix the server: do not list these mechanisms outside TLS, and answer 538 to them there.
    """
    login = talk.watch.login
    if login is None or not talk.server_seen:
        return
    secret = Term("token" if login.mechanism in {"XOAUTH2", "OAUTHBEARER"} else "password")
    user = valid = Phrase("")
    if login.user_length:
        user = Phrase(" for a user name of {user_length} bytes", user_length=Octets(login.user_length))
    if x.code == 235:
        valid = Phrase(" The server accepted it: this {secret} is valid and must be changed.", secret=secret)
    elif x.code >= 400:
        valid = Phrase(" The server refused it with {code}.", code=Code(x.code))
    yield Evidence(
        Phrase(
            "AUTH {mechanism} sent a {secret} in plain text{user}.{valid}",
            mechanism=Text(login.mechanism),
            secret=secret,
            user=user,
            valid=valid,
        )
    )


@rule("SEC628", "auth-cancelled", "info", "client", "RFC 4954 §4", on=OnExchange(acts=frozenset({Act.ANSWER})))
def auth_cancelled(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH exchange cancelled.

    The client ended the exchange with "*", which is allowed. Some old servers had a vulnerability at this point, so
    intrusion detection systems report it, and so does this rule. There is nothing to fix if the client is known and its
    user cancelled. Fix the client: if it cancels again and again, choose a mechanism that it can complete. Fix the
    server: keep its software up to date.
    """
    if x.raw == b"*":
        login = talk.watch.login
        name = Phrase("") if login is None else Phrase(" {mechanism}", mechanism=Text(login.mechanism))
        phrase = Phrase("The client cancelled the AUTH{name} exchange with a single asterisk.", name=name)
        yield Evidence(phrase, evidence="*")


@rule(
    "SEC629",
    "xclient-accepted",
    "warning",
    "server",
    "Postfix XCLIENT, XFORWARD; RFC 5321 §4.1.5",
    on=OnExchange(acts=frozenset({Act.XCLIENT, Act.OTHER}), codes=frozenset({220, 250})),
)
def xclient_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server lets the client override its identity.

    After XCLIENT the server trusts what the client claims about its own address, name and login, and decides by that
    who may relay. After XFORWARD it writes these claims to its log. No RFC forbids that; it is a warning because a
    client that is no such proxy can pass for anyone. Fix the server: give this right only to a proxy that belongs to
    it.
    """
    verb = b"" if x.command is None else x.command.verb
    accepted = x.code in {220, 250} if verb == b"XCLIENT" else x.code == 250 and verb == b"XFORWARD"
    if accepted and not talk.record.on_loopback:
        yield Evidence(
            Phrase(
                "The server accepted {verb} with {code}; from now on it trusts what {client} claims about its "
                "identity.",
                verb=named(x),
                code=Code(x.code),
                client=IpAddress(talk.record.client.address),
            ),
            reply=True,
        )


@rule(
    "SEC634",
    "submission-unauthenticated",
    "warning",
    "server",
    "RFC 6409 §4.3",
    on=OnExchange(acts=frozenset({Act.RCPT}), codes=_TAKEN | _ASKS_LATE),
    severities={"rfc5321": "off", "rfc821": "off", "lmtp": "off"},
)
def submission_unauthenticated(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Submission server accepts mail without authentication.

    A submission server must know who submits a message, so it refuses MAIL with 530 until the client has authenticated.
    A server may identify the client by other means (its own network, a client certificate), which the capture does not
    show; so it is a warning, although RFC 6409 says MUST. If the server accepts MAIL and refuses the recipients, this
    is only a remark: many servers ask for authentication as late as that. Fix the server: require AUTH, and refuse MAIL
    without it. Fix the client: log in before MAIL.
    """
    before = x.before
    if before is None or not before.sure or before.hello.authenticated or talk.record.on_loopback:
        return
    if talk.profile != "submission" or before.phase not in _IN_TRANSACTION:
        return
    certain = False if before.hello.secure else None  # TLS may have carried a client certificate
    if x.code in _TAKEN:
        yield Evidence(
            Phrase(
                "The submission server accepted a recipient with {code} although the client had not authenticated.",
                code=Code(x.code),
            ),
            reply=True,
            certain=certain,
            series="accepted",
            unit="recipients",
        )
    elif x.transaction is None or not x.transaction.accepted:  # with another recipient taken, it asks for no login
        yield Evidence(
            Phrase(
                "The submission server accepted MAIL without authentication and refused the recipient with {code}: it "
                "has to ask for authentication at MAIL.",
                code=Code(x.code),
            ),
            reply=True,
            severity="info",
            certain=certain,
            series="refused",
            unit="recipients",
        )

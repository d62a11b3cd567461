"""SEC 609, 628, 629, 634: who proves to be whom, and who can read the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .registry import Evidence, OnExchange, rule
from .security_tls import on_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


@rule(
    "SEC609",
    "cleartext-credentials",
    "error",
    "client",
    "RFC 4954 §4, §9; RFC 8314 §3",
    on=OnExchange(marks=Mark.CLEAR_PASSWORD),
)
def cleartext_credentials(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Password sent in clear text.

    PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER send the password or token as it is; base64 hides nothing. Whoever captured
    this can log in. The report never shows it. Fix the client: TLS first; and change the password.
    """
    login = talk.watch.login
    if login is None or not talk.server_seen:
        return
    secret = "token" if login.mechanism in {"XOAUTH2", "OAUTHBEARER"} else "password"
    user = f" for a user name of {login.user_length} bytes" if login.user_length else ""
    valid = ""
    if x.code == 235:
        valid = f" The server accepted it: this {secret} is valid and has to be changed."
    elif x.code >= 400:
        valid = f" The server refused it with {x.code}."
    yield Evidence(f"AUTH {login.mechanism} sent a {secret} in plain text{user}.{valid}")


@rule("SEC628", "auth-cancelled", "info", "client", "RFC 4954 §4", on=OnExchange(acts=frozenset({Act.ANSWER})))
def auth_cancelled(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH exchange cancelled.

    The client ended the exchange with "*", as it may. Some old servers had a hole there, so intrusion detection systems
    report it, and so does this.
    """
    if x.raw == b"*":
        login = talk.watch.login
        name = "" if login is None else f" {login.mechanism}"
        yield Evidence(f"The client cancelled the AUTH{name} exchange with a lone asterisk.", evidence="*")


@rule(
    "SEC629",
    "xclient-accepted",
    "warning",
    "server",
    "Postfix XCLIENT, XFORWARD; RFC 5321 §4.1.5",
    on=OnExchange(acts=frozenset({Act.XCLIENT, Act.OTHER})),
    individual=True,
)
def xclient_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server lets the client override its identity.

    After XCLIENT the server believes what the client says about its own address, name and login, and decides by that
    who may relay; XFORWARD puts it into the log. Only a proxy that belongs to the server may have that right.
    """
    verb = b"" if x.command is None else x.command.verb
    taken = x.code in {220, 250} if verb == b"XCLIENT" else x.code == 250 and verb == b"XFORWARD"
    if taken and not on_loopback(talk):
        yield Evidence(
            f"The server accepted {x.name} with {x.code}: from here on it believes what "
            f"{talk.record.client.address} says about who it is.",
            reply=True,
        )


@rule(
    "SEC634",
    "submission-unauthenticated",
    "warning",
    "server",
    "RFC 6409 §4.3",
    on=OnExchange(acts=frozenset({Act.MAIL})),
    severities={"rfc5321": "off", "rfc821": "off", "lmtp": "off"},
    formal=True,
)
def submission_unauthenticated(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Submission server accepts mail without authentication.

    A submission server has to know who submits: it refuses MAIL with 530 until the client has authenticated. What it
    knows by other means (a network of its own, a client certificate) cannot be seen here.
    """
    if talk.profile != "submission" or x.code != 250 or "SEC634" in talk.counts:
        return
    before = x.before
    if before is None or not before.sure or before.hello.authenticated or on_loopback(talk):
        return
    yield Evidence(
        "The submission server accepted MAIL though the client had not authenticated.",
        reply=True,
        certain=False if before.hello.secure else None,  # TLS may have carried a client certificate
    )

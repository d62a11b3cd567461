"""SEC 601 to 607, 610, 631, 633: the way into TLS, and who stands in it."""

# STARTTLS begins in the clear, so whoever can write on the path can inject bytes on either side of it, overwrite the
# keyword, or take it out of the EHLO reply. A passive reader sees what was on the wire, not who wrote it: where a
# client or server can have done the same by mistake, the message says so.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import parse_command
from ...dissectors.printable import printable
from ..exchanges.attack_marks import is_masked
from ..exchanges.exchange import Mark
from ..exchanges.starttls_history import StartTlsOffer, plain_offer
from ..exchanges.state_table import Act, Phase
from ..exchanges.turns import shown_argument
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

IMPLICIT_TLS_PORT = 465  # RFC 8314 §7.3
MAX_SHOWN = 100  # bytes of injected text that are quoted


def on_loopback(talk: Conversation) -> bool:
    """Whether both sides are one machine: nobody listens between them."""
    address = talk.record.server.address
    return address.startswith(("127.", "::ffff:127.")) or address == "::1"


def line_without_secrets(line: bytes) -> str:
    """A line of the client as evidence."""
    command = parse_command(line[:MAX_SHOWN])
    if command.verb == b"AUTH" and command.argument is not None:
        return f"AUTH {shown_argument(command, command.argument)}"
    return printable(command.raw)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@rule(
    "SEC601",
    "starttls-command-injection",
    "error",
    "path",
    "RFC 3207 §4, §4.2; CVE-2011-0411",
    on=OnExchange(marks=Mark.INJECTED),
    hides=("EXT504", "EXT505"),
)
def starttls_command_injection(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client bytes behind STARTTLS before the 220.

    STARTTLS ends what may be sent in the clear. Commands behind it, before the server said 220, are what somebody on
    the path injects: a server that keeps them in its buffer obeys them inside TLS, as if the client had sent them
    there. A client that pipelines behind STARTTLS looks the same. The server must throw such bytes away.
    """
    injection = talk.watch.injection
    if injection is None or talk.injected is not x:
        return
    yield Evidence(
        f"{_count(injection.length, 'byte')} stood behind STARTTLS before the server answered 220. They were injected "
        "on the path or pipelined by the client; a server that does not drop them obeys them inside TLS.",
        offset=injection.offset,
        length=injection.length,
        frame=injection.frame,
        time_ns=injection.time_ns,
        evidence=line_without_secrets(injection.line),
    )


@rule(
    "SEC602",
    "cleartext-after-220",
    "error",
    "client",
    "RFC 3207 §4",
    on=OnExchange(marks=Mark.NO_TLS),
)
def cleartext_after_220(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client answers the STARTTLS 220 with something other than TLS.

    After the 220 the TLS handshake must come first; what the client sends instead is read by everybody, and a server
    that waits for a handshake makes nothing of it. In a capture that was decrypted before it was saved this is what a
    proper session looks like.
    """
    yield Evidence(
        "The server had agreed to TLS with 220, and the client went on in plain text instead of a TLS handshake "
        "(unless this capture was decrypted before it was saved).",
    )


@rule(
    "SEC603",
    "injected-command-answered",
    "error",
    "server",
    "RFC 3207 §4.2; CVE-2011-0411",
    on=OnExchange(marks=Mark.INSIDE_FIRST),
    hides=("RPL411",),
)
def injected_command_answered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server executes a command injected before TLS.

    Inside TLS the client speaks first. A reply before that answers what had been injected in the clear behind STARTTLS:
    the server kept it in its buffer, where RFC 3207 has it forget all that was said before the handshake.
    """
    if "SEC603" in talk.counts:
        return
    yield Evidence(
        f"The server sent {x.code} inside TLS before the client had sent a command there: it obeyed what had been "
        "injected in the clear behind STARTTLS.",
        reply=True,
        caused_by=(talk.injected,),
    )


@rule(
    "SEC604",
    "starttls-response-injection",
    "error",
    "path",
    "RFC 3207 §4, §4.2; CVE-2011-0411",
    on=OnExchange(marks=Mark.AFTER_220),
    hides=("RPL401", "RPL411"),
)
def starttls_response_injection(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Extra server bytes in clear text behind the 220 of STARTTLS.

    Behind its 220 a server sends nothing but TLS. Replies in the clear there are what somebody on the path injects, so
    that a client which keeps them takes them for answers inside TLS; or a server answers what was pipelined.
    """
    if "SEC604" in talk.counts:
        return
    what = f"a reply {x.code}" if x.reply is not None else "a line"
    why = " It may answer what stood behind STARTTLS." if talk.injected is not None else ""
    yield Evidence(
        f"Behind the 220 to STARTTLS came {what} in plain text, where only TLS may follow.{why}",
        reply=x.reply is not None,
        caused_by=(talk.injected,),
    )


@rule(
    "SEC605",
    "starttls-keyword-mangled",
    "warning",
    "path",
    "RFC 3207 §6; RFC 8314 §3",
    on=OnExchange(marks=Mark.MASKED),
)
def starttls_keyword_mangled(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """EHLO keyword looks like an overwritten STARTTLS.

    Some firewalls overwrite keywords that they do not want with as many letters X, and so does an attacker who wants
    the mail in the clear. The client then sees no STARTTLS and sends without TLS.
    """
    hello = None if x.after is None else x.after.hello
    masked = next((k for k in (hello.keywords or ()) if is_masked(k)), None) if hello is not None else None
    if masked is not None:
        yield Evidence(
            f"The EHLO reply lists {printable(masked.encode('latin-1', 'replace'))} and no STARTTLS: it looks as if "
            "somebody on the path had overwritten the keyword, to keep the session in the clear.",
            reply=True,
        )


@rule(
    "SEC606",
    "starttls-unused",
    "info",
    "client",
    "RFC 3207 §4; RFC 8314 §3.3",
    on=OnExchange(marks=Mark.EXPOSED),
    severities={"submission": "warning", "lmtp": "off"},
    formal=True,
)
def starttls_unused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Mail or AUTH in the clear although STARTTLS was offered.

    The server could have encrypted this session, and the client did not ask for it, or went on when that failed.
    Between relays this is its choice; for a mail program that submits mail, and for AUTH, it is a weakness.
    """
    if "SEC606" in talk.counts or on_loopback(talk):
        return
    refused = talk.session.causes.starttls
    why = "STARTTLS was offered and not used"
    if refused is not None and refused.reply is not None:
        why = f"STARTTLS was offered, and refused with {refused.code} when it was tried"
    auth = x.act is Act.AUTH
    yield Evidence(
        f"{x.name} was sent in plain text: {why}.",
        severity="warning" if auth else None,
        caused_by=(refused,),
    )


@rule(
    "SEC607",
    "starttls-refused",
    "warning",
    "server",
    "RFC 3207 §4",
    on=OnExchange(acts=frozenset({Act.STARTTLS}), unless=Mark.INJECTED),
    formal=True,
)
def starttls_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server refuses the STARTTLS it offered.

    What EHLO lists is expected to work. A refusal is a broken TLS set-up, or somebody on the path who wants the mail
    in the clear; many clients then go on without TLS.
    """
    before, command = x.before, x.command
    if x.code < 400 or before is None or command is None or not before.sure:
        return
    offered = before.hello.lists("STARTTLS") and not before.hello.secure
    if offered and before.phase is Phase.READY and command.argument is None:
        yield Evidence(f"The server lists STARTTLS and refused it with {x.code}.", reply=True)


@rule(
    "SEC610",
    "cleartext-auth-offered",
    "warning",
    "server",
    "RFC 4954 §4, §9; RFC 8314 §4.1",
    on=OnExchange(marks=Mark.CLEAR_OFFER),
    severities={"submission": "error", "lmtp": "off"},
    formal=True,
)
def cleartext_auth_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Password mechanisms offered without TLS.

    PLAIN and LOGIN send the password as it is. A server should list them only inside TLS, or clients will use them
    where everybody can read along.
    """
    if on_loopback(talk) or x.after is None:
        return
    listed = {name.upper() for name in (x.after.hello.keywords or {}).get("AUTH", ())}
    names = [name for name in ("PLAIN", "LOGIN") if name in listed]
    both = " although STARTTLS is offered too" if x.after.hello.lists("STARTTLS") else ""
    yield Evidence(f"The server offers AUTH {' and '.join(names)} outside TLS{both}.", reply=True)


@rule(
    "SEC631",
    "cleartext-on-tls-port",
    "error",
    "server",
    "RFC 8314 §3.3, §7.3",
    on=OnExchange(acts=frozenset({Act.GREETING})),
    formal=True,
)
def cleartext_on_tls_port(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Clear text greeting on the implicit-TLS port.

    On port 465 TLS comes before the first byte of SMTP. A server that greets in the clear there is set up wrongly, and
    clients that expect TLS cannot talk to it.
    """
    before = x.before
    if (
        x.code == 220
        and talk.record.server.port == IMPLICIT_TLS_PORT
        and before is not None
        and not before.hello.secure
    ):
        yield Evidence("The server greeted in plain text on port 465, where TLS comes first.", reply=True, certain=True)


@rule(
    "SEC633",
    "starttls-vanished",
    "warning",
    "path",
    "RFC 3207 §6; RFC 8314 §3",
    on=OnExchange(acts=frozenset({Act.EHLO})),
    formal=True,
    individual=True,
)
def starttls_vanished(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """STARTTLS offered earlier by the same server endpoint, missing now.

    The same server, with the same name in its greeting, offered STARTTLS to the same network in another connection of
    this capture. If its set-up did not change, somebody on the path takes the keyword out.
    """
    plain = plain_offer(x, talk.watch.greeting)
    if plain is None or on_loopback(talk):
        return
    key = plain.key(talk.record.server, talk.record.client.address)
    servers = talk.judge.servers
    if plain.listed:
        servers.offered(key, StartTlsOffer(talk.record.id, x.reply_time_ns, x.reply_frame))
        return
    offer = servers.last_offer(key, x.reply_time_ns)
    if offer is not None and offer.connection != talk.record.id and "SEC633" not in talk.counts:
        yield Evidence(
            f"The EHLO reply does not list STARTTLS, which this server offered to the same network in connection "
            f"{offer.connection} (frame {offer.frame}).",
            reply=True,
        )

"""SEC 601 to 607, 610, 631, 633: the start of TLS, and attackers on the path."""

# STARTTLS is sent in plain text, so an attacker on the path can inject bytes before or after it, overwrite the keyword,
# or remove it from the EHLO reply. A passive observer sees the bytes, but not who sent them. If a client or server
# could have sent the same bytes by mistake, the message says so.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.printable import printable, whole_words
from ..exchanges.attack_marks import is_masked
from ..exchanges.exchange import Mark
from ..exchanges.starttls_history import plain_offer
from ..exchanges.state_table import Act, Phase
from .phrases import Code, Count, Frame, Keyword, Octets, Phrase, Term
from .registry import REFUSALS, Evidence, OnExchange, named, rule
from .reply_lines import keyword_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

CLOSES = 421  # RFC 5321 §3.8
MAX_SHOWN = 100  # bytes of injected text that are quoted


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
    """Client data after STARTTLS before the 220 reply.

    STARTTLS is the last command that a client may send in plain text. Commands that follow it before the 220 reply may
    come from an attacker on the path. A server that keeps them in its buffer executes them inside TLS as if the client
    had sent them there. A client that pipelines commands after STARTTLS looks the same. Fix the server: discard these
    bytes. Fix the client: wait for the 220 reply, or use TLS from the first byte (port 465).
    """
    injection = talk.watch.injection
    if injection is None or talk.injected is not x:
        return
    yield Evidence(
        Phrase(
            "{length} {unit} followed STARTTLS before the server answered 220. They were injected on the path or "
            "pipelined by the client; a server that does not discard them executes them inside TLS.",
            length=Octets(injection.length),
            unit=Phrase("byte" if injection.length == 1 else "bytes"),
        ),
        offset=injection.offset,
        length=injection.length,
        frame=injection.frame,
        time_ns=injection.time_ns,
        evidence=printable(whole_words(injection.line, MAX_SHOWN)),
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
    """Client continues in plain text after the 220 to STARTTLS.

    After the 220 reply the client must start the TLS handshake. Everyone on the path can read what it sends instead,
    and a server that expects a handshake cannot use it. If the server answers as if nothing had happened, then the
    capture was decrypted before it was saved, or the server only pretended to start TLS; which of them cannot be seen,
    so this is only a remark then. Fix the client: start the handshake, or close the connection. Fix the server: close
    the connection, if what comes is no TLS.
    """
    if x.code and x.code != CLOSES:
        phrase = Phrase(
            "The client continued in plain text after the 220 to STARTTLS, and the server answered it with {code}: "
            "this capture was decrypted before it was saved, or the server only pretended to start TLS.",
            code=Code(x.code),
        )
        yield Evidence(phrase, severity="info", certain=False)
        return
    yield Evidence(
        "The server agreed to TLS with 220, but the client continued in plain text instead of a TLS handshake, which "
        "the server did not accept."
    )


@rule(
    "SEC603",
    "injected-command-answered",
    "error",
    "server",
    "RFC 3207 §4.2; CVE-2011-0411",
    on=OnExchange(marks=Mark.INSIDE_FIRST),
    hides=("RPL411",),
    once=True,
)
def injected_command_answered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server executes a command injected before TLS.

    Inside TLS the client speaks first. A reply before its first command answers a command that followed STARTTLS in
    plain text. The server kept that command in its buffer, although RFC 3207 requires it to discard everything that it
    learned before the handshake. Fix the server: empty its input buffer before the handshake. Fix the client: do not
    use STARTTLS with this server, but TLS from the first byte (port 465) if it has it.
    """
    yield Evidence(
        Phrase(
            "The server sent {code} inside TLS before the client had sent a command there: it executed a command that "
            "was injected in plain text after STARTTLS.",
            code=Code(x.code),
        ),
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
    hides=("RPL401",),
    once=True,
)
def starttls_response_injection(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Extra server data in plain text after the 220 to STARTTLS.

    After its 220 reply a server sends only TLS. Replies in plain text there may come from an attacker on the path; a
    client that keeps them in its buffer reads them as replies inside TLS. Or the server answered commands that were
    pipelined after STARTTLS. Fix the client: discard these bytes. Fix the server: send nothing after the 220 but TLS,
    and discard what was pipelined after STARTTLS.
    """
    what = Phrase("A line") if x.reply is None else Phrase("A reply {code}", code=Code(x.code))
    yield Evidence(
        Phrase(
            "{what} in plain text followed the 220 to STARTTLS; only TLS may follow it.{why}",
            what=what,
            why=Phrase("" if talk.injected is None else " It may answer what followed STARTTLS."),
        ),
        reply=x.reply is not None,
        caused_by=(talk.injected,),
    )


@rule(
    "SEC605",
    "starttls-keyword-mangled",
    "warning",
    "path",
    "RFC 3207 §6",
    on=OnExchange(marks=Mark.MASKED),
    explains=True,
)
def starttls_keyword_mangled(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """EHLO keyword looks like an overwritten STARTTLS.

    Some firewalls overwrite keywords that they do not allow with the same number of X characters. An attacker who wants
    to read the mail does the same. The client then sees no STARTTLS and sends without TLS. Fix the network: find the
    device that changes the replies. Fix the client: require TLS for this server (DANE, MTA-STS, or its configuration).
    """
    hello = None if x.after is None else x.after.hello
    masked = next((k for k in (hello.keywords or ()) if is_masked(k)), None) if hello is not None else None
    if masked is not None and x.answer is not None:
        yield Evidence(
            Phrase(
                "The EHLO reply lists {keyword} and no STARTTLS; a device on the path may have overwritten the keyword "
                "to keep the session in plain text.",
                keyword=Keyword(printable(masked.encode("latin-1", "replace"))),
            ),
            reply=True,
            **keyword_line(x.answer, talk, masked)._asdict(),
        )


@rule(
    "SEC606",
    "starttls-unused",
    "info",
    "client",
    "RFC 3207 §6; RFC 8314 §5.2",
    on=OnExchange(marks=Mark.EXPOSED),
    severities={"submission": "warning", "lmtp": "off"},
    once=True,
)
def starttls_unused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Mail or AUTH in plain text although STARTTLS was offered.

    The server offered encryption, but the client did not use it, or it continued after STARTTLS had failed. Between
    relays the client may decide that. For message submission and for AUTH it is a weakness, and a warning. Fix the
    client: use STARTTLS. Fix the server: for submission, answer 530 to MAIL and AUTH before TLS.
    """
    if talk.record.on_loopback:
        return
    refused = talk.session.causes.starttls
    why = Phrase("STARTTLS was offered but not used")
    if refused is not None and refused.reply is not None:
        why = Phrase("STARTTLS was offered but refused with {code}", code=Code(refused.code))
    auth = x.act is Act.AUTH
    yield Evidence(
        Phrase("{verb} was sent in plain text: {why}.", verb=named(x), why=why),
        severity="warning" if auth else None,
        caused_by=(refused,),
    )


@rule(
    "SEC607",
    "starttls-refused",
    "warning",
    "server",
    "RFC 3207 §4",
    on=OnExchange(acts=frozenset({Act.STARTTLS}), codes=REFUSALS, unless=Mark.INJECTED),
)
def starttls_refused(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server refuses the STARTTLS it offered.

    A server must be able to execute the commands that its EHLO reply lists. The refusal means that its TLS
    configuration is broken, or that an attacker on the path wants to read the mail. RFC 3207 permits the code 454; it
    is a warning because many clients then continue without TLS. Fix the server: correct its TLS configuration. Fix the
    client: try again later, and send no password in plain text.
    """
    before, command = x.before, x.command
    if before is None or command is None or not before.sure:
        return
    offered = before.hello.lists("STARTTLS") and not before.hello.secure
    if offered and before.phase is Phase.READY and command.argument is None:
        phrase = Phrase("The server offers STARTTLS but refused it with {code}.", code=Code(x.code))
        yield Evidence(phrase, reply=True)


@rule(
    "SEC610",
    "cleartext-auth-offered",
    "warning",
    "server",
    "RFC 4954 §4; RFC 8314 §4.1",
    on=OnExchange(marks=Mark.CLEAR_OFFER),
    severities={"lmtp": "off"},
)
def cleartext_auth_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Password mechanisms offered without TLS.

    PLAIN and LOGIN send the password unencrypted. If a server lists them outside TLS, clients use them where everyone
    on the path can read the password. Fix the server: list these mechanisms only inside TLS. Fix the client: send no
    password outside TLS, whatever the server lists.
    """
    if talk.record.on_loopback or x.after is None or x.answer is None:
        return
    listed = {name.upper() for name in (x.after.hello.keywords or {}).get("AUTH", ())}
    names = [name for name in ("PLAIN", "LOGIN") if name in listed]
    phrase = Phrase(
        "The server offers AUTH {mechanisms} outside TLS{despite}.",
        mechanisms=Term(" and ".join(names)),
        despite=Phrase(" although it also offers STARTTLS" if x.after.hello.lists("STARTTLS") else ""),
    )
    yield Evidence(phrase, reply=True, **keyword_line(x.answer, talk, "AUTH", "PLAIN", "LOGIN")._asdict())


@rule(
    "SEC631",
    "cleartext-on-tls-port",
    "error",
    "server",
    "RFC 8314 §3.3, §7.3",
    on=OnExchange(marks=Mark.CLEAR_GREETING, codes=frozenset({220})),
)
def cleartext_on_tls_port(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Plain text greeting on the implicit-TLS port.

    On port 465 the TLS handshake comes before the first byte of SMTP. A server that sends its greeting in plain text
    there has a wrong configuration, and clients that expect TLS cannot use it. Fix the server: enable TLS on this port.
    Fix the client: until then, use port 587 with STARTTLS.
    """
    yield Evidence(
        "The server sent its greeting in plain text on port 465, where TLS must come first.",
        reply=True,
        certain=True,
    )


@rule(
    "SEC633",
    "starttls-vanished",
    "warning",
    "path",
    "RFC 3207 §6",
    on=OnExchange(acts=frozenset({Act.EHLO})),
    once=True,
)
def starttls_vanished(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """STARTTLS offered earlier by the same server endpoint, missing now.

    The same server, with the same name in its greeting, offered STARTTLS to the same network in another connection of
    this capture. If its configuration did not change, an attacker on the path may remove the keyword. Fix the client:
    require TLS for this server. Fix the network: if the server still offers it, find the device that removes the
    keyword.
    """
    after, answer, record = x.after, x.answer, talk.record
    if answer is None or after is None or "STARTTLS" in (after.hello.keywords or ()):
        return
    plain = plain_offer(x, talk.greeting)
    if plain is None:
        return
    key = plain.key(record.server, record.client.address)
    offer = talk.run.judge.servers.last_offer(key, record.id, answer.time_ns)
    if offer is not None and not record.on_loopback:
        phrase = Phrase(
            "The EHLO reply does not list STARTTLS, which this server offered to the same network in connection "
            "{connection} (frame {frame}).",
            connection=Count(offer.connection),
            frame=Frame(offer.frame),
        )
        yield Evidence(phrase, reply=True)

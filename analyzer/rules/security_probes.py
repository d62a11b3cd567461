"""SEC 613, 616, 618, 620 to 626, 630: clients that do not behave like mail programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable
from ..exchanges.early_talk import permits_early_talk
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .phrases import Code, Count, Mailbox, Milliseconds, Octets, Phrase, Term
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

GROSS_LINE = 2048  # octets; four times what RFC 5321 §4.5.3.1.4 allows
LONG_ARGUMENTS = 12288  # octets that AUTH, BURL, XCLIENT and XFORWARD may have (RFC 4954 §4)
_LONG_VERBS = frozenset({b"AUTH", b"BURL", b"XCLIENT", b"XFORWARD"})
MAX_CHUNK = (1 << 63) - 1

# Forms of a local-part that names another host to relay to: user%host, host!user, "user@host".
_RELAYED = (
    LazyPattern(rb"%[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*+\.?\Z"),
    LazyPattern(rb"\A[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*!."),
    LazyPattern(rb'\A"[^@]*+@.*"\Z', re.DOTALL),
)


@rule(
    "SEC613",
    "bdat-size-overflow",
    "error",
    "client",
    "RFC 3030 §2",
    on=OnExchange(marks=Mark.HUGE_CHUNK),
    hides=("EXT506",),
)
def bdat_size_overflow(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT size that overflows integers.

    No message has so many octets. A server that computes with such a size in an integer with too few bits may read or
    write outside its buffer. No RFC limits the size. Beyond 64 bits it is an error, because such a size can only be an
    attack; from 32 bits on it is a warning. Fix the client: send the real size of the chunk. Fix the server: refuse
    such a size with 501 or 552, and close.
    """
    size = 0 if x.command is None else x.command.chunk_size or 0
    digits = x.raw.split()[1].lstrip(b"0") if len(x.raw.split()) > 1 else b""
    if size > MAX_CHUNK:
        yield Evidence(
            Phrase(
                "The chunk size has {digits} digits and overflows 64 bits; no message is that long.",
                digits=Count(len(digits)),
            )
        )
    else:
        phrase = Phrase("The chunk size is {size}, which overflows 32 bits.", size=Octets(size))
        yield Evidence(phrase, severity="warning")


@rule(
    "SEC616",
    "cross-protocol-request",
    "warning",
    "client",
    "RFC 5321 §2.2.2, §4.1.5, §7.8",
    on=OnExchange(marks=Mark.FOREIGN),
    hides=("BIT201", "BIT210", "CMD301", "CMD318", "EXT504"),
    explains=True,
)
def cross_protocol_request(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """HTTP or another protocol spoken to an SMTP port.

    The client is a scanner, a program with the wrong port, or a web browser or server that an attacker uses to send
    commands. A server that does not close the connection executes those lines of the request that are SMTP commands. A
    client that starts TLS where the server speaks plain text has the wrong port or setting: TLS comes first only on
    port 465, elsewhere after STARTTLS. Fix the client: use the right port. Fix the server: close the connection when it
    receives another protocol.
    """
    protocol = talk.watch.foreign or "another protocol"
    if protocol.startswith("TLS"):
        what = Term("a TLS ClientHello" if protocol == "TLS" else "TLS records")
        phrase = Phrase("The client sent {what} in a clear-text session, without STARTTLS before it.", what=what)
        yield Evidence(phrase)
        return
    yield Evidence(
        Phrase(
            "The client spoke {protocol} to an SMTP server, which answered {answer}.",
            protocol=Term(protocol),
            answer=Phrase("{code}", code=Code(x.code)) if x.code else Phrase("nothing"),
        )
    )


@rule(
    "SEC618",
    "early-talker",
    "warning",
    "client",
    "RFC 5321 §3.2, §4.3.1",
    on=OnExchange(marks=Mark.EARLY),
    severities={"rfc821": "info", "lmtp": "off"},
    once=True,
    explains=True,
)
def early_talker(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client sends before the greeting is complete.

    The server must speak first, and the client must wait for the last line of the greeting. Spam programs often do not
    wait, and neither do attackers who send commands through another program, so some servers use this to detect them.
    Such a server may refuse the client, or close. A server that lists PIPECONNECT permits it. In the profile rfc821
    this is only an info, because old and simple clients do it too. Fix the client: wait for the last line of the
    greeting. Fix the server: refuse or delay such clients with 421 or 554, or list PIPECONNECT if it can read commands
    that early.
    """
    greeting = talk.greeting
    if talk.record.on_tls_port:
        return
    if greeting is None:
        if talk.course.captured and not talk.server_seen and talk.one_sided <= 0:
            yield Evidence(Phrase("{verb} was sent without waiting for the greeting, which never came.", verb=named(x)))
        return
    early, then = Phrase(""), Phrase("came")
    if greeting.time_ns < x.time_ns:
        then = Phrase("was complete")
    elif x.time_ns:
        early = Phrase(" {early_ms} ms", early_ms=Milliseconds(round((greeting.time_ns - x.time_ns) / 1e6, 1)))
    permitted = permits_early_talk(talk.session.state.hello)
    wait = Phrase("the client should have waited for it")
    if permitted:
        wait = Phrase("the server permits that with PIPECONNECT")
    yield Evidence(
        Phrase(
            "{verb} was sent{early} before the greeting {code} {then}; {wait}.",
            verb=named(x),
            early=early,
            code=Code(greeting.reply.code),
            then=then,
            wait=wait,
        ),
        severity="info" if permitted else None,
    )


@rule(
    "SEC620",
    "address-enumeration",
    "warning",
    "client",
    "RFC 5321 §3.5, §7.3, §7.8",
    on=OnExchange(marks=Mark.HARVEST),
    severities={"lmtp": "off"},
)
def address_enumeration(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """VRFY, EXPN or RCPT used to harvest addresses.

    The client sent many VRFY or EXPN commands in one session, or many recipients that do not exist. Attackers create
    lists of valid addresses in this way. The limit is a setting. Fix the server: limit such commands for each client.
    Fix the client: if it sends to a list, remove addresses that do not exist.
    """
    yield Evidence(Phrase("The client probes for valid addresses: {probes} so far.", probes=Term(talk.watch.harvest)))


def _routed_local_part(x: Exchange) -> str | None:
    """The local-part if it is written as an address to be relayed, else None."""
    path = None if x.command is None else x.command.path
    if path is None or path.local is None:
        return None
    local = path.local
    if any(pattern.search(local) for pattern in _RELAYED):
        return printable(local)
    return None


def _is_unauthenticated(x: Exchange) -> bool:
    """Whether the session is known to be unauthenticated."""
    return x.before is not None and x.before.sure and not x.before.hello.authenticated


@rule(
    "SEC622",
    "relay-probe-address",
    "warning",
    "client",
    "RFC 5321 §3.6.1, §7.9, App. F.2",
    on=OnExchange(marks=Mark.ROUTED_RECIPIENT),
    severities={"lmtp": "off"},
)
def relay_probe_address(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Recipient address in the form of a relay test.

    The local-part names another host (user%host, host!user, "user@host"). Old gateways used this form for routing.
    Today it is used to search for open relays. Fix the client: send the plain address. Fix the server: refuse such
    recipients unless the client has authenticated.
    """
    local = _routed_local_part(x)
    if local is not None and _is_unauthenticated(x):
        yield Evidence(
            Phrase("The local-part {local} names another host, as in a test for open relays.", local=Mailbox(local))
        )


@rule(
    "SEC623",
    "relay-probe-accepted",
    "warning",
    "server",
    "RFC 5321 §3.6.1, §7.9",
    on=OnExchange(marks=Mark.ROUTED_RECIPIENT),
    severities={"lmtp": "off"},
)
def relay_probe_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Relay-test recipient accepted without authentication.

    The server accepted a recipient that names another host from a client that had not authenticated. This is a sign of
    an open relay, but no proof: the address may be a local one in the same form. Fix the server: refuse such
    recipients.
    """
    if not 250 <= x.code < 260 or not _is_unauthenticated(x):
        return
    path = None if x.command is None else x.command.path
    routed = path is not None and bool(path.route)
    if routed or _routed_local_part(x) is not None:
        yield Evidence(
            Phrase(
                "The server accepted a recipient with {form} ({code}) from a client that had not authenticated; it may "
                "be an open relay.",
                form=Phrase("a source route" if routed else "a local-part that names another host"),
                code=Code(x.code),
            ),
            reply=True,
            caused_by=(x,),
        )


@rule(
    "SEC624",
    "turn-command",
    "warning",
    "client",
    "RFC 5321 App. F.1; RFC 821 §3.8",
    on=OnExchange(acts=frozenset({Act.TURN})),
)
def turn_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """TURN used.

    TURN asks the server to swap roles and to send the mail that it stores for the domain that the client claims to be.
    Without authentication this diverts mail. ETRN and ATRN have replaced it. Fix the client: use ETRN, or ATRN after a
    login. Fix the server: answer 502 to TURN.
    """
    if _is_unauthenticated(x):
        answer = Phrase("the capture contains no reply")
        if x.reply is not None:
            answer = Phrase("the server answered {code}", code=Code(x.code))
        yield Evidence(Phrase("TURN was sent without authentication; {answer}.", answer=answer))


@rule(
    "SEC625",
    "turn-accepted",
    "error",
    "server",
    "RFC 5321 App. F.1",
    on=OnExchange(acts=frozenset({Act.TURN})),
    severities={"rfc821": "warning"},
)
def turn_accepted(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """TURN accepted from an unauthenticated client.

    The server now sends the mail that it stores to a client with an unknown identity. Client and server swap roles, so
    decoding ends here. It is an error although RFC 5321 says SHOULD NOT, because mail is given to a stranger; in the
    profile rfc821 it is a warning, since RFC 821 defines TURN without authentication. Fix the server: refuse TURN. Fix
    the client: use ETRN, or ATRN after a login.
    """
    if x.code == 250 and _is_unauthenticated(x):
        yield Evidence("The server accepted TURN from a client that had not authenticated.", reply=True, caused_by=(x,))


@rule(
    "SEC626",
    "command-overflow-attempt",
    "warning",
    "client",
    "RFC 5321 §4.5.3.1.4, §7.8",
    on=OnExchange(marks=Mark.LONG_LINE | Mark.ENDLESS),
)
def command_overflow_attempt(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Command line far beyond the length limit.

    A command line has at most 512 octets, including CRLF, and somewhat more with some extensions. A line that is many
    times longer may be an attempt to overflow a buffer. Fix the client: shorten the line. Fix the server: discard the
    excess bytes and answer 500.
    """
    if x.act is Act.ANSWER or x.command is None:
        return
    limit = LONG_ARGUMENTS if x.command.verb in _LONG_VERBS else GROSS_LINE
    if x.act is Act.EVENT and x.command.verb not in _LONG_VERBS:
        yield Evidence(
            Phrase(
                "{verb} started a line of at least {least} bytes without CRLF.",
                verb=named(x),
                least=Octets(GROSS_LINE),
            )
        )
    elif x.act is not Act.EVENT and x.length > limit:
        yield Evidence(
            Phrase(
                "The {verb} line has {length} bytes; even {limit} would be far too many.",
                verb=named(x),
                length=Octets(x.length),
                limit=Octets(limit),
            )
        )


@rule(
    "SEC630",
    "command-flood",
    "warning",
    "client",
    "RFC 2920 §3.1; RFC 5321 §7.8",
    on=OnExchange(marks=Mark.FLOOD),
    once=True,
)
def command_flood(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Excessive number of unanswered commands.

    A client with PIPELINING sends a group of commands and then reads the replies. A client that sends hundreds of
    commands without reading the replies fills the buffers of the server, or ignores its replies. The limit is a
    setting. Fix the client: read the replies to each group. Fix the server: close with 421 when too many commands wait.
    """
    if talk.server_seen and not talk.course.lost["server"]:
        yield Evidence(
            Phrase(
                "The client sent {verb} while more than {limit} commands were unanswered.",
                verb=named(x),
                limit=Count(talk.limits.unanswered_commands),
            )
        )


@rule(
    "SEC638",
    "address-disclosed",
    "info",
    "server",
    "RFC 5321 §7.3, §3.5",
    on=OnExchange(marks=Mark.ASKS_MAILBOX, codes=frozenset({250, 251}), unless=Mark.SKIPPED),
    severities={"lmtp": "off"},
    once=True,
)
def address_disclosed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """VRFY or EXPN discloses mailboxes to anyone.

    The server answered VRFY or EXPN with a mailbox although the client had not authenticated. Senders of spam collect
    addresses in this way. A server may answer VRFY with 252, which discloses nothing, and refuse EXPN. Fix the server:
    answer these commands for known clients only.
    """
    before, reply = x.before, x.reply
    if before is None or reply is None or not before.sure or before.hello.authenticated or talk.record.on_loopback:
        return
    if x.code == 251 and x.command is not None and x.command.verb == b"EXPN":
        return
    if any(b"@" in text for text in reply.texts):
        phrase = Phrase(
            "{verb} was answered with a mailbox ({code}) to a client that had not authenticated.",
            verb=named(x),
            code=Code(x.code),
        )
        yield Evidence(phrase, reply=True)

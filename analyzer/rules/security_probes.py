"""SEC 613, 616, 618, 620 to 626, 630: clients that are not what mail programs are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .registry import Evidence, OnExchange, rule
from .security_tls import IMPLICIT_TLS_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

GROSS_LINE = 2048  # octets; four times what RFC 5321 §4.5.3.1.4 allows
LONG_ARGUMENTS = 12288  # octets that AUTH, BURL, XCLIENT and XFORWARD may have (RFC 4954 §4)
_LONG_VERBS = frozenset({b"AUTH", b"BURL", b"XCLIENT", b"XFORWARD"})
MAX_CHUNK = (1 << 63) - 1

# Ways to write "deliver to that other host" into a local-part: user%host, host!user, "user@host".
_RELAYED = (
    LazyPattern(rb"%[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*+\.?\Z"),
    LazyPattern(rb"\A[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*!."),
    LazyPattern(rb'\A".*@.*"\Z', re.DOTALL),
)


@rule(
    "SEC613",
    "bdat-size-overflow",
    "error",
    "client",
    "RFC 3030 §2",
    on=OnExchange(marks=Mark.HUGE_CHUNK),
)
def bdat_size_overflow(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BDAT size that overflows integers.

    No message has that many octets. A program that computes with such a size in too few bits reads or writes where it
    must not.
    """
    size = 0 if x.command is None else x.command.chunk_size or 0
    digits = x.raw.split()[1].lstrip(b"0") if len(x.raw.split()) > 1 else b""
    if size > MAX_CHUNK:
        yield Evidence(f"The chunk size has {len(digits)} digits and overflows 64 bits; no message is that long.")
    else:
        yield Evidence(f"The chunk size is {size}, which overflows 32 bits.", severity="warning")


@rule(
    "SEC616",
    "cross-protocol-request",
    "warning",
    "client",
    "RFC 5321 §4.1; RFC 8314 §3",
    on=OnExchange(marks=Mark.FOREIGN),
    hides=("CMD301", "CMD318", "EXT504"),
)
def cross_protocol_request(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """HTTP or another protocol spoken to an SMTP port.

    A scanner, a client with the wrong port, or an attacker who makes a web browser or server send commands for him:
    lines of the request that are SMTP commands are obeyed by a server that does not hang up.
    """
    protocol = talk.watch.foreign or "another protocol"
    if protocol == "TLS":
        if talk.record.server.port != IMPLICIT_TLS_PORT:
            yield Evidence(
                "The client began a TLS handshake on a port where the server speaks in plain text: TLS comes first on "
                f"port {IMPLICIT_TLS_PORT}, and here after STARTTLS."
            )
        return
    yield Evidence(f"The client spoke {protocol} to an SMTP server, which answered {x.code or 'nothing'}.")


@rule(
    "SEC618",
    "early-talker",
    "warning",
    "client",
    "RFC 5321 §3.1, §4.3.1",
    on=OnExchange(marks=Mark.EARLY),
    severities={"rfc821": "info", "lmtp": "off"},
    hides=("EXT504",),
    individual=True,
)
def early_talker(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Client sends before the greeting.

    The server speaks first. Programs that send spam often do not wait, and so does who pushes commands through another
    program; servers make use of that to tell them.
    """
    greeting = talk.watch.greeting
    if "SEC618" in talk.counts or greeting is None or greeting.reply is None or talk.midstream:
        return
    if talk.record.server.port == IMPLICIT_TLS_PORT:
        return
    early = (greeting.reply_time_ns - x.time_ns) / 1e6
    yield Evidence(f"{x.name} was sent {early:.1f} ms before the greeting {greeting.code} came.")


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

    So many questions after addresses in one session, or so many recipients that do not exist, are how lists of valid
    addresses are made. The limit is a setting.
    """
    yield Evidence(f"The client looks for addresses: {talk.watch.harvest} so far.")


def _route(x: Exchange) -> str | None:
    """How the recipient is written as one to be relayed; None: it is not."""
    path = None if x.command is None else x.command.path
    if path is None or path.local is None:
        return None
    local = path.local
    if any(pattern.search(local) for pattern in _RELAYED):
        return printable(local)
    return None


def _stranger(x: Exchange) -> bool:
    """Whether the session is known not to be authenticated."""
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
    """Recipient in a relay-test form.

    The local-part names another host (user%host, host!user, "user@host"). Decades ago gateways used that; today it is
    how open relays are looked for.
    """
    local = _route(x)
    if local is not None and _stranger(x):
        yield Evidence(f"The local-part {local} names a further host, as tests for open relays do.")


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

    The server took a recipient that names a further host from a client it does not know. That is a hint that it relays
    for anybody, no proof: the address may be a local one that only looks so.
    """
    if not 250 <= x.code < 260 or not _stranger(x):
        return
    path = None if x.command is None else x.command.path
    routed = path is not None and bool(path.route)
    if routed or _route(x) is not None:
        what = "a source route" if routed else "a local-part that names a further host"
        yield Evidence(
            f"The server accepted a recipient with {what} ({x.code}) from a client that had not authenticated; "
            "it may be an open relay.",
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

    TURN asks the server to swap roles and to hand out the mail it holds for whoever the client claims to be. Without
    authentication that diverts mail; ETRN and ATRN have replaced it.
    """
    if _stranger(x):
        answer = f"the server answered {x.code}" if x.reply is not None else "no reply is in the capture"
        yield Evidence(f"TURN was sent without authentication; {answer}.")


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

    The server now sends the mail it holds to a client of which it knows nothing. The two sides change roles, so this
    report ends here.
    """
    if x.code == 250 and _stranger(x):
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
    """Grossly over-long command line.

    A command line has 512 octets, CRLF included, and a little more with some extensions. One that is many times longer
    looks for a buffer that is too short.
    """
    if x.act is Act.ANSWER or x.command is None:
        return
    limit = LONG_ARGUMENTS if x.command.verb in _LONG_VERBS else GROSS_LINE
    if x.act is Act.EVENT and x.command.verb not in _LONG_VERBS:
        yield Evidence(f"{x.name} began a line that reached {GROSS_LINE} bytes and more without a CRLF.")
    elif x.act is not Act.EVENT and x.length > limit:
        yield Evidence(f"The line of {x.name} has {x.length} bytes; {limit} would be far too many already.")


@rule(
    "SEC630",
    "command-flood",
    "warning",
    "client",
    "RFC 2920 §3.1; RFC 5321 §7.8",
    on=OnExchange(marks=Mark.FLOOD),
)
def command_flood(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Excessive number of unanswered commands.

    A client that pipelines sends a group and reads the replies. One that sends hundreds of commands and reads nothing
    fills the buffers of the server, or could not care less for its answers. The limit is a setting.
    """
    if "SEC630" not in talk.counts and talk.server_seen and not talk.course.lost["server"]:
        yield Evidence(f"When {x.name} was sent, more than {talk.limits.unanswered_commands} commands were unanswered.")

"""LEN: how long lines, names and lists may be (RFC 5321 §4.5.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.command_marks import MAX_AUTH_LINE, judged_command
from ..exchanges.ehlo_offers import announced_limit, line_limit
from ..exchanges.exchange import MAX_REPLY_LINE, Mark
from ..exchanges.state_table import Act
from .line_faults import too_long
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

MIN_RECIPIENTS = 100  # RFC 5321 §4.5.3.1.8


@rule(
    "LEN001",
    "command-line-too-long",
    "warning",
    "client",
    "RFC 5321 §4.5.3.1.4, §4.5.3.1",
    on=OnExchange(marks=Mark.LONG_LINE | Mark.ENDLESS, unless=Mark.SKIPPED),
)
def command_line_too_long(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Command line longer than the limit.

    A command line has 512 octets at most, CRLF included. Extensions that the server lists make the lines of MAIL, RCPT
    and a few others longer, each by what its parameters need. The reply to a longer line is 500.
    """
    if x.command is None or x.state is None:
        return
    limit = line_limit(judged_command(x) or x.command, x.state.hello if talk.server_seen else None)
    if x.length > limit:
        least = "at least " if x.marks & Mark.ENDLESS else ""
        yield Evidence(f"The command line has {least}{x.length} octets; here {limit} are allowed.")


@rule(
    "LEN002",
    "reply-line-too-long",
    "warning",
    "server",
    "RFC 5321 §4.5.3.1.5",
    on=OnExchange(marks=Mark.LONG_REPLY),
)
def reply_line_too_long(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Reply line longer than 512 octets.

    Each line of a reply has 512 octets at most, code and CRLF included; a server with more to say sends several lines.
    """
    reply = x.reply
    if reply is None or reply.code == 334:
        return
    at = 0
    for line in reply.raw.split(b"\n"):
        octets = min(len(line) + 1, len(reply.raw) - at)  # the last may lack its end
        if octets > MAX_REPLY_LINE:
            yield Evidence(
                f"A line of the reply has {octets} octets; {MAX_REPLY_LINE} are allowed.",
                reply=True,
                offset=x.reply_offset + at,
                length=octets,
            )
            return
        at += octets


@rule(
    "LEN004",
    "path-too-long",
    "warning",
    "client",
    "RFC 5321 §4.5.3.1.1, §4.5.3.1.2, §4.5.3.1.3; RFC 821 §4.5.3",
    on=OnExchange(marks=Mark.LONG_PATH, unless=Mark.SKIPPED),
)
def path_too_long(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Path, local-part or domain beyond its limit.

    A local-part has 64 octets at most, a domain 255 (64 in RFC 821), a path with its brackets 256. Longer ones may be
    refused with 501, and some hops will.
    """
    for what, octets, limit in too_long(x, talk):
        yield Evidence(f"The {what} in {x.name} has {octets} octets; {limit} are allowed.")
        return


@rule(
    "LEN005",
    "early-recipient-limit",
    "warning",
    "server",
    "RFC 5321 §4.5.3.1.8, §4.5.3.1.10",
    on=OnExchange(marks=Mark.RECIPIENT_LIMIT),
)
def early_recipient_limit(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Recipient limit enforced below 100.

    A server must take 100 recipients for one message. This one called the next too many when it had accepted fewer, and
    had announced no smaller limit (RFC 9422).
    """
    transaction = x.transaction
    if transaction is None or not transaction.session_known or not talk.certain:
        return
    announced = announced_limit(transaction.state.hello, "RCPTMAX")
    before = transaction.accepted
    if before < MIN_RECIPIENTS and (announced is None or announced >= MIN_RECIPIENTS):
        yield Evidence(
            f"The server called this recipient one too many when it had accepted {before}; it must take"
            f" {MIN_RECIPIENTS}.",
            reply=True,
        )


@rule(
    "LEN006",
    "auth-line-too-long",
    "warning",
    "client",
    "RFC 4954 §4",
    on=OnExchange(marks=Mark.LONG_LINE | Mark.LONG_REPLY, acts=frozenset({Act.AUTH, Act.ANSWER})),
)
def auth_line_too_long(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """AUTH continuation or challenge longer than 12288 octets.

    The RFC sets no bound: it calls 12288 octets enough for the mechanisms there are. A peer whose buffer ends there
    cannot take more; a server then answers 500. The AUTH command itself is bound like any other command line.
    """
    if x.act is Act.ANSWER and x.length > MAX_AUTH_LINE:
        yield Evidence(f"A line of the AUTH exchange has {x.length} octets; {MAX_AUTH_LINE} are held to be enough.")
    if x.reply is not None and x.code == 334 and len(x.reply.raw) > MAX_AUTH_LINE:
        yield Evidence(
            f"The challenge has {len(x.reply.raw)} octets; {MAX_AUTH_LINE} are held to be enough.",
            reply=True,
            side="server",
            evidence="",
        )

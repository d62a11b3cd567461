"""LEN: limits for the length of lines and names and for the number of recipients (RFC 5321 §4.5.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.command_marks import MAX_AUTH_LINE, judged_command
from ..exchanges.ehlo_offers import announced_limits, line_limit
from ..exchanges.exchange import MAX_REPLY_LINE, Mark
from ..exchanges.state_table import Act
from .line_faults import too_long
from .phrases import Count, Octets, Phrase, Term
from .registry import Evidence, OnExchange, named, rule

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

    A command line has at most 512 octets, including CRLF. Extensions that the server lists raise the limit for MAIL,
    RCPT and a few other commands by the length of their parameters. The server should answer 500 to a longer line. Fix
    the client: shorten the line. Fix the server: answer 500, read the rest of the line, and do not take it for another
    command.
    """
    if x.command is None or x.state is None:
        return
    limit = line_limit(judged_command(x) or x.command, x.state.hello if talk.server_seen else None)
    if x.length > limit:
        yield Evidence(
            Phrase(
                "The command line has {least}{octets} octets; at most {limit} are allowed here.",
                least=Phrase("at least " if x.marks & Mark.ENDLESS else ""),
                octets=Octets(x.length),
                limit=Octets(limit),
            )
        )


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

    Each line of a reply has at most 512 octets, including the code and CRLF. Fix the server: send a longer text in
    several lines. Fix the client: read lines of any length, or close; do not read the rest as another reply.
    """
    reply = x.reply
    if reply is None or reply.code == 334:
        return
    start = 0
    for line in reply.raw.split(b"\n"):
        octets = min(len(line) + 1, len(reply.raw) - start)  # the last one may have no line end
        if octets > MAX_REPLY_LINE:
            yield Evidence(
                Phrase(
                    "A line of the reply has {octets} octets; at most {limit} are allowed.",
                    octets=Octets(octets),
                    limit=Octets(MAX_REPLY_LINE),
                ),
                reply=True,
                offset=x.reply_offset + start,
                length=octets,
            )
            return
        start += octets


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

    A local-part has at most 64 octets, a domain 255 (64 in RFC 821), and a path with its brackets 256. A server may
    refuse a longer one with 501, and a later server may do so even if this one accepts it. Fix the client: use a
    shorter address.
    """
    for what, octets, limit in too_long(x, talk):
        yield Evidence(
            Phrase(
                "The {part} in {verb} has {octets} octets; at most {limit} are allowed.",
                part=Term(what),
                verb=named(x),
                octets=Octets(octets),
                limit=Octets(limit),
            )
        )
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

    A server must accept at least 100 recipients for one message. This one refused a recipient as one too many after
    fewer than 100, and it had not announced a lower limit (RFC 9422). It is a warning although RFC 5321 calls that a
    violation: the refusal may be meant for this client only. Fix the server: raise the limit. Fix the client: send the
    message to the refused recipients in another transaction.
    """
    transaction = x.transaction
    if transaction is None or not transaction.session_known or not talk.certain:
        return
    announced = announced_limits(transaction.state.hello).get("RCPTMAX")
    before = transaction.accepted
    if before < MIN_RECIPIENTS and (announced is None or announced >= MIN_RECIPIENTS):
        yield Evidence(
            Phrase(
                "The server refused this recipient as one too many after it had accepted {accepted}; it must accept at "
                "least {least}.",
                accepted=Count(before),
                least=Count(MIN_RECIPIENTS),
            ),
            reply=True,
            series=transaction.mail.offset,
            unit="recipients",
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

    RFC 4954 sets no limit; it considers 12288 octets sufficient for the known mechanisms. It is a warning because a
    peer with a buffer of this size cannot process a longer line, and a server then answers 500. The AUTH command itself
    has the same limit as any other command line. Fix the client: send a shorter response. Fix the server: send a
    shorter challenge, and read responses of at least 12288 octets.
    """
    if x.act is Act.ANSWER and x.length > MAX_AUTH_LINE:
        yield Evidence(
            Phrase(
                "A line of the AUTH exchange has {octets} octets; {limit} are considered sufficient.",
                octets=Octets(x.length),
                limit=Octets(MAX_AUTH_LINE),
            )
        )
    if x.reply is not None and x.code == 334 and len(x.reply.raw) > MAX_AUTH_LINE:
        yield Evidence(
            Phrase(
                "The challenge has {octets} octets; {limit} are considered sufficient.",
                octets=Octets(len(x.reply.raw)),
                limit=Octets(MAX_AUTH_LINE),
            ),
            reply=True,
            side="server",
            evidence="",
        )

"""MSG: the form of the message itself (RFC 5322), as far as the wire shows it."""

# These rules only judge messages that were captured completely. The client may only relay a message that it received,
# so most of them are warnings. The possible flaws are computed once for each message (`message_flaws`); a message
# without flaws calls no rule.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.octet_checks import Flaw
from ..exchanges.state_table import Act
from .phrases import Count, Phrase, Term
from .registry import Evidence, OnContent, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.header import HeaderFault
    from ..content.message import Content
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..model import Severity

__all__ = ["NOT_IN_LMTP", "at_line", "at_start", "message_of"]

NOT_IN_LMTP = {"lmtp": "off"}  # a message for local delivery was already judged when it arrived


def message_of(x: Exchange, talk: Conversation) -> Content | None:
    """The message; None if the octets are not a message: a BDAT out of order, or one that the server does not know."""
    if x.act is not Act.LAST or x.accepted or x.before is None or not talk.server_seen:
        return x.content
    in_order = x.breaks is None and x.server_breaks is None
    return x.content if in_order and x.before.hello.lists("CHUNKING") else None


def at_line(content: Content, fault: HeaderFault, message: Phrase) -> Evidence:
    """Evidence at a line of the header."""
    offset, frame, time_ns = content.place_in_header(fault.at)
    return Evidence(
        message,
        offset=offset,
        length=len(fault.text),
        frame=frame,
        time_ns=time_ns,
        evidence=fault.text,
        count=fault.times,
    )


def at_start(content: Content, message: str, severity: Severity | None = None) -> Evidence:
    """Evidence at the start of the message."""
    offset, frame, time_ns = content.place_in_header(0)
    return Evidence(message, offset=offset, length=0, frame=frame, time_ns=time_ns, evidence="", severity=severity)


@rule(
    "MSG701",
    "missing-date",
    "warning",
    "client",
    "RFC 5322 §3.6, §3.6.1",
    on=OnContent(flaws=Flaw.NO_DATE),
    severities={"submission": "info", "rfc821": "info", **NOT_IN_LMTP},
)
def missing_date(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message without Date field.

    Every message has exactly one Date field, written by its author. A submission server may add it (RFC 6409 §8.2);
    other servers pass the message on unchanged. RFC 821 does not define the fields of a message, so in its profile this
    is only an info. Fix the program that creates the message: add the field. Fix the server: if users submit their mail
    to it, let it add the field.
    """
    content = message_of(x, talk)
    if content is not None:
        yield at_start(content, "The message header has no Date field.")


@rule(
    "MSG702",
    "missing-from",
    "warning",
    "client",
    "RFC 5322 §3.6, §3.6.2",
    on=OnContent(flaws=Flaw.NO_FROM),
    severities={"rfc821": "info", **NOT_IN_LMTP},
)
def missing_from(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message without From field.

    Every message has exactly one From field. Without it the message has no author, and programs that sign or verify
    messages cannot do so. RFC 821 does not define the fields of a message, so in its profile this is only an info. Fix
    the program that creates the message: add the field. Fix the server: if users submit their mail to it, refuse the
    message.
    """
    content = message_of(x, talk)
    if content is not None:
        yield at_start(content, "The message header has no From field.")


@rule(
    "MSG703",
    "duplicate-field",
    "warning",
    "client",
    "RFC 5322 §3.6; RFC 2045 §3",
    on=OnContent(flaws=Flaw.REPEATED_FIELD),
    severities=NOT_IN_LMTP,
)
def duplicate_field(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Header field that may occur only once occurs again.

    Date, From, Sender, Reply-To, To, Cc, Bcc, Message-ID, In-Reply-To, References and Subject may occur only once, and
    so may the fields of MIME: MIME-Version, Content-Type, Content-Transfer-Encoding, Content-ID, Content-Description.
    Programs differ in which of the fields they display and which they verify, and attackers have used that to forge
    authors and to hide attachments. Fix the program that creates the message: write each of these fields once. Fix the
    server: refuse such a message, because each reader sees another one.
    """
    content = message_of(x, talk)
    fault = None if content is None or content.report is None else content.report.repeated
    if content is not None and fault is not None:
        yield at_line(
            content, fault, Phrase("The message header has more than one {field} field.", field=Term(fault.what))
        )


@rule(
    "MSG704",
    "malformed-header-line",
    "warning",
    "client",
    "RFC 5322 §2.2, §2.1, §3.6.8, §4.5",
    on=OnContent(flaws=Flaw.MALFORMED_HEADER),
    severities=NOT_IN_LMTP,
)
def malformed_header_line(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Header line without field name, or with white space before the colon.

    Each line before the first empty line must be a name, a colon and a value, or start with white space and continue
    the previous line. Often the empty line after the header is missing. An mbox "From " line is not a header field
    either. Fix the program that creates the message: write valid fields, and an empty line after them. Fix the server:
    refuse the message, or pass it on unchanged; do not move lines from the header to the body.
    """
    content = message_of(x, talk)
    fault = None if content is None or content.report is None else content.report.malformed
    if content is not None and fault is not None:
        more = Phrase("") if fault.times == 1 else Phrase(" ({lines} such lines)", lines=Count(fault.times))
        phrase = Phrase(
            "A line of the message header is not a valid field: {reason}{more}.", reason=Term(fault.what), more=more
        )
        yield at_line(content, fault, phrase)


@rule(
    "MSG705",
    "empty-message",
    "warning",
    "client",
    "RFC 5321 §4.1.1.4",
    on=OnContent(flaws=Flaw.EMPTY),
    severities=NOT_IN_LMTP,
    hides=("MSG701", "MSG702"),
)
def empty_message(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Empty message: end of data directly after DATA.

    The message has no bytes, not even a header. If no recipient was accepted, a pipelining client has to send such a
    message (RFC 2920 §3.1), and it is not reported. Fix the client: send a header, or abandon the transaction with
    RSET.
    """
    content = message_of(x, talk)
    if content is not None and x.transaction is not None and x.transaction.accepted:
        yield at_start(content, "The message is empty: the end of data came directly after DATA or as BDAT 0 LAST.")


@rule(
    "MSG706",
    "dot-not-stuffed",
    "error",
    "client",
    "RFC 5321 §4.5.2",
    on=OnContent(flaws=Flaw.LONE_DOT),
)
def dot_not_stuffed(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Line starts with a single dot that is not the end.

    The client must double a dot at the start of a line, and the receiver removes one. This client did not double it, so
    the dot is lost. A line with a single dot only would end the message early. Fix the client: double a dot at the
    start of each line.
    """
    content = message_of(x, talk)
    spot = None if content is None else content.lone_dot
    if spot is not None:
        lines = Phrase("A line of the message starts")
        if spot.count > 1:
            lines = Phrase("{lines} lines of the message start", lines=Count(spot.count))
        yield Evidence(
            Phrase("{what} with a dot that was not doubled; the receiver removes it.", what=lines),
            offset=spot.offset,
            length=1,
            frame=spot.frame,
            time_ns=spot.time_ns,
            evidence="",
            count=spot.count,
        )


@rule(
    "MSG707",
    "bad-date",
    "warning",
    "client",
    "RFC 5322 §3.3, §4.3",
    on=OnContent(flaws=Flaw.BAD_DATE),
    severities=NOT_IN_LMTP,
)
def bad_date(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Date field is not valid.

    The date consists of day, month name, year, time and zone, for example "Mon, 2 Nov 2026 10:00:00 +0000". Two-digit
    years and named zones are obsolete but accepted. The day must exist and match the day of the week. Fix the program
    that creates the message: write a valid date.
    """
    content = message_of(x, talk)
    fault = None if content is None or content.report is None else content.report.bad_date
    if content is not None and fault is not None:
        yield at_line(content, fault, Phrase("The Date field is not valid: {reason}.", reason=Term(fault.what)))

"""MSG and LEN003: the form of the message itself (RFC 5322, RFC 2045), as far as the wire shows it."""

# All of these judge a message that was captured whole. The client that sends it may only relay what it was given, so
# most are warnings. What may be wrong is worked out once for each message (`Content.flaws`); clean ones call no rule.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.octet_checks import Flaw
from ..exchanges.state_table import Act
from .registry import Evidence, OnContent, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.header import HeaderFault
    from ..content.mail_data import Content
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_NOT_IN_LMTP = {"lmtp": "off"}  # what is delivered locally was judged when it came in


def _message(x: Exchange, talk: Conversation) -> Content | None:
    """The message; None where the octets are none: a BDAT out of order, or one that the server does not know."""
    if x.act is not Act.LAST or x.accepted or x.before is None or not talk.server_seen:
        return x.content
    in_order = x.breaks is None and x.server_breaks is None
    return x.content if in_order and x.before.hello.lists("CHUNKING") else None


def _line(content: Content, fault: HeaderFault, message: str) -> Evidence:
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


def _begin(content: Content, message: str) -> Evidence:
    """Evidence at the beginning of the message."""
    offset, frame, time_ns = content.place_in_header(0)
    return Evidence(message, offset=offset, length=0, frame=frame, time_ns=time_ns, evidence="")


@rule(
    "MSG701",
    "missing-date",
    "warning",
    "client",
    "RFC 5322 §3.6, §3.6.1",
    on=OnContent(flaws=Flaw.NO_DATE),
    severities={"submission": "info", "rfc821": "info", **_NOT_IN_LMTP},
    formal=True,
)
def missing_date(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message without Date field.

    Every message has one Date field, written by who made the message. A submission server may add it (RFC 6409 §8.2),
    other servers pass on what they got.
    """
    content = _message(x, talk)
    if content is not None:
        yield _begin(content, "The message header has no Date field.")


@rule(
    "MSG702",
    "missing-from",
    "warning",
    "client",
    "RFC 5322 §3.6, §3.6.2",
    on=OnContent(flaws=Flaw.NO_FROM),
    severities={"rfc821": "info", **_NOT_IN_LMTP},
    formal=True,
)
def missing_from(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message without From field.

    Every message has one From field. Without it nobody is named as its author, and programs that sign or check
    messages have nothing to go by.
    """
    content = _message(x, talk)
    if content is not None:
        yield _begin(content, "The message header has no From field.")


@rule(
    "MSG703",
    "duplicate-field",
    "warning",
    "client",
    "RFC 5322 §3.6",
    on=OnContent(flaws=Flaw.REPEATED_FIELD),
    severities=_NOT_IN_LMTP,
)
def duplicate_field(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Field that may occur once occurs twice.

    Date, From, Sender, Reply-To, To, Cc, Bcc, Message-ID, In-Reply-To, References and Subject stand once at most.
    Programs differ in which one they show and which one they check, and that has been used to forge authors.
    """
    content = _message(x, talk)
    fault = None if content is None or content.report is None else content.report.repeated
    if content is not None and fault is not None:
        yield _line(content, fault, f"The message header has more than one {fault.what} field.")


@rule(
    "MSG704",
    "malformed-header-line",
    "warning",
    "client",
    "RFC 5322 §2.2, §2.1, §3.6.8",
    on=OnContent(flaws=Flaw.MALFORMED_HEADER),
    severities=_NOT_IN_LMTP,
)
def malformed_header_line(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Header line without field name, or with white space before the colon.

    Up to the first empty line, each line is a name, a colon and a value, or continues the one before with white space
    in front. Often the empty line behind the header was forgotten; an mbox "From " line does not belong there either.
    """
    content = _message(x, talk)
    fault = None if content is None or content.report is None else content.report.malformed
    if content is not None and fault is not None:
        more = "" if fault.times == 1 else f" ({fault.times} such lines)"
        yield _line(content, fault, f"A line of the message header is no field: {fault.what}{more}.")


@rule(
    "MSG705",
    "empty-message",
    "warning",
    "client",
    "RFC 5321 §4.1.1.4",
    on=OnContent(flaws=Flaw.EMPTY),
    severities=_NOT_IN_LMTP,
    hides=("MSG701", "MSG702"),
)
def empty_message(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """End of data directly after DATA.

    The message has no byte, not even a header. Where no recipient had been accepted this is what a pipelining client
    has to send (RFC 2920 §3.1), and not reported.
    """
    content = _message(x, talk)
    if content is not None and x.transaction is not None and x.transaction.accepted:
        yield _begin(content, "The message is empty: its end was sent right behind DATA or as BDAT 0 LAST.")


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

    The client doubles a dot at the beginning of a line, and the receiver takes one away. This client did not, so the
    dot is lost, and a line that consists of one dot would end the message early.
    """
    content = _message(x, talk)
    spot = None if content is None else content.lone_dot
    if spot is not None:
        lines = "a line begins" if spot.count == 1 else f"{spot.count} lines begin"
        yield Evidence(
            f"In the message {lines} with a dot that was not doubled; the receiver takes it away.",
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
    severities=_NOT_IN_LMTP,
)
def bad_date(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Date field not parsable.

    The date is day, month name, year, time and zone, as in "Mon, 2 Nov 2026 10:00:00 +0000"; years of two digits and
    named zones are obsolete and still read. The day must exist, and be that day of the week.
    """
    content = _message(x, talk)
    fault = None if content is None or content.report is None else content.report.bad_date
    if content is not None and fault is not None:
        yield _line(content, fault, f"The Date field cannot be right: {fault.what}.")


@rule(
    "MSG712",
    "bad-mime-encoding",
    "warning",
    "client",
    "RFC 2045 §6.7, §6.8; RFC 2046 §5.1.1",
    on=OnContent(flaws=Flaw.BAD_ENCODING),
    severities=_NOT_IN_LMTP,
)
def bad_mime_encoding(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Transfer encoding or boundary not decodable.

    Base64 has 64 letters in groups of four, quoted-printable two hexadecimal digits behind each "=", and a multipart a
    boundary of 1 to 70 characters. Readers guess at anything else, each in its own way, and so do virus scanners.
    """
    content = _message(x, talk)
    fault = None if content is None else content.encoding_fault
    if fault is not None:
        yield Evidence(
            f"The body cannot be decoded: {fault.what}.",
            offset=fault.offset,
            length=1,
            frame=fault.frame,
            time_ns=fault.time_ns,
            evidence="",
        )


@rule(
    "LEN003",
    "text-line-too-long",
    "error",
    "client",
    "RFC 5321 §4.5.3.1.6; RFC 5322 §2.1.1; RFC 6152 §3",
    on=OnContent(flaws=Flaw.LONG_LINE),
)
def text_line_too_long(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message line longer than 1000 octets.

    A line of mail data has 1000 octets at most, CRLF included and without a doubled dot. Servers cut longer ones, which
    breaks signatures. Fix the client: fold the header, encode the body.
    """
    content, transaction = _message(x, talk), x.transaction
    if content is None or content.long_line is None:
        return
    if content.chunked and transaction is not None and transaction.body == "BINARYMIME":
        return  # RFC 3030 §3: no lines at all
    spot = content.long_line
    lines = "a line" if spot.count == 1 else f"{spot.count} lines"
    yield Evidence(
        f"The message has {lines} of more than 1000 octets, the longest of {content.longest}.",
        offset=spot.offset,
        length=content.longest if spot.count == 1 else 0,
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence="",
        count=spot.count,
    )

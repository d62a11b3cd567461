"""MSG and LEN003: the body of a message, its lines and its dots (RFC 2045, RFC 5321)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.octet_checks import Flaw
from .messages import NOT_IN_LMTP, message_of
from .phrases import Count, Octets, Phrase, Term, Text
from .registry import Evidence, OnContent, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


@rule(
    "MSG712",
    "bad-mime-encoding",
    "warning",
    "client",
    "RFC 2045 §6.7, §6.8; RFC 2046 §5.1.1",
    on=OnContent(flaws=Flaw.BAD_ENCODING),
    severities=NOT_IN_LMTP,
)
def bad_mime_encoding(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Transfer encoding or boundary of a part not valid.

    Base64 uses 64 characters in groups of four, quoted-printable has two hexadecimal digits after each "=", and a
    multipart has a boundary of 1 to 70 characters. A reader can decode much of the rest, but each one does it in its
    own way, and so do virus scanners. Fix the program that creates the message: encode the body correctly.
    """
    content = message_of(x, talk)
    fault = None if content is None else content.encoding_fault
    if fault is not None:
        yield Evidence(
            Phrase("The message is not encoded correctly: {reason}.", reason=Term(fault.what)),
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
    on=OnContent(partial=True, flaws=Flaw.LONG_LINE),
)
def text_line_too_long(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message line longer than 1000 octets.

    A line of mail data has at most 1000 octets, including CRLF and not counting a doubled dot. Servers cut longer
    lines, which breaks signatures. Fix the client: fold the header, encode the body. Fix the server: pass longer lines
    on unchanged, or refuse the message; do not cut them.
    """
    content, transaction = message_of(x, talk), x.transaction
    if content is None or content.long_line is None:
        return
    if content.chunked and transaction is not None and transaction.body == "BINARYMIME":
        return  # RFC 3030 §3: binary content has no lines
    spot = content.long_line
    lines = Phrase("a line") if spot.count == 1 else Phrase("{lines} lines", lines=Count(spot.count))
    yield Evidence(
        Phrase(
            "The message has {what} of more than 1000 octets; the longest has {longest}.",
            what=lines,
            longest=Octets(content.longest),
        ),
        offset=spot.offset,
        length=content.longest if spot.count == 1 else 0,
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence="",
        count=spot.count,
    )


@rule(
    "MSG715",
    "encoding-label-untrue",
    "warning",
    "client",
    "RFC 2045 §6.1, §6.2, §2.7",
    on=OnContent(flaws=Flaw.UNTRUE_LABEL),
    severities=NOT_IN_LMTP,
)
def encoding_label_untrue(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit text in a part that is not labelled so.

    Content-Transfer-Encoding says which octets a part has. Without the field, and with 7bit, quoted-printable and
    base64, none is above 127. A relay that has to convert the message trusts the label: it spoils the text, and the
    signature of the message fails. Fix the program that creates the message: label the part 8bit, or encode it.
    """
    content = message_of(x, talk)
    fault = None if content is None else content.untrue_label
    if fault is not None:
        part = Phrase("A part without Content-Transfer-Encoding, which means 7bit,")
        if fault.label:
            part = Phrase("A part labelled {label}", label=Term(fault.label))
        yield Evidence(
            Phrase(
                "{part} holds the octet {octet}: a relay that has to convert the message spoils it.",
                part=part,
                octet=Term(f"0x{fault.octet:02X}"),
            ),
            offset=fault.offset,
            length=1,
            frame=fault.frame,
            time_ns=fault.time_ns,
            evidence="",
        )


@rule(
    "MSG718",
    "dot-stuffed-bdat",
    "warning",
    "client",
    "RFC 3030 §1, §2",
    on=OnContent(flaws=Flaw.STUFFED_CHUNKS),
    severities=NOT_IN_LMTP,
)
def dot_stuffed_bdat(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Dots doubled in a BDAT message.

    Only mail data after DATA has dot-stuffing. A chunk has a size instead of an end mark, and the receiver stores its
    octets as they are. So each dot that the client doubles stays doubled, and signatures fail. No RFC forbids such a
    text; it is a warning because the client hardly means it. Fix the client: send the message unchanged in chunks.
    """
    content, transaction = message_of(x, talk), x.transaction
    spot = None if content is None else content.stuffed_dots
    if spot is None or (transaction is not None and transaction.body == "BINARYMIME"):
        return
    lines = Phrase("Both lines") if spot.count == 2 else Phrase("All {lines} lines", lines=Count(spot.count))
    yield Evidence(
        Phrase(
            "{what} that begin with a dot begin with two: BDAT has no dot-stuffing, the receiver keeps both dots.",
            what=lines,
        ),
        offset=spot.offset,
        length=2,
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence="",
        count=spot.count,
    )


@rule(
    "MSG719",
    "end-of-data-glued",
    "error",
    "client",
    "RFC 5321 §4.1.1.4, §3.3",
    on=OnContent(partial=True, flaws=Flaw.GLUED_DOT),
    hides=("TIM801", "TIM802", "TCP901", "TCP902", "RPL412"),
)
def end_of_data_glued(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """The final dot is not on a line of its own.

    CRLF "." CRLF ends mail data. This client sent the dot directly after text without a line end. So the dot is part of
    the text, and so is everything after it: both sides wait until one of them gives up. Fix the client: end the last
    line of the text with CRLF before the dot.
    """
    dot = None if x.content is None else x.content.glued_dot
    if dot is None or x.content is None:
        return
    commands = Phrase("")
    if dot.commands:
        verbs = " and ".join(filter(None, (", ".join(dot.commands[:-1]), dot.commands[-1])))
        commands = Phrase(", and {commands} became part of it", commands=Term(verbs))
    frame, time_ns = x.content.where(dot.offset)
    yield Evidence(
        Phrase(
            "The text before the final dot has no line end: {line} is text, the data never ended{commands}.",
            line=Text(dot.line),
            commands=commands,
        ),
        offset=dot.offset,
        length=3,
        frame=frame,
        time_ns=time_ns,
        evidence="",
    )

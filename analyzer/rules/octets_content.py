"""BIT: bytes above 127, NUL and line ends in messages."""

# 8BITMIME allows bytes above 127 in the body of a message only, SMTPUTF8 allows UTF-8 in header fields, and BINARYMIME
# allows all bytes in BDAT content. The rules therefore depend on the keywords that the server had listed when MAIL was
# sent.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.printable import printable, whole_words
from ..content.octet_checks import Flaw
from .phrases import Count, Phrase, Term
from .registry import Evidence, OnContent, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.line_lengths import Occurrence
    from ..content.message import Content
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["line_at", "times"]

_HIGH = re.compile(rb"[\x80-\xff]")
_MIME_VERSION = b"MIME-Version"
_SHOWN = 100  # bytes of a line


def times(count: int) -> Phrase:
    """The number of occurrences, for the end of a clause; empty for one."""
    return Phrase("") if count == 1 else Phrase(" ({times} times)", times=Count(count))


def line_at(header: bytes, at: int) -> str:
    """The line of ``header`` that contains the byte ``at``, printable, at most 100 bytes."""
    start = header.rfind(b"\n", 0, at) + 1
    end = header.find(b"\n", start, start + _SHOWN + 2)
    line = header[start : end if end >= 0 else start + _SHOWN + 2]
    return printable(whole_words(line.rstrip(b"\r"), _SHOWN))


def _spot(message: Phrase, spot: Occurrence, evidence: str = "", caused_by: Exchange | None = None) -> Evidence:
    return Evidence(
        message,
        offset=spot.offset,
        length=1,
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence=evidence,
        caused_by=(caused_by,),
        count=spot.count,
    )


def _whole(x: Exchange) -> Content | None:
    """The content, if all of it was captured."""
    return x.content if x.content is not None and not x.content.missing else None


def _binary(x: Exchange) -> bool:
    """Whether the content is BODY=BINARYMIME sent with BDAT: every octet and every line end is allowed."""
    return (
        x.content is not None and x.content.chunked and x.transaction is not None and x.transaction.body == "BINARYMIME"
    )


@rule(
    "BIT205",
    "eight-bit-in-header",
    "error",
    "client",
    "RFC 5321 §2.4; RFC 5322 §2.2; RFC 6531 §3.2",
    on=OnContent(flaws=Flaw.EIGHT_BIT_HEADER),
)
def eight_bit_in_header(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Byte above 0x7F in the message header without SMTPUTF8.

    Header fields are ASCII, and 8BITMIME does not change that. Other characters need encoded words (RFC 2047) or a
    transaction that declared SMTPUTF8. Fix the client: encode the field, or declare SMTPUTF8 if the server offers it.
    """
    content = _whole(x)
    if content is None or content.header_8bit is None or x.transaction is None:
        return
    if x.transaction.smtputf8 and talk.profile != "rfc821":
        return
    first = _HIGH.search(content.header)
    spot = content.header_8bit
    field = line_at(content.header, first.start()) if first else ""
    yield _spot(
        Phrase(
            "The message header contains bytes above 127{more}, but the transaction does not declare SMTPUTF8.",
            more=times(spot.count),
        ),
        spot,
        field,
    )


def _body(x: Exchange, talk: Conversation) -> str | None:
    """Which of BIT206, BIT207 and BIT208 an 8-bit body breaks; None if it breaks none, or if that is not known."""
    content, transaction = _whole(x), x.transaction
    if content is None or content.body_8bit is None or transaction is None:
        return None
    hello = transaction.state.hello
    body = transaction.body
    if talk.profile == "rfc821":
        return "BIT206"
    if hello.keywords is None or (body == "BINARYMIME" and hello.lists("BINARYMIME")):
        return None
    if not hello.lists("8BITMIME"):
        return "BIT206"
    return {None: "BIT207", "7BIT": "BIT208"}.get(body)


@rule(
    "BIT206",
    "eight-bit-body-not-offered",
    "error",
    "client",
    "RFC 6152 §3; RFC 5321 §2.4; RFC 821 §4.5.2, App. A",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
)
def eight_bit_body_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit body to a server that does not offer 8BITMIME.

    The body contains bytes above 127, which are only allowed if the server offers 8BITMIME. Fix the client: convert the
    body to seven bits (quoted-printable or base64) or return the message to its sender. Fix the server: offer 8BITMIME,
    if all that it passes mail on to can take such bodies.
    """
    if _body(x, talk) == "BIT206" and x.content is not None and x.content.body_8bit is not None:
        spot = x.content.body_8bit
        phrase = Phrase(
            "The body contains bytes above 127{more}, but the server does not offer 8BITMIME.", more=times(spot.count)
        )
        yield _spot(phrase, spot)


@rule(
    "BIT207",
    "eight-bit-body-undeclared",
    "error",
    "client",
    "RFC 6152 §3; RFC 5321 §2.4",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
)
def eight_bit_body_undeclared(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit body without BODY=8BITMIME although the server offers it.

    The server accepts 8-bit bodies, but the client must declare them. Fix the client: send BODY=8BITMIME with MAIL.
    """
    if _body(x, talk) == "BIT207" and x.content is not None and x.content.body_8bit is not None:
        spot = x.content.body_8bit
        yield _spot(
            Phrase(
                "The body contains bytes above 127{more}, but MAIL does not have BODY=8BITMIME, which the server "
                "offers.",
                more=times(spot.count),
            ),
            spot,
        )


@rule(
    "BIT208",
    "eight-bit-body-declared-7bit",
    "error",
    "client",
    "RFC 6152 §3",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
)
def eight_bit_body_declared_7bit(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit body in a transaction declared BODY=7BIT.

    The body contains bytes above 127 although the client declared that it does not. The server may rely on the
    declaration when it passes the message to a server without 8BITMIME. Fix the client: declare BODY=8BITMIME.
    """
    if _body(x, talk) == "BIT208" and x.content is not None and x.content.body_8bit is not None:
        spot = x.content.body_8bit
        phrase = Phrase("The body contains bytes above 127{more}, but MAIL declared BODY=7BIT.", more=times(spot.count))
        yield _spot(phrase, spot)


@rule(
    "BIT213",
    "nul-in-content",
    "warning",
    "client",
    "RFC 5321 §4.1.1.4; RFC 5322 §4; RFC 2045 §2.7, §2.8",
    on=OnContent(flaws=Flaw.NUL),
)
def nul_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """NUL byte in message content.

    7-bit and 8-bit content must not contain NUL. Only BODY=BINARYMIME content sent with BDAT may contain it. Fix the
    client: encode the content (base64). Fix the server: refuse such a message with 554.
    """
    content = _whole(x)
    if content is not None and content.nul is not None and (not _binary(x) or talk.profile == "rfc821"):
        yield _spot(Phrase("The message contains a NUL byte{more}.", more=times(content.nul.count)), content.nul)


@rule(
    "BIT214",
    "eight-bit-not-mime",
    "warning",
    "client",
    "RFC 5321 §2.4; RFC 6152 §3",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
)
def eight_bit_not_mime(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BODY=8BITMIME with 8-bit text that is not MIME.

    8BITMIME is for MIME messages. Without a MIME-Version field the character set of the bytes above 127 is unknown. Fix
    the client: add the MIME fields to the header.
    """
    content = _whole(x)
    if content is None or content.body_8bit is None or x.transaction is None:
        return
    if x.transaction.body in {"8BITMIME", "BINARYMIME"} and content.field(_MIME_VERSION) is None:
        phrase = Phrase(
            "MAIL declared BODY={body}, but the message has no MIME-Version field.", body=Term(x.transaction.body)
        )
        yield _spot(phrase, content.body_8bit)


@rule(
    "BIT223",
    "bare-lf-in-content",
    "error",
    "client",
    "RFC 5321 §2.3.8, §4.1.1.4",
    on=OnContent(partial=True, flaws=Flaw.BARE_NEWLINE),
)
def bare_lf_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LF without CR in message content.

    Lines of mail data end with CRLF, and LF must not be sent alone. SMTP smuggling uses a bare LF, because servers
    differ in whether they accept it as a line end. Fix the client: convert all line ends to CRLF. Fix the server:
    refuse such a message, or convert the bytes before it passes the message on.
    """
    content = _whole(x)
    if content is not None and content.bare_lf is not None and not _binary(x):
        spot = content.bare_lf
        yield _spot(Phrase("The message contains LF without CR{more}.", more=times(spot.count)), spot)


@rule(
    "BIT224",
    "bare-cr-in-content",
    "error",
    "client",
    "RFC 5321 §2.3.8",
    on=OnContent(partial=True, flaws=Flaw.BARE_NEWLINE),
)
def bare_cr_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """CR without LF in message content.

    Lines of mail data end with CRLF, and CR must not be sent alone. Fix the client: convert all line ends to CRLF. Fix
    the server: refuse such a message, or convert the bytes before it passes the message on.
    """
    content = _whole(x)
    if content is not None and content.bare_cr is not None and not _binary(x):
        spot = content.bare_cr
        wrong = None if talk.mail_tracking is None else talk.mail_tracking.wrong_size
        cut = None if wrong is None or spot.offset + 1 != wrong.end else wrong.event  # the LF is after the chunk
        yield _spot(Phrase("The message contains CR without LF{more}.", more=times(spot.count)), spot, caused_by=cut)

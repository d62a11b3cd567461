"""BIT: the 7-bit rule, NUL and line ends in messages."""

# 8BITMIME lifts the 7-bit rule for the body of a message and for nothing else; SMTPUTF8 for header fields, if they are
# UTF-8; BINARYMIME for BDAT content. Which of them was negotiated decides between the rules, so they ask what the
# server had listed when MAIL was sent.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.printable import printable
from ..content.octet_checks import Flaw
from .registry import Evidence, OnContent, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.line_lengths import Occurrence
    from ..content.mail_data import Content
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["line_at", "times"]

_HIGH = re.compile(rb"[\x80-\xff]")
_MIME_VERSION = b"MIME-Version"


def times(count: int) -> str:
    """How often, for the end of a clause; nothing for once."""
    return "" if count == 1 else f" ({count} times)"


def line_at(header: bytes, at: int) -> str:
    """The line of ``header`` that holds the byte ``at``, printable and cut to what is worth showing."""
    start = header.rfind(b"\n", 0, at) + 1
    end = header.find(b"\n", at)
    return printable(header[start : end if end >= 0 else len(header)].rstrip(b"\r")[:100])


def _spot(message: str, spot: Occurrence, evidence: str = "") -> Evidence:
    return Evidence(
        message,
        offset=spot.offset,
        length=1,
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence=evidence,
        count=spot.count,
    )


def _whole(x: Exchange) -> Content | None:
    """The content, where all of it was captured (G9)."""
    return x.content if x.content is not None and not x.content.missing else None


def _binary(x: Exchange) -> bool:
    """BODY=BINARYMIME sent by BDAT: no octet and no line end is wrong."""
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
    formal=True,
)
def eight_bit_in_header(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Byte above 0x7F in the message header without SMTPUTF8.

    Header fields are ASCII; 8BITMIME does not change that. Other characters need encoded words (RFC 2047), or a
    transaction declared SMTPUTF8.
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
        f"The message header holds bytes above 127{times(spot.count)} and the transaction is not declared SMTPUTF8.",
        spot,
        field,
    )


def _body(x: Exchange, talk: Conversation) -> str | None:
    """Which of BIT206, BIT207, BIT208 an 8-bit body breaks; None: none, or it cannot be told."""
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
    formal=True,
)
def eight_bit_body_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit body to a server that does not offer 8BITMIME.

    The client must convert the body to seven bits (quoted-printable or base64) or return the message.
    """
    if _body(x, talk) == "BIT206" and x.content is not None and x.content.body_8bit is not None:
        spot = x.content.body_8bit
        yield _spot(f"The body holds bytes above 127{times(spot.count)}, and the server does not offer 8BITMIME.", spot)


@rule(
    "BIT207",
    "eight-bit-body-undeclared",
    "error",
    "client",
    "RFC 6152 §3; RFC 5321 §2.4",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
    formal=True,
)
def eight_bit_body_undeclared(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit body without BODY=8BITMIME although the server offers it.

    The server would take the body as it is, but the client has to say so: BODY=8BITMIME on MAIL.
    """
    if _body(x, talk) == "BIT207" and x.content is not None and x.content.body_8bit is not None:
        spot = x.content.body_8bit
        yield _spot(
            f"The body holds bytes above 127{times(spot.count)}, and MAIL lacks BODY=8BITMIME, which was offered.",
            spot,
        )


@rule(
    "BIT208",
    "eight-bit-body-declared-7bit",
    "error",
    "client",
    "RFC 6152 §3",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
    formal=True,
)
def eight_bit_body_declared_7bit(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """8-bit body in a transaction declared BODY=7BIT.

    The declaration is a promise that a server may rely on when it hands the message to a 7-bit neighbour.
    """
    if _body(x, talk) == "BIT208" and x.content is not None and x.content.body_8bit is not None:
        spot = x.content.body_8bit
        yield _spot(f"The body holds bytes above 127{times(spot.count)}, though MAIL said BODY=7BIT.", spot)


@rule(
    "BIT213",
    "nul-in-content",
    "warning",
    "client",
    "RFC 5321 §4.1.1.4; RFC 5322 §4; RFC 2045 §2.7, §2.8",
    on=OnContent(flaws=Flaw.NUL),
    formal=True,
)
def nul_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """NUL byte in message content.

    Neither 7bit nor 8bit content may hold NUL; only BODY=BINARYMIME sent by BDAT may.
    """
    content = _whole(x)
    if content is not None and content.nul is not None and (not _binary(x) or talk.profile == "rfc821"):
        yield _spot(f"The message holds a NUL byte{times(content.nul.count)}.", content.nul)


@rule(
    "BIT214",
    "eight-bit-not-mime",
    "warning",
    "client",
    "RFC 5321 §2.4; RFC 6152 §3",
    on=OnContent(flaws=Flaw.EIGHT_BIT_BODY),
    formal=True,
)
def eight_bit_not_mime(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """BODY=8BITMIME with 8-bit text that is not MIME.

    The extension carries MIME messages; without MIME-Version nobody can know what the bytes above 127 mean.
    """
    content = _whole(x)
    if content is None or content.body_8bit is None or x.transaction is None:
        return
    if x.transaction.body in {"8BITMIME", "BINARYMIME"} and content.field(_MIME_VERSION) is None:
        yield _spot(
            f"MAIL said BODY={x.transaction.body}, but the message has no MIME-Version field.", content.body_8bit
        )


@rule(
    "BIT223",
    "bare-lf-in-content",
    "error",
    "client",
    "RFC 5321 §2.3.8, §4.1.1.4",
    on=OnContent(partial=True, flaws=Flaw.BARE_NEWLINE),
    formal=True,
)
def bare_lf_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LF without CR in message content.

    Text lines end with CRLF. A bare LF is what SMTP smuggling is made of: receivers differ in whether it ends a line.
    """
    content = _whole(x)
    if content is not None and content.bare_lf is not None and not _binary(x):
        yield _spot(f"The message holds LF without CR{times(content.bare_lf.count)}.", content.bare_lf)


@rule(
    "BIT224",
    "bare-cr-in-content",
    "error",
    "client",
    "RFC 5321 §2.3.8",
    on=OnContent(partial=True, flaws=Flaw.BARE_NEWLINE),
    formal=True,
)
def bare_cr_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """CR without LF in message content.

    Text lines end with CRLF, and CR may not be sent alone.
    """
    content = _whole(x)
    if content is not None and content.bare_cr is not None and not _binary(x):
        yield _spot(f"The message holds CR without LF{times(content.bare_cr.count)}.", content.bare_cr)

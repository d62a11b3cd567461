"""BIT: the 7-bit rule, the repertoire of characters, and line ends."""

# RFC 821 and RFC 5321 §2.4 agree: seven-bit characters, the high bit zero. 8BITMIME lifts that for a message's body and
# for nothing else; SMTPUTF8 for addresses and header fields, if they are UTF-8; BINARYMIME for BDAT content. Which
# of these was negotiated decides between the rules, so they ask what the server had listed when MAIL was sent.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.commands import DeviationKind
from ...dissectors.text import printable
from ..content import Flaw
from ..exchange import Mark, Transaction
from ..states import Act
from .registry import Evidence, OnContent, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content import Content, Spot
    from ..conversation import Conversation
    from ..exchange import Exchange

__all__: list[str] = []

_BOM = b"\xef\xbb\xbf"
_HIGH = re.compile(rb"[\x80-\xff]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_PATH = re.compile(rb"[ \t]*(?:FROM|TO)[ \t]*:[ \t]*(?:<[^>]*>?|[^ \t]*)", re.IGNORECASE)
_VALUE = re.compile(rb"=[^ \t]*")
_MIME_VERSION = b"MIME-Version"


def _times(count: int) -> str:
    return "" if count == 1 else f" ({count} times)"


# -- command lines -------------------------------------------------------------------------------------------------


def _utf8_places(x: Exchange) -> list[tuple[int, int]]:
    """Spans of the line in which RFC 6531 §3.3 permits UTF-8: the path, values of parameters, whom VRFY asks for."""
    command = x.command
    if command is None or command.argument is None:
        return []
    start = len(x.raw) - len(command.argument)
    if command.verb in {b"VRFY", b"EXPN"}:
        return [(start, len(x.raw))]
    if command.verb not in {b"MAIL", b"RCPT"}:
        return []
    path = _PATH.match(command.argument)
    if path is None:
        return []
    places = [(start, start + path.end())]
    places += [(start + m.start(), start + m.end()) for m in _VALUE.finditer(command.argument, path.end())]
    return places


def _declares_utf8(x: Exchange) -> bool:
    """Whether SMTPUTF8 was given for this command: on itself, or for RCPT on the MAIL of its transaction."""
    if x.command is not None and x.command.verb != b"RCPT":
        return "SMTPUTF8" in x.command.parameters
    transaction = x.transaction or (x.state.transaction if x.state is not None else None)
    return isinstance(transaction, Transaction) and transaction.smtputf8


def _high_bytes(x: Exchange) -> tuple[list[int], list[int]]:
    """Offsets in the line of bytes above 127: where nothing permits them, and where SMTPUTF8 could."""
    places = _utf8_places(x)
    never: list[int] = []
    perhaps: list[int] = []
    start = len(_BOM) if x.raw.startswith(_BOM) else 0
    for found in _HIGH.finditer(x.raw, start):
        at = found.start()
        (perhaps if any(a <= at < b for a, b in places) else never).append(at)
    return never, perhaps


@rule(
    "BIT201",
    "eight-bit-in-command",
    "error",
    "client",
    "RFC 5321 §2.4; RFC 821 §2, App. A; RFC 6531 §3.7.1",
    on=OnExchange(marks=Mark.EIGHT_BIT),
)
def eight_bit_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Byte above 0x7F in a command line.

    Commands are seven-bit ASCII. Only an address, or a parameter's value, may hold UTF-8, and only where the server
    lists SMTPUTF8. Verbs, the name after EHLO and parameter keywords never may.
    """
    never, perhaps = _high_bytes(x)
    hello = x.state.hello if x.state is not None else None
    wrong = list(never)
    listed = hello is not None and hello.lists("SMTPUTF8")
    known = hello is not None and hello.keywords is not None and talk.server_seen
    if perhaps and not listed and (known or not talk.server_seen):
        wrong = sorted(never + perhaps)
    if wrong:
        where = "" if never or not perhaps else ", in an address, though the server does not offer SMTPUTF8"
        yield Evidence(
            f"The command holds the byte 0x{x.raw[wrong[0]]:02x}{where}{_times(len(wrong))}; commands are 7-bit ASCII.",
            offset=x.offset + wrong[0],
            length=1,
            certain=None if never or known else False,
            count=len(wrong),
        )


@rule(
    "BIT202",
    "utf8-address-undeclared",
    "error",
    "client",
    "RFC 6531 §3.4",
    on=OnExchange(marks=Mark.EIGHT_BIT),
)
def utf8_address_undeclared(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Non-ASCII address but MAIL lacks the SMTPUTF8 parameter.

    The server offers SMTPUTF8, but the client has to ask for it: by the parameter SMTPUTF8 on MAIL, or on VRFY and EXPN
    themselves.
    """
    if x.state is None or not x.state.hello.lists("SMTPUTF8") or _declares_utf8(x):
        return
    perhaps = _high_bytes(x)[1]
    if perhaps:
        yield Evidence(
            "The address is not ASCII, and SMTPUTF8 was offered but not asked for.",
            offset=x.offset + perhaps[0],
            length=1,
            count=len(perhaps),
        )


@rule(
    "BIT203",
    "invalid-utf8",
    "error",
    "client",
    "RFC 6531 §3.3; RFC 6532 §3.1",
    on=OnExchange(marks=Mark.EIGHT_BIT | Mark.CONTENT_UTF8),
)
def invalid_utf8(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Bytes that are not UTF-8 where SMTPUTF8 permits UTF-8.

    SMTPUTF8 permits UTF-8 in addresses and header fields, not any other character set: malformed, overlong and
    surrogate sequences are out.
    """
    if x.marks & Mark.CONTENT_UTF8:
        content = x.content
        if content is None or content.header_8bit is None or content.missing:
            return
        try:
            content.header.decode("utf-8")
        except UnicodeDecodeError as wrong:
            line = content.header[: wrong.start].count(b"\n") + 1
            yield Evidence(
                f"The message header is declared UTF-8, but line {line} of it is not.",
                offset=content.header_8bit.offset,
                length=content.header_8bit.count,
                frame=content.header_8bit.frame,
                time_ns=content.header_8bit.time_ns,
                evidence=_line_at(content.header, wrong.start),
            )
        return
    if x.state is None or not x.state.hello.lists("SMTPUTF8") or not _declares_utf8(x):
        return
    for start, end in _utf8_places(x):
        try:
            x.raw[start:end].decode("utf-8")
        except UnicodeDecodeError as wrong:
            yield Evidence(
                f"The byte 0x{x.raw[start + wrong.start]:02x} in the address does not belong to UTF-8.",
                offset=x.offset + start + wrong.start,
                length=wrong.end - wrong.start,
            )
            return


@rule(
    "BIT204",
    "eight-bit-in-reply",
    "error",
    "server",
    "RFC 5321 §2.4, §4.2; RFC 6531 §3.7.4",
    on=OnExchange(marks=Mark.REPLY_EIGHT_BIT),
)
def eight_bit_in_reply(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Byte above 0x7F in a reply line.

    Replies are seven-bit ASCII. UTF-8 may only stand in 251 and 551 within a transaction declared SMTPUTF8, and in
    replies to VRFY and EXPN that asked for it.
    """
    reply = x.reply
    if reply is None:
        return
    if x.command is not None and x.command.verb in {b"VRFY", b"EXPN"}:
        permitted = _declares_utf8(x) and reply.code // 10 in {25, 55}
    else:
        permitted = reply.code in {251, 551} and x.transaction is not None and x.transaction.smtputf8
    if not permitted:
        at = [m.start() for m in _HIGH.finditer(reply.raw)]
        yield Evidence(
            f"The reply holds the byte 0x{reply.raw[at[0]]:02x}{_times(len(at))}; replies are 7-bit ASCII.",
            reply=True,
            offset=x.reply_offset + at[0],
            length=1,
            count=len(at),
        )


# -- message content -----------------------------------------------------------------------------------------------


def _spot(message: str, spot: Spot, evidence: str = "") -> Evidence:
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


def _line_at(header: bytes, at: int) -> str:
    start = header.rfind(b"\n", 0, at) + 1
    end = header.find(b"\n", at)
    return printable(header[start : end if end >= 0 else len(header)].rstrip(b"\r")[:100])


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
    if content is None or content.header_8bit is None or x.transaction is None or x.transaction.smtputf8:
        return
    first = _HIGH.search(content.header)
    spot = content.header_8bit
    field = _line_at(content.header, first.start()) if first else ""
    yield _spot(
        f"The message header holds bytes above 127{_times(spot.count)} and the transaction is not declared SMTPUTF8.",
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
        yield _spot(
            f"The body holds bytes above 127{_times(spot.count)}, and the server does not offer 8BITMIME.", spot
        )


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
            f"The body holds bytes above 127{_times(spot.count)}, and MAIL lacks BODY=8BITMIME, which was offered.",
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
        yield _spot(f"The body holds bytes above 127{_times(spot.count)}, though MAIL said BODY=7BIT.", spot)


@rule(
    "BIT209",
    "bom-before-command",
    "error",
    "client",
    "RFC 5321 §2.4, §4.1.1",
    on=OnExchange(marks=Mark.EIGHT_BIT),
)
def bom_before_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """UTF-8 byte order mark in front of a command.

    A command line begins with its verb. The mark is what text editors put in front of a file of commands.
    """
    if x.raw.startswith(_BOM):
        yield Evidence("The line begins with a UTF-8 byte order mark (EF BB BF).", offset=x.offset, length=3)


@rule(
    "BIT210",
    "nul-in-command",
    "error",
    "client",
    "RFC 5321 §4.1.2, §2.3.8",
    on=OnExchange(marks=Mark.NUL),
)
def nul_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """NUL byte in a command line.

    No production of the grammar holds a NUL, and programs written in C end their strings there.
    """
    count = x.raw.count(b"\0")
    yield Evidence(f"The command holds a NUL byte{_times(count)}.", offset=x.offset + x.raw.index(b"\0"), length=1)


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
    if content is not None and content.nul is not None and not _binary(x):
        yield _spot(f"The message holds a NUL byte{_times(content.nul.count)}.", content.nul)


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


# -- line ends -----------------------------------------------------------------------------------------------------


@rule("BIT221", "bare-lf-in-command", "error", "client", "RFC 5321 §2.3.8", on=OnExchange(marks=Mark.BARE_LF))
def bare_lf_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LF without CR in the command stream.

    Lines end with CRLF and with nothing else; neither character may be sent alone.
    """
    found = _BARE_LF.search(x.raw)
    at = found.start() if found else x.length - 1
    where = "inside the line" if found else "instead of CRLF at its end"
    yield Evidence(f"A bare LF stands {where}.", offset=x.offset + at, length=1)


@rule("BIT222", "bare-cr-in-command", "error", "client", "RFC 5321 §2.3.8", on=OnExchange(marks=Mark.BARE_CR))
def bare_cr_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """CR without LF in the command stream.

    Lines end with CRLF and with nothing else; neither character may be sent alone.
    """
    found = _BARE_CR.search(x.raw)
    at = found.start() if found else x.length - 1
    where = "inside the line" if found else "instead of CRLF at its end"
    yield Evidence(f"A bare CR stands {where}.", offset=x.offset + at, length=1)


@rule(
    "BIT223",
    "bare-lf-in-content",
    "error",
    "client",
    "RFC 5321 §2.3.8, §4.1.1.4",
    on=OnContent(flaws=Flaw.BARE_NEWLINE),
    formal=True,
)
def bare_lf_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LF without CR in message content.

    Text lines end with CRLF. A bare LF is what SMTP smuggling is made of: receivers differ in whether it ends a line.
    """
    content = _whole(x)
    if content is not None and content.bare_lf is not None and not _binary(x):
        yield _spot(f"The message holds LF without CR{_times(content.bare_lf.count)}.", content.bare_lf)


@rule(
    "BIT224",
    "bare-cr-in-content",
    "error",
    "client",
    "RFC 5321 §2.3.8",
    on=OnContent(flaws=Flaw.BARE_NEWLINE),
    formal=True,
)
def bare_cr_in_content(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """CR without LF in message content.

    Text lines end with CRLF, and CR may not be sent alone.
    """
    content = _whole(x)
    if content is not None and content.bare_cr is not None and not _binary(x):
        yield _spot(f"The message holds CR without LF{_times(content.bare_cr.count)}.", content.bare_cr)


@rule(
    "BIT225",
    "bare-newline-honoured",
    "error",
    "server",
    "RFC 5321 §2.3.8",
    on=OnExchange(marks=Mark.HONOURED),
)
def bare_newline_honoured(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server treats a bare LF or CR as end of a command.

    The line had not ended when the server answered it. A server that takes a bare LF for a line end can be made to see
    commands that another one in the chain did not.
    """
    if x.act is Act.END:
        return  # the end of mail data has a rule of its own
    kind = "CR" if x.end == b"\r" else "LF"
    yield Evidence(f"The server answered a line that had ended with a bare {kind}.", reply=True, caused_by=(x,))


@rule(
    "BIT226",
    "bare-newline-in-reply",
    "error",
    "server",
    "RFC 5321 §2.3.8",
    on=OnExchange(marks=Mark.REPLY_DEVIATION),
)
def bare_newline_in_reply(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Bare LF or bare CR in the reply stream.

    Reply lines end with CRLF too, and neither character may be sent alone.
    """
    if x.reply is None:
        return
    wrong = [d for d in x.reply.deviations if d.kind is DeviationKind.BARE_NEWLINE]
    if wrong:
        yield Evidence(
            f"The reply holds a bare LF or CR{_times(len(wrong))}.",
            reply=True,
            offset=x.reply_offset + wrong[0].at,
            length=1,
            count=len(wrong),
        )

"""BIT: bytes above 127 and NUL in command lines and replies."""

# RFC 821 and RFC 5321 §2.4 agree: characters have seven bits, the high bit is zero. In a line only an address or the
# value of a parameter may be UTF-8, and only if SMTPUTF8 was offered and declared. The base64 in the lines of an AUTH
# exchange is judged by CMD314.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ..exchanges.exchange import Mark, Transaction
from ..exchanges.state_table import Act
from .octets_content import line_at, times
from .phrases import Count, Octets, Phrase, Term
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_BOM = b"\xef\xbb\xbf"
_HIGH = LazyPattern(rb"[\x80-\xff]")
# RFC 854: IAC and a command; WILL, WON'T, DO and DON'T have an operand, SB has all up to IAC SE
_TELNET = LazyPattern(rb"(?:\xff(?:[\xfb-\xfe].?|\xfa(?:[^\xff]|\xff\xff)*+(?:\xff\xf0)?|[\xf0-\xf9]))++", re.DOTALL)
_TELNET_NAMES = {0xFA: "SB", 0xFB: "WILL", 0xFC: "WON'T", 0xFD: "DO", 0xFE: "DON'T"}
_PATH = LazyPattern(rb"[ \t]*(?:FROM|TO)[ \t]*:[ \t]*(?:<[^>]*>?|[^ \t]*)", re.IGNORECASE)
_VALUE = LazyPattern(rb"=[^ \t]*")
_COMMANDS = frozenset(Act) - {Act.ANSWER}


def _byte(octet: int) -> Term:
    return Term(f"0x{octet:02x}")


# -- command lines -------------------------------------------------------------------------------------------------


def _utf8_spans(x: Exchange) -> list[tuple[int, int]]:
    """Return the spans of the line in which RFC 6531 §3.3 permits UTF-8: the path, values of parameters, the argument
    of VRFY and EXPN."""
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
    spans = [(start, start + path.end())]
    spans += [(start + m.start(), start + m.end()) for m in _VALUE.finditer(command.argument, path.end())]
    return spans


def _asks_for_address(x: Exchange) -> bool:
    """Whether the command is VRFY or EXPN."""
    return x.command is not None and x.command.verb in {b"VRFY", b"EXPN"}


def _declares_utf8(x: Exchange) -> bool:
    """Whether the client declared SMTPUTF8 for this command: on the command itself, or for RCPT on the MAIL of its
    transaction."""
    if x.command is not None and x.command.verb != b"RCPT":
        return "SMTPUTF8" in x.command.parameters
    transaction = x.transaction or (x.state.transaction if x.state is not None else None)
    return isinstance(transaction, Transaction) and transaction.smtputf8


def _high_bytes(x: Exchange) -> tuple[list[int], list[int]]:
    """Return the offsets of bytes above 127 in the line: those that are never permitted, and those that SMTPUTF8 could
    permit."""
    spans = _utf8_spans(x)
    never: list[int] = []
    perhaps: list[int] = []
    start = len(_BOM) if x.raw.startswith(_BOM) else 0
    for found in _HIGH.finditer(x.raw, start):
        at = found.start()
        (perhaps if any(a <= at < b for a, b in spans) else never).append(at)
    return never, perhaps


@rule(
    "BIT201",
    "eight-bit-in-command",
    "error",
    "client",
    "RFC 5321 §2.4; RFC 821 §2, App. A; RFC 6531 §3.7.1",
    on=OnExchange(marks=Mark.EIGHT_BIT, acts=_COMMANDS),
)
def eight_bit_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Byte above 0x7F in a command line.

    Commands are 7-bit ASCII. Only an address or the value of a parameter may contain UTF-8, and only if the server
    lists SMTPUTF8. Verbs, the name after EHLO and parameter keywords never may. Fix the client: send ASCII, or convert
    the domain to its ASCII form (A-labels). Fix the server: answer such a line with 500 or 501, and do not guess its
    character set.
    """
    never, perhaps = _high_bytes(x)
    hello = x.state.hello if x.state is not None else None
    wrong = list(never)
    listed = hello is not None and hello.lists("SMTPUTF8")
    known = hello is not None and hello.keywords is not None and talk.server_seen
    allowed = listed or (not known and (talk.server_seen or _declares_utf8(x)))  # declared, so it may have been offered
    if perhaps and not allowed:
        wrong = sorted(never + perhaps)
    if wrong:
        where = Phrase("")
        if perhaps and not never:
            where = Phrase(" in an address, although the server does not offer SMTPUTF8")
        phrase = Phrase(
            "The command contains the byte {byte}{where}{more}; commands must be 7-bit ASCII.",
            byte=_byte(x.raw[wrong[0]]),
            where=where,
            more=times(len(wrong)),
        )
        telnet = _TELNET.match(x.raw)
        if telnet is not None:
            name = _TELNET_NAMES.get(x.raw[1], f"{x.raw[1]:02X}")
            phrase = Phrase(
                "A Telnet negotiation (IAC {name} ..., {octets} octets) is in front of the command; SMTP has none.",
                name=Term(name),
                octets=Octets(telnet.end()),
            )
        yield Evidence(
            phrase,
            offset=x.offset + wrong[0],
            length=1 if telnet is None else telnet.end(),
            certain=None if never or known else False,
            count=len(wrong),
        )


@rule(
    "BIT202",
    "utf8-address-undeclared",
    "error",
    "client",
    "RFC 6531 §3.4, §3.7.4.2",
    on=OnExchange(marks=Mark.EIGHT_BIT),
)
def utf8_address_undeclared(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Non-ASCII address without the SMTPUTF8 parameter.

    The server offers SMTPUTF8, but the client must declare its use: with the parameter SMTPUTF8 on MAIL, or on VRFY and
    EXPN themselves. RFC 6531 says MUST for MAIL only, but without the parameter a server cannot answer VRFY and EXPN
    with the address, so it is an error there too. Fix the client: add the parameter.
    """
    if x.state is None or not x.state.hello.lists("SMTPUTF8") or _declares_utf8(x):
        return
    perhaps = _high_bytes(x)[1]
    if perhaps:
        yield Evidence(
            "The address is not ASCII, but the client did not declare SMTPUTF8, which the server offers.",
            offset=x.offset + perhaps[0],
            length=1,
            count=len(perhaps),
            reference="RFC 6531 §3.7.4.2" if _asks_for_address(x) else "RFC 6531 §3.4",
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

    SMTPUTF8 permits UTF-8 in addresses and header fields, and no other character set. Malformed and overlong sequences
    and surrogates are not valid UTF-8. Fix the client: convert the text to UTF-8.
    """
    if x.marks & Mark.CONTENT_UTF8:
        content = x.content
        if content is None or content.header_8bit is None or content.missing or talk.profile == "rfc821":
            return
        try:
            content.header.decode("utf-8")
        except UnicodeDecodeError as wrong:
            line = content.header[: wrong.start].count(b"\n") + 1
            offset, frame, time_ns = content.place_in_header(wrong.start)
            yield Evidence(
                Phrase(
                    "The message header is declared as UTF-8, but its line {line} is not valid UTF-8.", line=Count(line)
                ),
                offset=offset,
                length=wrong.end - wrong.start,
                frame=frame,
                time_ns=time_ns,
                evidence=line_at(content.header, wrong.start),
            )
        return
    if x.state is None or not x.state.hello.lists("SMTPUTF8") or not _declares_utf8(x):
        return
    for start, end in _utf8_spans(x):
        try:
            x.raw[start:end].decode("utf-8")
        except UnicodeDecodeError as wrong:
            yield Evidence(
                Phrase(
                    "The address contains the byte {byte}, which is not valid UTF-8 there.",
                    byte=_byte(x.raw[start + wrong.start]),
                ),
                offset=x.offset + start + wrong.start,
                length=wrong.end - wrong.start,
            )
            return


def _in_utf8_transaction(x: Exchange) -> bool:
    """Whether the reply is given in a transaction whose MAIL declared SMTPUTF8, or to this MAIL."""
    transaction = x.transaction or x.opens or (None if x.before is None else x.before.transaction)
    return isinstance(transaction, Transaction) and transaction.smtputf8


@rule(
    "BIT204",
    "eight-bit-in-reply",
    "error",
    "server",
    "RFC 5321 §2.4, §4.2; RFC 6531 §3.7.4.1, §3.7.4.2",
    on=OnExchange(marks=Mark.REPLY_EIGHT_BIT),
)
def eight_bit_in_reply(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Byte above 0x7F in a reply line.

    Replies are 7-bit ASCII. UTF-8 is only allowed in 251 and 551 replies within a transaction that declared SMTPUTF8,
    and in replies to VRFY and EXPN that declared it. Another reply of such a transaction is only an info, although it
    is forbidden too: it repeats what the client sent. Fix the server: send ASCII text.
    """
    reply = x.reply
    if reply is None:
        return
    inside = _in_utf8_transaction(x)
    if _asks_for_address(x):
        permitted = _declares_utf8(x) and reply.code // 10 in {25, 55}
    else:
        permitted = inside and reply.code in {251, 551}
    at = [m.start() for m in _HIGH.finditer(reply.raw)]  # empty if they are in another one of several replies (LMTP)
    if at and (not permitted or talk.profile == "rfc821"):
        yield Evidence(
            Phrase(
                "The reply contains the byte {byte}{more}; replies must be 7-bit ASCII.",
                byte=_byte(reply.raw[at[0]]),
                more=times(len(at)),
            ),
            reply=True,
            offset=x.reply_offset + at[0],
            length=1,
            evidence=line_at(reply.raw, at[0]),
            severity="info" if inside and talk.profile != "rfc821" else None,
            certain=True if x.act is Act.GREETING and not talk.midstream else None,
            count=len(at),
        )


@rule(
    "BIT209",
    "bom-before-command",
    "error",
    "client",
    "RFC 5321 §2.4, §4.1.1",
    on=OnExchange(marks=Mark.EIGHT_BIT),
)
def bom_before_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """UTF-8 byte order mark before a command.

    A command line starts with its verb. This one starts with the mark that text editors write at the beginning of a
    file. Fix the client: remove the mark from the file of commands.
    """
    if x.raw.startswith(_BOM):
        yield Evidence(
            "The line starts with a UTF-8 byte order mark (EF BB BF) instead of a verb.", offset=x.offset, length=3
        )


@rule(
    "BIT210",
    "nul-in-command",
    "error",
    "client",
    "RFC 5321 §4.1.2",
    on=OnExchange(marks=Mark.NUL, acts=_COMMANDS),
)
def nul_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """NUL byte in a command line.

    The grammar allows no NUL, and programs written in C end their strings there. Fix the client: do not send NUL. Fix
    the server: refuse such a line with 500, before any other program reads it.
    """
    count = x.raw.count(b"\0")
    phrase = Phrase("The command contains a NUL byte{more}.", more=times(count))
    yield Evidence(phrase, offset=x.offset + x.raw.index(b"\0"), length=1)

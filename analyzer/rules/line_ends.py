"""BIT: line ends other than CRLF in command lines and replies."""

# How a program ends its lines is one fact, however many lines it sends. So each of these rules has one finding for each
# side of a connection, at the first line, with the number of lines.
#
# Some octets together are one wrong line end: CR CR LF, LF CR, CR NUL. They are named as a whole. LF CR is reported as
# bare LF: the CR, which comes before the text of the next line, is not reported again.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.commands import DeviationKind
from ..exchanges.exchange import Exchange, Mark
from ..exchanges.state_table import Act
from .octets_content import line_at
from .phrases import Phrase, Term
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation

__all__: list[str] = []

MAX_NAMED = 5  # octets of a line end that are named
LOOK_BACK = 8  # turns in which the line before is searched

_NAMES = {0x00: "NUL", 0x0A: "LF", 0x0D: "CR"}
MAX_AFTER = 16  # octets after a line that may belong to its end
_BARE_LF = LazyPattern(rb"(?<!\r)\n")
_BARE_CR = LazyPattern(rb"(?<!\n)\r(?!\n)")  # not that of LF CR
_ONE_LINE = "line ends"  # all breaches of a rule and side are one series


def _name(text: bytes, at: int) -> Term:
    """The octets of the line end around ``at``."""
    first = at
    while first and at - first < MAX_NAMED - 1 and text[first - 1] in _NAMES:
        first -= 1
    last = at + 1
    while last < len(text) and last - first < MAX_NAMED and text[last] in _NAMES:
        last += 1
    return Term(" ".join([_NAMES[octet] for octet in text[first:last]]))


def _wrong_end(text: bytes, at: int, *, ends: bool) -> Phrase:
    """Say which wrong line end is in ``text``, at ``at``. ``ends``: nothing of the line comes after it."""
    name = _name(text, at)
    one = Phrase("A bare {newline}" if " " not in name else "{newline}", newline=name)
    return Phrase(
        "{what} {where}.", what=one, where=Term("ends the line instead of CRLF" if ends else "is inside the line")
    )


def _after(x: Exchange, talk: Conversation) -> bytes:
    """The octets CR and NUL that came directly after the line of ``x``, if the line after it has not ended."""
    one = talk.reader.partial_line
    start = b"" if one is None or one.offset != x.offset + x.length else bytes(one.kept[:MAX_AFTER])
    return start[: len(start) - len(start.lstrip(b"\r\0"))]


def _follows_lf(x: Exchange, talk: Conversation) -> bool:
    """Whether the line before that of ``x`` ended with LF."""
    dialogue = talk.record.dialogue
    for place in range(x.turn - 1, max(-1, x.turn - LOOK_BACK), -1):
        before = dialogue[place]
        if isinstance(before, Exchange) and before.offset + before.length == x.offset:
            return before.end == b"\n"
    return False


@rule("BIT221", "bare-lf-in-command", "error", "client", "RFC 5321 §2.3.8", on=OnExchange(marks=Mark.BARE_LF))
def bare_lf_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """LF without CR in the command stream.

    Lines end with CRLF only, and a client must not send LF without CR. Many servers wait for CRLF then, and answer
    nothing. Fix the client: end each line with CRLF. Fix the server: do not take LF for the end of a line, and refuse
    what contains it (BIT225).
    """
    text = x.raw + x.end
    found = _BARE_LF.search(text)
    if found is None:
        return
    at = found.start()
    ends = not text[at:].strip(b"\r\n\0")
    phrase = _wrong_end(text + (_after(x, talk) if ends else b""), at, ends=ends)
    yield Evidence(phrase, offset=x.offset + at, length=1, series=_ONE_LINE)


@rule("BIT222", "bare-cr-in-command", "error", "client", "RFC 5321 §2.3.8", on=OnExchange(marks=Mark.BARE_CR))
def bare_cr_in_command(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """CR without LF in the command stream.

    Lines end with CRLF only, and a client must not send CR without LF. Fix the client: end each line with CRLF. Fix the
    server: do not take CR for the end of a line, and refuse what contains it (BIT225).
    """
    text = x.raw + x.end
    found = _BARE_CR.search(text)
    if found is not None and found.start() == 0 and _follows_lf(x, talk):
        found = _BARE_CR.search(text, 1)
    if found is not None:
        at = found.start()
        phrase = _wrong_end(text, at, ends=not text[at:].strip(b"\r\n\0"))
        yield Evidence(phrase, offset=x.offset + at, length=1, series=_ONE_LINE)


@rule(
    "BIT225",
    "bare-newline-honoured",
    "error",
    "server",
    "RFC 5321 §2.3.8",
    on=OnExchange(marks=Mark.HONOURED),
)
def bare_newline_honoured(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server treats a bare LF or CR as the end of a command.

    The server answered a line that had not ended with CRLF. If a server accepts a bare LF as a line end, an attacker
    can make it see commands that another server on the path of the message did not see. Fix the server: accept only
    CRLF as the end of a line. Fix the client: end each line with CRLF, so that all servers see the same lines.
    """
    if x.act is Act.END:
        return  # SEC615 judges the end of mail data
    kind = Term("CR" if x.end == b"\r" else "LF")
    phrase = Phrase("The server answered a line that ended with a bare {newline}; only CRLF ends a line.", newline=kind)
    yield Evidence(phrase, reply=True, caused_by=(x,), series=_ONE_LINE)


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

    Reply lines end with CRLF too, and a server must not send CR or LF alone. Fix the server: end each reply line with
    CRLF.
    """
    reply = x.reply
    if reply is None:
        return
    for wrong in reply.deviations:
        if wrong.kind is DeviationKind.BARE_NEWLINE:
            end = reply.raw.find(b"\n", wrong.at)
            line = reply.raw[wrong.at : end if end >= 0 else None]
            yield Evidence(
                _wrong_end(reply.raw, wrong.at, ends=not line.strip(b"\r\0")),
                reply=True,
                offset=x.reply_offset + wrong.at,
                length=1,
                evidence=line_at(reply.raw, wrong.at),
                certain=True if x.act is Act.GREETING and not talk.midstream else None,
                series=_ONE_LINE,
            )

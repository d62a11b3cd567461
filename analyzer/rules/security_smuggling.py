"""SEC 612, 614, 615, 617, 619: text that one program reads as data and another as commands."""

# Smuggling is judged in three steps, and each may occur without the next: the mail data contains a look-alike of the
# end mark (SEC612), commands follow it (SEC614), a server accepted it as the end (SEC615). There are two signs that the
# server accepted it: it answered before the real end arrived, or it sent more replies than expected.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable, whole_words
from ..content.octet_checks import Flaw
from ..exchanges.exchange import Mark
from ..exchanges.judging import NO_DATA_CODES
from ..exchanges.state_table import Act
from ..lines.command_line import hidden_command
from .phrases import Code, Count, Field, Phrase, Term, Verb
from .registry import Evidence, OnContent, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.message import Content
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_NAMES = {"\r": "<CR>", "\n": "<LF>", "\0": "<NUL>"}
_LINE_ENDS = LazyPattern(rb"\r\n|\r|\n")
_MORE = LazyPattern(rb"(?:\r\n|\n|\r)\x00*\.\x00*(?=\r\n|\n|\r)")
_FIRST = LazyPattern(rb"(?:MAIL FROM:|RCPT TO:|(?:EHLO|HELO)(?: |\n)|(?:RSET|DATA)[ \t]*\n|BDAT +[0-9])", re.IGNORECASE)
_MAIL = LazyPattern(rb"^MAIL FROM:", re.IGNORECASE | re.MULTILINE)
_RCPT = LazyPattern(rb"^RCPT TO:", re.IGNORECASE | re.MULTILINE)
_COMMAND = LazyPattern(rb"^(MAIL FROM|RCPT TO|EHLO|HELO|LHLO|RSET|DATA|BDAT|QUIT)\b", re.IGNORECASE | re.MULTILINE)
_FIELD_AFTER_LF = LazyPattern(rb"(?<!\r)\n([!-9;-~]+):")
_FIELD_AFTER_CR = LazyPattern(rb"\r(?!\n)([!-9;-~]+):")
MAX_NAMED = 6


def _form(content: Content) -> Term:
    """The look-alike with names for its invisible bytes: line ends, NUL and a dot."""
    return Term("".join(_NAMES.get(char, char) for char in content.lookalike_form.decode("latin-1")))


def _after_lookalike(content: Content) -> bytes:
    """The bytes after the look-alike, with LF for every line end."""
    return _LINE_ENDS.sub(b"\n", content.since_lookalike)


def _honoured(x: Exchange, talk: Conversation) -> bool:
    """Whether the server took the look-alike for the end. A refusal of the message does not show that: some servers
    refuse a bare LF as soon as it comes."""
    return _ended_there(x) or talk.watch.beyond is not None


def _ended_there(x: Exchange) -> bool:
    return bool(x.marks & Mark.HONOURED) and (x.code < 400 or x.code in NO_DATA_CODES)


def _verdict(x: Exchange, talk: Conversation) -> Phrase:
    """How the server handled the look-alike, for the end of a message."""
    if _honoured(x, talk):
        return Phrase("the server treated it as the end of the mail data")
    if x.code >= 400:
        return Phrase("the server refused the message with {code}", code=Code(x.code))
    if x.accepted:
        return Phrase("nothing shows that the server treated it as the end")
    return Phrase("the capture does not show how the server treated it")


@rule(
    "SEC612",
    "smuggling-end-of-data",
    "error",
    "client",
    "RFC 5321 §4.1.1.4, §2.3.8; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    on=OnContent(partial=True, flaws=Flaw.LOOKALIKE),
    hides=("TCP903",),
    explains=True,
)
def smuggling_end_of_data(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Non-standard end-of-data sequence inside DATA content.

    Only CRLF "." CRLF ends the mail data. With other line ends around a single dot, some servers end the data there and
    others read it as text. An attacker can use that to make two servers on the same path see two different messages
    (SMTP smuggling). Fix the client: send all line ends as CRLF, and double a dot at the start of a line. Fix the
    server: end data only at CRLF "." CRLF, and refuse messages with a bare CR or LF.
    """
    content = x.content
    if content is None or content.lookalike is None or content.missing:
        return
    spot = content.lookalike
    count = 1 + len(_MORE.findall(content.since_lookalike))
    yield Evidence(
        Phrase(
            "The mail data contains {form}{more}; {verdict}.",
            form=_form(content),
            more=Phrase("") if count == 1 else Phrase(" ({times} times)", times=Count(count)),
            verdict=_verdict(x, talk),
        ),
        offset=spot.offset,
        length=len(content.lookalike_form),
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence=printable(content.lookalike_form),
        count=count,
    )


@rule(
    "SEC614",
    "smuggled-commands",
    "error",
    "client",
    "RFC 5321 §4.1.1.4; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    on=OnContent(partial=True, flaws=Flaw.LOOKALIKE),
)
def smuggled_commands(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Envelope commands after a non-standard end of data.

    A second dialogue follows a look-alike of the end of data. A server that accepts the look-alike as the end executes
    these commands. It then accepts a message with a sender chosen by the attacker as if it came from this client. Fix
    the client: send all line ends as CRLF, and double a dot at the start of a line. Fix the server: end data only at
    CRLF "." CRLF, and refuse messages with a bare CR or LF.
    """
    content = x.content
    if content is None or content.lookalike is None or content.missing or not content.since_lookalike:
        return
    text = _after_lookalike(content)
    if not _FIRST.match(text) and not (_MAIL.search(text) and _RCPT.search(text)):
        return
    names = list(dict.fromkeys(m[1].upper().decode() for m in _COMMAND.finditer(text)))[:MAX_NAMED]
    spot = content.lookalike
    yield Evidence(
        Phrase(
            "Commands ({verbs}) follow {form} in the mail data; {verdict}.",
            verbs=Term(", ".join(names)),
            form=_form(content),
            verdict=Phrase("the server executed them") if _honoured(x, talk) else _verdict(x, talk),
        ),
        offset=spot.offset + len(content.lookalike_form),
        length=len(content.since_lookalike),
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence=printable(whole_words(text.split(b"\n", 1)[0], 100)),
    )


@rule(
    "SEC615",
    "smuggling-honoured",
    "error",
    "server",
    "RFC 5321 §4.1.1.4, §2.3.8; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    on=OnContent(flaws=Flaw.LOOKALIKE),
)
def smuggling_honoured(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server ended the data at a non-standard sequence.

    The server accepted the message before CRLF "." CRLF had arrived, it answered commands that follow a look-alike of
    it, or its reply is one that only a command can have. An attacker can use that to send messages whose senders other
    servers on the path never saw. Fix the server: accept only CRLF as the end of a line. Fix the client: if it relays
    mail of others, refuse or convert a bare CR or LF before it sends the message.
    """
    content, beyond = x.content, talk.watch.beyond
    if content is None or content.lookalike is None or x.act is not Act.END:
        return
    if _ended_there(x) and x.code in NO_DATA_CODES:
        yield Evidence(
            Phrase(
                "The server answered {code} after {form}, which is no reply to mail data: it ended the mail data there "
                "and read on as commands.",
                code=Code(x.code),
                form=_form(content),
            ),
            reply=True,
        )
    elif _ended_there(x):
        yield Evidence(
            Phrase(
                "The server answered {code} after {form}, before <CR><LF>.<CR><LF> arrived: it ended the mail data "
                "there.",
                code=Code(x.code),
                form=_form(content),
            ),
            reply=True,
        )
    elif beyond is not None and beyond.reply is not None:
        count = talk.watch.beyond_count
        more = Phrase("one reply more") if count == 1 else Phrase("{replies} replies more", replies=Count(count))
        yield Evidence(
            Phrase(
                "The server sent {more} than expected, {code} first: it ended the mail data at {form} and executed the "
                "commands after it.",
                more=more,
                code=Code(beyond.code),
                form=_form(content),
            ),
            reply=True,
            offset=beyond.reply_offset,
            length=len(beyond.reply.raw),
            frame=beyond.reply_frame,
            time_ns=beyond.reply_time_ns,
            evidence=printable(beyond.reply.raw.split(b"\n", 1)[0].rstrip(b"\r")),
        )


@rule(
    "SEC617",
    "newline-command-injection",
    "error",
    "client",
    "RFC 5321 §2.3.8, §4.1.1",
    on=OnExchange(marks=Mark.HIDDEN_COMMAND),
    hides=("CMD304", "CMD310"),
)
def newline_command_injection(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Bare CR or LF inside a command followed by another command.

    A program probably put unchecked text into a command, for example an address from a web form. A server that ends
    lines at a bare LF or CR sees a second command there. Fix the client: refuse CR and LF in text that it puts into
    commands. Fix the server: accept only CRLF as the end of a line, and answer 501 to such a command.
    """
    found = hidden_command(x.raw)
    if found is None:
        return
    newline = "LF" if x.raw[found.start() : found.start() + 1] == b"\n" else "CR"
    yield Evidence(
        Phrase(
            "{verb} follows a bare {newline} inside the line of another command; a lenient server executes it as a "
            "separate command.",
            verb=Verb(found[1].upper().decode()),
            newline=Term(newline),
        ),
        offset=x.offset + found.start(),
        length=found.end() - found.start(),
        evidence=printable(x.raw[found.start() :][:100]),
    )


@rule(
    "SEC619",
    "header-injection-newline",
    "error",
    "client",
    "RFC 5322 §2.2; RFC 5321 §2.3.8",
    on=OnContent(flaws=Flaw.BARE_NEWLINE),
)
def header_injection_newline(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Bare CR or LF in the header followed by a field name.

    A program probably put unchecked text with a line end into a header field. Programs that end lines at a bare LF or
    CR see an additional field chosen by the attacker, for example another recipient or sender. Fix the program that
    creates the message: refuse CR and LF in header fields. Fix the server: refuse messages with a bare CR or LF.
    """
    content = x.content
    if content is None or content.missing or (content.bare_lf is None and content.bare_cr is None):
        return
    header = content.header
    if b"\r\n" not in header and not content.header_ends_in_crlf:
        return  # all its lines end in this way: no injection, the client never writes CRLF
    found = min(
        (m for m in (_FIELD_AFTER_LF.search(header), _FIELD_AFTER_CR.search(header)) if m is not None),
        key=lambda m: m.start(),
        default=None,
    )
    if found is None:
        return
    bare = content.bare_lf if header[found.start() : found.start() + 1] == b"\n" else content.bare_cr
    assert bare is not None
    newline = "LF" if bare is content.bare_lf else "CR"
    line_start = header.rfind(b"\n", 0, found.start()) + 1
    yield Evidence(
        Phrase(
            'The field "{field}" of the message header follows a bare {newline}.',
            field=Field(printable(found[1][:40])),
            newline=Term(newline),
        ),
        offset=max(bare.offset, content.offset + found.start()),
        length=1,
        frame=bare.frame,
        time_ns=bare.time_ns,
        evidence=printable(whole_words(header[line_start:], min(found.end() + 20 - line_start, 100))),
    )

"""RPL: the form of replies, and whether each command gets exactly one reply (RFC 5321 §4.2, §4.3.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.deviations import DeviationKind
from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.commands import is_base64
from ...dissectors.printable import printable
from ..exchanges.attack_marks import is_masked_text
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from ..exchanges.usual_replies import OPENING_CODES
from .end_facts import EndFact
from .phrases import Code, Phrase, Term, Text
from .registry import Ended, Evidence, OnExchange, named, rule
from .reply_flaws import ReplyFlaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...dissectors.deviations import Deviation
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..model import Severity

__all__: list[str] = []

_SUPPORTED = LazyPattern(rb"(?:NTLM|GSSAPI|GSS-SPNEGO) supported", re.IGNORECASE)


def _wrong(x: Exchange, kind: DeviationKind) -> list[Deviation]:
    return [] if x.answer is None else [d for d in x.answer.reply.deviations if d.kind is kind]


def _at(
    x: Exchange, wrong: Deviation, message: Phrase, count: int = 1, *, severity: Severity | None = None
) -> Evidence:
    """Evidence at one line of the reply. The form of a line is certain, whatever else the capture does not contain."""
    assert x.reply is not None
    raw = x.reply.raw
    start = raw.rfind(b"\n", 0, wrong.at) + 1
    line = raw[start:].split(b"\n", 1)[0].rstrip(b"\r")
    return Evidence(
        message,
        reply=True,
        offset=x.reply_offset + wrong.at,
        length=wrong.length,
        evidence=printable(line[:160]),
        certain=True,
        count=count,
        severity=severity,
    )


_DEVIATES = OnExchange(marks=Mark.REPLY_DEVIATION)


@rule("RPL401", "malformed-reply", "error", "server", "RFC 5321 §4.2", on=_DEVIATES)
def malformed_reply(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server line is not a reply.

    Each line of a reply starts with three digits and a space or hyphen. A client cannot know which command another line
    answers, and must skip the line or give up. Such lines are often debug output or banners of middleboxes. Fix the
    server: send only reply lines. Fix the network: if a middlebox wrote the line, correct or remove it.
    """
    wrong = _wrong(x, DeviationKind.MALFORMED_LINE)
    if wrong:
        where = Phrase("inside a reply" if x.code else "where a reply was expected")
        due = talk.session.due
        if not x.code and due:
            what = named(due[0]) if due[0].line.command is not None else Term("the client's last line")
            where = Phrase("where a reply to {what} was expected", what=what)
        phrase = Phrase("The server sent a line without a reply code {where}.", where=where)
        yield _at(x, wrong[0], phrase, len(wrong))


@rule(
    "RPL402",
    "reply-code-out-of-range",
    "error",
    "server",
    "RFC 5321 §4.2, §4.3.2",
    on=_DEVIATES,
    hides=("RPL408", "RPL409", "RPL410"),
)
def reply_code_out_of_range(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Reply code outside 2yz-5yz, or second digit above 5.

    The first digit says what the client should do next (2 to 5 are defined), the second digit gives the category of the
    reply (0 to 5). Fix the server: use a code that RFC 5321 defines. Fix the client: close the connection, since the
    result is unknown.
    """
    for wrong in _wrong(x, DeviationKind.CODE_OUT_OF_RANGE):
        phrase = Phrase(
            "{code} is not a valid reply code: the first digit must be 2 to 5, the second 0 to 5.",
            code=Term(wrong.detail),  # three digits, also if the first one is 0
        )
        yield _at(x, wrong, phrase)


@rule("RPL403", "multiline-code-mismatch", "error", "server", "RFC 5321 §4.2.1", on=_DEVIATES)
def multiline_code_mismatch(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Lines of one multi-line reply carry different codes.

    A hyphen after the code means that the reply continues, and each of its lines must have the same code. The audit
    uses the code of the last line, in which the server has decided; clients differ in which one they use. Fix the
    server: repeat the code on each line. Fix the client: use the code of the last line.
    """
    wrong = _wrong(x, DeviationKind.CODE_MISMATCH)
    if wrong:
        phrase = Phrase("The lines of one reply have different codes: {codes}.", codes=Term(wrong[0].detail))
        yield _at(x, wrong[0], phrase, len(wrong))


@rule(
    "RPL404",
    "multiline-not-terminated",
    "error",
    "server",
    "RFC 5321 §4.2.1",
    on=Ended(facts=EndFact.HANGING),
    hides=("RPL412",),
)
def multiline_not_terminated(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Multi-line reply never ends.

    The server closed the connection after a line that announced another one (a hyphen follows its code). The last line
    of a reply must have a space after the code. Fix the server: send the whole reply before it closes the connection.
    Fix the client: treat the command as unanswered, and try again later.
    """
    closing, hanging = talk.course.closing, talk.course.hanging
    if closing is None or closing.side != "server" or hanging is None:
        return
    raw, offset, frame, time_ns = hanging
    last = raw.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
    yield Evidence(
        Phrase(
            "The server closed the connection before the end of a reply; its last line, {line}, announces another "
            "line.",
            line=Text(printable(last[:60])),
        ),
        offset=offset,
        length=len(raw),
        frame=frame,
        time_ns=time_ns,
        evidence=printable(last[:160]),
        certain=closing.certain and talk.certain,
    )


@rule("RPL405", "bare-code", "info", "server", "RFC 5321 §4.2, §4.2.1; RFC 4954 §4", on=_DEVIATES)
def bare_code(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Reply line without the space after the code.

    A client must accept a code without text, but a server should send the space even if no text follows, because some
    clients expect it. As every client must cope, it is only an info. In the 334 reply of an AUTH exchange the grammar
    demands the space; there it is a warning. Fix the server: send the space. Fix the client: accept a code without a
    space.
    """
    severity: Severity | None = "warning" if x.code == 334 else None
    for wrong in _wrong(x, DeviationKind.BARE_CODE):
        phrase = Phrase("The reply ends directly after its code {code}; a space should follow.", code=Code(x.code))
        yield _at(x, wrong, phrase, severity=severity)


@rule(
    "RPL406",
    "bad-greeting-name",
    "warning",
    "server",
    "RFC 5321 §4.2, §4.3.1",
    on=OnExchange(acts=frozenset({Act.GREETING, Act.EHLO}), codes=frozenset({220, 250}), reply=ReplyFlaw.NO_HOST),
)
def bad_greeting_name(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """220 greeting without host name as first word.

    The greeting names the server: the first word must be its domain or an address literal. The same is true of the
    first line of the reply to EHLO; there only a missing name is reported. A greeting of asterisks was overwritten by a
    firewall that rewrites SMTP and often hides extensions too; then the path is at fault, not the server. It is a
    warning although the grammar demands the name, because clients can continue without it. Fix the server: send the
    name. Fix the network: turn off the inspection of SMTP in the firewall.
    """
    if x.act is Act.EHLO:
        if x.code == 250 and x.reply is not None and not x.reply.texts[0][:1].strip():
            phrase = Phrase("The first line of the reply to {verb} does not name the host.", verb=named(x))
            yield Evidence(phrase, reply=True, reference="RFC 5321 §4.1.1.1")
        return
    if x.code == 220 and x.reply is not None and not talk.midstream:
        text = x.reply.texts[0]
        word = text.split(b" ", 1)[0]
        if is_masked_text(text):
            message = "The greeting is a run of asterisks: a device on the path has overwritten the name of the server."
            yield Evidence(message, reply=True, side="path", certain=True)
            return
        phrase = Phrase("The greeting does not name the host.")
        if word:
            name = Text(printable(word[:40]))
            phrase = Phrase("The greeting starts with {word}, which is not a host name.", word=name)
        yield Evidence(phrase, reply=True, certain=True)


@rule(
    "RPL407",
    "bad-greeting-code",
    "error",
    "server",
    "RFC 5321 §3.1, §4.3.2; RFC 7504 §3",
    on=OnExchange(acts=frozenset({Act.GREETING}), unusual=True),
)
def bad_greeting_code(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Connection opened with a code other than 220, 421, 521 or 554.

    A server opens the connection with 220. With 554 it says that it provides no service (521 if it never accepts mail),
    and with 421 that it is about to close the connection. It is an error although RFC 5321 says SHOULD, because the
    client does not know whether it may go on. Fix the server: use one of these codes.
    """
    if not talk.midstream and x.code not in OPENING_CODES:
        yield Evidence(
            Phrase(
                "The server opened the connection with {code}; it should have sent 220, or 421, 521 or 554 to refuse "
                "service.",
                code=Code(x.code),
            ),
            certain=True,
        )


@rule(
    "RPL421",
    "bad-challenge",
    "error",
    "server",
    "RFC 4954 §4",
    on=OnExchange(acts=frozenset({Act.AUTH, Act.ANSWER}), codes=frozenset({334})),
)
def bad_challenge(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """334 text is not base64.

    The text of a 334 reply is the challenge of the mechanism, encoded in base64, or empty. Fix the server: encode the
    challenge. Fix the client: cancel the exchange with "*".
    """
    if x.reply is None:
        return
    text = x.reply.texts[0]
    initial = x.command is not None and x.command.initial is None and _SUPPORTED.fullmatch(text) is not None
    if not is_base64(text) and not initial:
        yield Evidence(
            "The challenge in the 334 reply is not base64.", reply=True, offset=x.reply_offset + 4, length=len(text)
        )

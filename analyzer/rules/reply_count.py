"""RPL 411 and 412: each command gets exactly one reply (RFC 5321 §4.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from ..exchanges.lifecycle import SECOND
from ..exchanges.state_table import Act
from ..lines.acts import CHUNKS
from .phrases import Code, Count, Phrase, Seconds, Term
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_SILENCE = SECOND  # a shorter one is not mentioned


@rule(
    "RPL411",
    "unsolicited-reply",
    "error",
    "server",
    "RFC 5321 §4.2, §4.3.1; RFC 2920 §3.1, §3.2",
    on=OnExchange(
        acts=frozenset({Act.NOTHING}),
        unless=Mark.EXPLAINED | Mark.AFTER_220 | Mark.INSIDE_FIRST | Mark.BEYOND_END | Mark.RECIPIENT_REPLIES,
    ),
    explains=True,
)
def unsolicited_reply(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Reply without an outstanding command.

    Each command gets exactly one reply, in order. After one reply too many, a client assigns each further reply to the
    wrong command. Only 421 may come without a command, and a server that is about to close must use it; another 4yz
    code right before the close is only a warning, because it still says why. A server that refuses a chunk must still
    read its octets, and not take them for commands. Fix the server: send one reply for each command, and nothing inside
    mail data. Fix the client: close the connection if replies no longer fit its commands.
    """
    code = x.code
    if code == 421 or not x.sure or talk.midstream:
        return
    last = talk.last
    closes = 400 <= code < 500 and talk.course.server_ends and talk.course.unasked is x
    if x.content is not None and not closes:
        phrase = Phrase("The server sent {code} inside the mail data, before its end.", code=Code(code))
        yield Evidence(phrase, reply=True, series=f"data {x.content.offset}", unit="replies")
    elif last is not None and last.act in CHUNKS and last.code >= 400 and code >= 500:
        phrase = Phrase(
            "The server refused {verb} with {refusal}, and then read the octets of the chunk as commands ({code}); it "
            "has to discard them.",
            verb=named(last),
            refusal=Code(last.code),
            code=Code(code),
        )
        series = f"chunk {last.offset}"
        yield Evidence(phrase, reply=True, reference="RFC 3030 §2", series=series, unit="replies")
    elif closes:
        silence = Phrase("")
        idle = x.reply_time_ns - talk.client_ns
        if talk.client_ns and idle >= _SILENCE:
            silence = Phrase(", after {silence} s of silence", silence=Seconds(round(idle / SECOND)))
        phrase = Phrase(
            "The server closed the connection with {code}, where 421 is required{silence}.",
            code=Code(code),
            silence=silence,
        )
        yield Evidence(phrase, reply=True, severity="warning", reference="RFC 5321 §3.8, §4.2.2")
    else:
        phrase = Phrase(
            "The server sent {code} although it had already answered everything from the client.", code=Code(code)
        )
        yield Evidence(phrase, reply=True)


@rule(
    "RPL412",
    "command-not-answered",
    "error",
    "server",
    "RFC 821 §4.2; RFC 5321 §4.2",
    on=OnExchange(marks=Mark.UNANSWERED, unless=Mark.SKIPPED | Mark.FOREIGN),
)
def command_not_answered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server closed in an orderly way and left a command unanswered.

    Every command gets exactly one reply. The server acknowledged the command and closed the connection with FIN without
    a reply, so the client cannot know the result. Fix the server: answer each command, with 421 if it must close. Fix
    the client: treat the command as unanswered, and try again later.
    """
    closing = talk.course.closing
    if closing is None or not x.sure or talk.course.close_notice is not None or any(talk.course.lost.values()):
        return
    if not talk.certain or (talk.last is not None and talk.last.act is Act.STARTTLS and talk.last.accepted):
        return  # a server that waits for TLS answers nothing else
    count = len(closing.waiting)
    what = Term("A line of the AUTH exchange") if x.command is None else named(x)
    if x.act is Act.END:
        what = Term("The end of mail data")
    more = Phrase(", nor {others} more after it", others=Count(count - 1)) if count > 1 else Phrase("")
    phrase = Phrase("{what} was never answered{more}: the server closed the connection.", what=what, more=more)
    yield Evidence(phrase, count=count)

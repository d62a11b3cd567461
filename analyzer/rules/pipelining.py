"""EXT 504 and 505: commands sent before the reply to an earlier one (RFC 2920)."""

# All that a client sends too early, until it is in step again, is one finding (`exchanges/early_talk.py`). Its first
# command decides whether PIPELINING was missing (EXT504) or the group was in the wrong order (EXT505).

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.early_talk import hello_awaited, permits_early_talk
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .extensions import EXTENDED, known_offer
from .phrases import Frame, Milliseconds, Phrase, Term, Verb
from .registry import Evidence, OnExchange, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_TOO_EARLY = OnExchange(marks=Mark.HASTY | Mark.HASTY_TEXT, unless=Mark.SKIPPED)


@rule(
    "EXT504",
    "pipelining-not-offered",
    "error",
    "client",
    "RFC 5321 §4.3.1; RFC 2920 §3",
    on=_TOO_EARLY,
    explains=True,
)
def pipelining_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Next command sent before the reply, without PIPELINING.

    If the server does not list PIPELINING, the client must wait for each reply before it sends the next command. It
    cannot know what the server lists before the reply to its EHLO is complete. All that it sends too early, until it
    waits again, is one finding. Clients that do not wait are often spam bots or scripts. The acknowledgement numbers of
    the client show whether it had received the reply. Fix the client: wait for each reply. Fix the server: list
    PIPELINING, if it reads several commands at once.
    """
    first = _begun_by(x, talk)
    if first is not None and not _offered(first):
        yield _evidence(x, first, _not_offered(first), talk)


@rule(
    "EXT505",
    "pipelining-order",
    "error",
    "client",
    "RFC 2920 §3.1; RFC 4954 §4",
    on=_TOO_EARLY,
    severities=EXTENDED,
    explains=True,
)
def pipelining_order(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Command that must end a pipelined group is followed by more.

    The reply to some commands decides what the client may send next, so such a command must be the last one in a
    pipelined group: DATA, VRFY, EXPN, TURN, NOOP, ETRN, a last BURL, and AUTH (unless its only message was the initial
    response). What follows EHLO without a wait is EXT504. All that the client sends too early, until it waits again, is
    one finding. Fix the client: wait for the reply to such a command.
    """
    first = _begun_by(x, talk)
    if first is not None and _offered(first):
        why = Phrase("which must be the last in a pipelined group")
        if first.marks & Mark.HASTY and first.ahead is not None:
            why = Phrase("{earlier} must be the last in a pipelined group", earlier=_waited_for(first.ahead))
        yield _evidence(x, first, why, talk)


def _begun_by(x: Exchange, talk: Conversation) -> Exchange | None:
    """The command with which the client got out of step; None if another rule reports that, or it was permitted."""
    first = talk.session.causes.early
    if first is None or known_offer(first, talk) is None or first.marks & (Mark.EARLY | Mark.SKIPPED):
        return None
    return None if permits_early_talk(talk.session.state.hello) else first


def _offered(first: Exchange) -> bool:
    """Whether the client knew an offer of PIPELINING."""
    return first.state is not None and first.state.hello.pipelining and hello_awaited(first) is None


def _not_offered(first: Exchange) -> Phrase:
    """Why the client could not know of PIPELINING."""
    awaited = hello_awaited(first)
    if awaited is not None and awaited.line.command is not None and awaited.line.command.verb != b"HELO":
        return Phrase("PIPELINING had not been offered yet")
    verb = None if first.state is None else first.state.hello.verb
    if verb is None and awaited is None:
        return Phrase("no EHLO had been sent")
    if verb == b"HELO" or awaited is not None:
        return Phrase("the last hello was HELO, which offers no extension")
    return Phrase("the server does not offer PIPELINING")


def _evidence(x: Exchange, first: Exchange, why: Phrase, talk: Conversation) -> Evidence:
    """What to report for ``x``: it is the first command of the run, or counted in its finding."""
    if first.marks & Mark.HASTY and first.ahead is not None:
        phrase = Phrase(
            "{sent} before the reply to {earlier} was complete{delay}; {why}.",
            sent=_sent(first),
            earlier=_waited_for(first.ahead),
            delay=_delay(first),
            why=why,
        )
        return Evidence(phrase, series=first.offset, unit="commands", caused_by=(_reply_inside(first.ahead, talk),))
    phrase = Phrase("Message text was sent before the reply to DATA, {why}.", why=why)
    offset, length = (x.offset + x.length, 0) if x is first else (None, None)
    return Evidence(phrase, offset=offset, length=length, evidence="" if x is first else None, series=first.offset)


def _reply_inside(message: Exchange, talk: Conversation) -> Exchange | None:
    """The reply that came inside the mail data of ``message``: the client may take it for the one to the message."""
    reply = talk.course.unasked
    return reply if reply is not None and reply.content is not None and reply.content is message.content else None


def _sent(x: Exchange) -> Phrase:
    """The beginning of a message about ``x``."""
    command = x.line.command
    known = command is None or command.spec is not None or command.verb.startswith(b"X")
    return Phrase("{verb} was sent", verb=named(x)) if known else Phrase("A line that is not a command was sent")


def _delay(x: Exchange) -> Phrase:
    """How much later the reply arrived that the client did not wait for."""
    answer = None if x.ahead is None else x.ahead.answer
    if answer is None or answer.time_ns < x.time_ns or not x.time_ns:
        return Phrase("")  # the times are not known if they are 0
    return Phrase(
        " (it came {delay_ms} ms later, in frame {reply_frame})",
        delay_ms=Milliseconds(round((answer.time_ns - x.time_ns) / 1e6, 1)),
        reply_frame=Frame(answer.frame),
    )


def _waited_for(earlier: Exchange) -> Verb | Term:
    """The name of what the client should have waited for a reply to."""
    if earlier.line.command is not None:
        return named(earlier, "the line before it")
    return Term("the message" if earlier.act is Act.END else "the AUTH line before it")

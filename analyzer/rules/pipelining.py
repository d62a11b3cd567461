"""EXT 504 and 505: commands sent before the reply to an earlier one (RFC 2920)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

_ENDS_GROUP = frozenset({b"EHLO", b"LHLO", b"HELO", b"DATA", b"VRFY", b"EXPN", b"TURN", b"NOOP", b"ETRN", b"ATRN"})
_ONE_ROUND = frozenset({"PLAIN", "EXTERNAL", "XOAUTH2", "OAUTHBEARER"})


@rule(
    "EXT504",
    "pipelining-not-offered",
    "error",
    "client",
    "RFC 5321 §4.3.1; RFC 2920 §3",
    on=OnExchange(marks=Mark.HASTY | Mark.HASTY_TEXT, unless=Mark.SKIPPED),
)
def pipelining_not_offered(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Next command sent before the reply, without PIPELINING.

    If the server does not list PIPELINING, the client must wait for each reply before it sends the next command.
    Clients that do not wait are often spam bots or scripts. The acknowledgement numbers of the client show whether it
    had received the reply. Fix the client: wait for each reply.
    """
    hello = known_offer(x, talk)
    if hello is None or hello.lists("PIPELINING"):
        return
    if x.marks & Mark.HASTY and x.ahead is not None:
        yield Evidence(
            Phrase(
                "{sent} before the reply to {earlier} arrived{delay}, but the server does not offer PIPELINING.",
                sent=_sent(x),
                earlier=_waited_for(x.ahead),
                delay=_delay(x),
            )
        )
    if x.marks & Mark.HASTY_TEXT:
        yield _early_text(x, Phrase("but the server does not offer PIPELINING"))


@rule(
    "EXT505",
    "pipelining-order",
    "error",
    "client",
    "RFC 2920 §3.1; RFC 4954 §4",
    on=OnExchange(marks=Mark.HASTY | Mark.HASTY_TEXT, unless=Mark.SKIPPED),
    severities=EXTENDED,
)
def pipelining_order(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Command that must end a pipelined group is followed by more.

    The reply to some commands decides what the client may send next, so such a command must be the last one in a
    pipelined group: EHLO, HELO, DATA, VRFY, EXPN, TURN, NOOP, ETRN, a last BURL, and AUTH (unless its only
    message was the initial response). This client sent more without waiting for that reply. Fix the
    client: wait for the reply to such a command.
    """
    hello = known_offer(x, talk)
    if hello is None or not hello.lists("PIPELINING"):
        return
    if x.marks & Mark.HASTY and x.ahead is not None and _ends_group(x.ahead):
        yield Evidence(
            Phrase(
                "{sent} before the reply to {earlier} arrived{delay}; {earlier} must be the last in a pipelined group.",
                sent=_sent(x),
                earlier=_waited_for(x.ahead),
                delay=_delay(x),
            )
        )
    if x.marks & Mark.HASTY_TEXT:
        yield _early_text(x, Phrase("which must be the last in a pipelined group"))


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
        " ({delay_ms} ms later, in frame {reply_frame})",
        delay_ms=Milliseconds(round((answer.time_ns - x.time_ns) / 1e6, 1)),
        reply_frame=Frame(answer.frame),
    )


def _ends_group(earlier: Exchange) -> bool:
    """Whether ``earlier`` must be the last command of a pipelined group."""
    if earlier.act is Act.ANSWER:
        return True
    command = earlier.line.command
    if command is None:
        return False
    if earlier.act is Act.AUTH:
        return command.mechanism not in _ONE_ROUND or command.initial is None
    return command.verb in _ENDS_GROUP or (earlier.act is Act.LAST and command.verb == b"BURL")


def _waited_for(earlier: Exchange) -> Verb | Term:
    """The name of what the client should have waited for a reply to."""
    if earlier.line.command is not None:
        return named(earlier, "the line before it")
    return Term("the message" if earlier.act is Act.END else "the AUTH line before it")


def _early_text(x: Exchange, why: Phrase) -> Evidence:
    phrase = Phrase("Message text was sent before the reply to DATA, {why}.", why=why)
    return Evidence(phrase, offset=x.offset + x.length, length=0, evidence="")

"""Pair each reply with what it answers, and update the state of the session."""

# `reply_pairing` decides what a reply answers if that is not plain, and `session` what the state is afterwards. This
# module does for each reply what has to be done, in its order.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.acts import ENDS_MESSAGE, Act
from ..lines.client_reader import Mode
from ..lines.marks import Mark
from .attack_marks import is_masked_text
from .exchange import MAX_REPLY_LINE, Exchange, ReplySeen, WaitingReply
from .judging import settle
from .loss_recovery import LossEvent
from .prediction import LAST_OPEN, predict
from .proxy_header import counts_replies
from .proxy_header_tracking import Verdict
from .reply_effects import EFFECT_FROM, go_on
from .reply_pairing import NAMED, exchange_for, is_surplus, repeats_for_recipients, unasked, waits
from .session import mark_reply
from .tls_upgrade import unwanted_tls

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["end_waiting", "take_named", "take_reply"]

_CLOSE_NOTICES = frozenset({221, 421, 521})  # RFC 7504 §3: after 521 the server may close too
MAX_REPLIES_INSIDE = 1000  # replies inside mail data that wait for its end; further ones are judged at once
_GREETING, _NOTHING = Act.GREETING, Act.NOTHING


def take_named(talk: Conversation, answer: ReplySeen, end: int) -> None:
    """Handle a reply to a command that has a code of its own, or one that comes while replies wait: it may have to wait
    too, or show what the others answer."""
    waiting = talk.waiting_replies
    if talk.proxy is not None and counts_replies(talk, answer, end):
        if talk.proxy.verdict is Verdict.HEADER:
            end_waiting(talk)
        return
    if waiting is not None and is_surplus(talk, answer.reply):
        talk.waiting_replies = None
        for one in waiting:
            _take_unasked(talk, *one, surplus=True)
        take_reply(talk, answer, end)
        return
    if waits(talk, answer.reply):
        if waiting is None:
            waiting = talk.waiting_replies = []
        waiting.append(WaitingReply(answer, end))
        answer.turn = talk.add_turn(answer)
        if len(waiting) > talk.limits.outstanding > 0:
            end_waiting(talk)
    else:
        end_waiting(talk)
        take_reply(talk, answer, end)


def end_waiting(talk: Conversation) -> None:
    """Pair the replies that wait in their order: the client goes on, or nothing more comes."""
    waiting, talk.waiting_replies = talk.waiting_replies, None
    for one in waiting or ():
        take_reply(talk, *one)


def take_reply(  # noqa: C901, PLR0912 - one test for each case that is rare
    talk: Conversation, answer: ReplySeen, end: int
) -> None:
    """Pair a reply, and update the state."""
    reply = answer.reply
    session, loss = talk.session, talk.loss
    due = session.due
    if (
        due
        and loss is None
        and talk.mail_tracking is None
        and talk.proxy is None
        and talk.greeted
        and talk.profile != "lmtp"
        and (reply.code not in NAMED if len(due) > 1 else not talk.reader.held_size)
    ):
        x: Exchange | None = due.pop(0)  # the usual case of `exchange_for`
    elif talk.proxy is not None and counts_replies(talk, answer, end):
        return
    else:
        x = exchange_for(talk, reply)  # this may add turns: what the server took for a command or a message
    if answer.turn < 0:
        dialogue = talk.record.dialogue
        answer.turn = len(dialogue)
        if answer.turn < talk.run.most_turns:
            dialogue.append(answer)
        else:
            answer.turn = talk.next_turn()
    if x is None:
        _take_unasked(talk, answer, end)
    elif x.act is _GREETING:
        _take_greeting(talk, x, answer, end)
    else:
        answer.answers = x.turn
        act, code, line, state = x.act, reply.code, x.line, session.state
        if not (state.sure and talk.client_seen):
            x.sure = False
        if x.replies_due == 1 and x.answer is None and not reply.deviations and len(reply.raw) <= MAX_REPLY_LINE:
            x.answer, x.replies_due, x.reply_end = answer, 0, end  # nothing to mark: the usual case of `take_reply`
        else:
            x.take_reply(answer, end)
        session.answered(x, reply)
        if line.command is not None:
            disputed = session.causes.disputed
            regular = line.plain and state.sure and x.server_breaks is None and x.before is state
            if (
                regular
                and state.phase <= LAST_OPEN
                and not (state.data_refused or disputed)
                and talk.profile == "rfc5321"
            ):
                x.predicted = "accept"  # as `predict` would find
            else:
                x.predicted = predict(x, talk.profile, disputed)
            if code == 503:
                session.dispute(x)
        talk.last = x
        if x.replies_due > 0:
            return
        if loss is not None and not due:
            loss.note(LossEvent.ALL_ANSWERED)
        if code >= EFFECT_FROM[act] or talk.mail_tracking is not None:
            go_on(talk, x, code)
        if code in _CLOSE_NOTICES:
            talk.course.server_closes(x, code, -1)
        if act in ENDS_MESSAGE or talk.mail_tracking is not None:  # otherwise `settle` has nothing else to do
            settle(talk, x)
        else:
            talk.run.judge.exchange(x, talk)


def _take_greeting(talk: Conversation, x: Exchange, answer: ReplySeen, end: int) -> None:
    """Handle the server's first reply, which answers nothing."""
    code = answer.reply.code
    x.sure = talk.client_seen
    x.take_reply(answer, end)
    talk.greeting = answer
    if talk.record.on_tls_port and not talk.session.state.hello.secure:
        x.marks |= Mark.CLEAR_GREETING
    talk.session.greeted(x, code)
    if code in _CLOSE_NOTICES:
        talk.course.server_closes(x, code, -1)
    if b"********" in answer.reply.raw and is_masked_text(answer.reply.texts[0]):
        talk.watch.veil = talk.watch.masked_greeting = x
    else:
        settle(talk, x)
    if talk.client_tls is not None and talk.inside_from < 0:
        unwanted_tls(talk)


def _take_unasked(talk: Conversation, answer: ReplySeen, end: int, *, surplus: bool = False) -> None:
    """Handle a reply that answers no command. ``surplus``: see ``reply_pairing.unasked``."""
    state, reply = talk.session.state, answer.reply
    x = Exchange(_NOTHING, answer.offset, answer.frame, answer.time_ns, before=state)
    mark_reply(x, state, reply)
    unasked(talk, x, answer, surplus=surplus)
    x.sure = talk.certain and talk.session.state.sure
    x.take_reply(answer, end)
    if repeats_for_recipients(talk):
        x.marks |= Mark.RECIPIENT_REPLIES
    if reply.code in _CLOSE_NOTICES:
        idle = answer.time_ns - talk.client_ns if talk.client_ns else -1
        talk.course.server_closes(x, reply.code, idle)
    inside = talk.reader.content if talk.reader.mode is Mode.CONTENT else None
    talk.course.unasked = x if inside is not None or 400 <= reply.code < 500 else None
    if inside is not None and len(talk.mail.replies_inside) < MAX_REPLIES_INSIDE:
        x.content = inside
        talk.mail.replies_inside.append(x)
    else:
        settle(talk, x)

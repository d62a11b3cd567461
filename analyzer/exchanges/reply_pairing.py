"""Which command each reply answers."""

# Replies pair with the unanswered commands in order (RFC 2920 §3.1). An unexpected reply has a reason: the client may
# have ended a line with a bare LF and the server accepted it, or the server took a look-alike for the end of mail data.
# Then the server is followed, because only so can the next bytes be understood; the rules decide whose fault it was.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.acts import Act
from ..lines.client_reader import Mode
from ..lines.marks import Mark
from .exchange import Exchange, Transaction
from .judging import give_up, settle
from .loss_recovery import LossEvent
from .mail_data import begin_content, end_content
from .proxy_header import answers_header
from .reply_effects import go_on
from .state_table import Phase, advance, unsure
from .turns import is_servers

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .conversation import Conversation
    from .turns import ReplySeen

__all__ = ["exchange_for", "left_unanswered", "repeats_for_recipients", "unasked"]

_ONLY_ANSWERS = {
    354: frozenset({Act.DATA}),
    334: frozenset({Act.AUTH, Act.ANSWER}),
    235: frozenset({Act.AUTH, Act.ANSWER}),
}
_QUITS = frozenset({Act.QUIT})
_ODD_END = Mark.HONOURED | Mark.BARE_LF | Mark.BARE_CR
_GREETINGS = frozenset({220, 421, 521, 554})
_ENDS_MESSAGE = frozenset({Act.END, Act.LAST})


def exchange_for(talk: Conversation, reply: Reply) -> Exchange | None:
    """Return the exchange that ``reply`` answers; None: nothing."""
    session, loss = talk.session, talk.loss
    if not talk.greeted:
        talk.greeted = True
        if not talk.server_syn_missing or reply.code in _GREETINGS:
            return Exchange(Act.GREETING, 0, 0, 0)
        session.restart(unsure(session.state))
    if talk.proxy is not None and answers_header(talk, reply):
        return talk.proxy.answers[-1]
    due = session.due
    if reply.code == 354 and due and due[0].doubted and all(x.act is not Act.DATA for x in due):
        give_up(talk, len(due))  # their replies were lost, and so was the DATA that this reply answers
    elif len(due) > 1 and reply.code in _ONLY_ANSWERS:
        _skip_to(talk, _ONLY_ANSWERS[reply.code])
    elif due and talk.mail_tracking is not None and talk.mail_tracking.ended_early:
        talk.mail_tracking.ended_early = False
        if reply.code == 221 and due[0].act is Act.END:
            _skip_to(talk, _QUITS)  # it had answered the message already
    if due and talk.profile == "lmtp":
        _count_replies(talk, reply)
    if due:
        if loss is not None and loss.replies_lost:
            if len(due) > 1:
                return None  # some of these were answered in the gap, but it is unknown which
            loss.note(LossEvent.PAIRED)
        return due[0] if due[0].due > 1 else due.pop(0)
    if talk.reader.mode is Mode.CONTENT:
        return _answer_to_content(talk, reply)
    if talk.reader.mode <= Mode.ANSWER and reply.code != 421 and talk.reader.cut_bare() and due:
        first = due.pop(0)
        first.marks |= Mark.HONOURED
        # The bytes of the client that were not captured may be the LF.
        first.sure = first.sure and talk.server_acked <= talk.reader.position
        return first
    return None


def _skip_to(talk: Conversation, acts: frozenset[Act]) -> None:
    """Skip to the first command of ``acts``, the only kind that the code can answer. The server never answered the
    commands before it, or with invalid replies, so the pairing starts again there."""
    place = next((n for n, x in enumerate(talk.session.due) if x.act in acts), 0)
    if place:
        give_up(talk, place)
        talk.session.doubt()


def _count_replies(talk: Conversation, reply: Reply) -> None:
    """Set the number of replies that an LMTP server must give for the first message (RFC 2033 §4.2, §4.3)."""
    due, state = talk.session.due, talk.session.state
    first = due[0]
    if first.act is Act.LAST and first.answer is None and state.phase in {Phase.RCPT, Phase.CHUNKS}:
        transaction = state.transaction
        first.due = max(1, transaction.accepted) if isinstance(transaction, Transaction) else 1
    if reply.code == 421:
        first.due = 1  # it ends the series
    elif reply.code == 221 and first.answer is not None and any(x.act is Act.QUIT for x in due):
        _cut_series(talk, due.pop(0))


def _cut_series(talk: Conversation, x: Exchange) -> None:
    """End the series of replies for ``x``: the server went on without one reply for each recipient."""
    assert x.reply is not None
    x.missing_replies, x.due = x.due, 0
    x.reply_end = x.reply_offset + len(x.reply.raw)
    x.marks |= Mark.RECIPIENT_REPLIES
    talk.session.answered(x, x.reply)
    go_on(talk, x, x.code)
    settle(talk, x)


def _answer_to_content(talk: Conversation, reply: Reply) -> Exchange | None:
    """Handle a reply during mail data: did the server see an end that is not one here?"""
    content = talk.reader.content
    assert content is not None
    content.settle()
    lookalike = content.ends_like() or (content.lookalike is not None and 200 <= reply.code < 300)
    if reply.code == 421 or not (lookalike or content.missing):
        return None
    talk.reader.end_content_early()
    if lookalike:
        spot = content.lookalike
        frame, time_ns = (content.frame, content.time_ns) if spot is None else (spot.frame, spot.time_ns)
        rest = content.end_early()
        if rest:
            talk.mail.rest = (rest, content.end_offset - len(rest), frame, time_ns)
    else:  # the end mark was among the missing bytes
        content.flush()
        talk.own_loss().note(LossEvent.END_LOST)
        talk.session.doubt()  # commands may have followed the end mark there
    end_content(talk, content, -1)
    x = talk.session.due.pop(0)
    if lookalike:
        x.marks |= Mark.HONOURED
    return x


def unasked(talk: Conversation, x: Exchange, answer: ReplySeen) -> None:
    """Handle a reply that answers nothing, and mark it if there is a reason for it."""
    session, code = talk.session, answer.reply.code
    if talk.watching is not None and talk.watching.upgrading:
        x.marks |= Mark.AFTER_220
    elif code != 421:
        _mark_reason(talk, x, code)
    if _has_reason(talk):
        x.marks |= Mark.EXPLAINED
    if code == 421:
        session.restart(advance(session.state, Act.OTHER, 421))
    elif code == 354 and not session.state.sure and talk.reader.mode is Mode.COMMAND:
        begin_content(talk, talk.reader.position, answer.frame, answer.time_ns)  # its DATA was lost


def _mark_reason(talk: Conversation, x: Exchange, code: int) -> None:
    mail = talk.mail_tracking
    if talk.reader.mode is Mode.CONTENT:
        talk.mail.ended_early = code >= 400
    elif mail is not None and mail.unjudged is not None:
        talk.watch.answered_beyond(x)
    elif talk.injected is not None and talk.inside_from >= 0:
        turns = talk.record.dialogue[talk.inside_from :]
        if all(map(is_servers, turns)):
            x.marks |= Mark.INSIDE_FIRST


def _has_reason(talk: Conversation) -> bool:
    """Whether an unexpected reply may answer something that is not seen as a command here."""
    reader, last = talk.reader, talk.last
    if talk.replies_unreliable or talk.session.due or reader.partial or reader.mode > Mode.CONTENT:
        return True
    if last is None or reader.mode is Mode.CONTENT:
        return False
    upgraded = last.act is Act.STARTTLS and last.accepted and talk.inside_from < 0
    return upgraded or bool(last.marks & _ODD_END)


def repeats_for_recipients(talk: Conversation) -> bool:
    """Whether a reply that answers nothing is one too many for the recipients of the last message (LMTP)."""
    return talk.profile == "lmtp" and talk.last is not None and talk.last.act in _ENDS_MESSAGE


def left_unanswered(talk: Conversation, x: Exchange) -> None:
    """Mark ``x``: the server received it, but closed with FIN without an answer."""
    chunk = None if talk.mail_tracking is None else talk.mail_tracking.chunk
    lost = talk.loss is not None and talk.loss.replies_lost
    if x.answer is not None:
        x.missing_replies = x.due
        x.marks |= Mark.RECIPIENT_REPLIES
    elif talk.server_reader.incomplete_reply is None and not lost and x is not chunk:
        x.marks |= Mark.UNANSWERED

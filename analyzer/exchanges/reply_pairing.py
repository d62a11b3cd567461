"""Which command each reply answers."""

# Theory
# ------
# Replies pair with the unanswered commands in order (RFC 2920 §3.1), with these exceptions:
#
# 1. The greeting answers nothing. Commands sent before its last line are answered after it.
# 2. Some codes name their command (`NAMED`): 221 answers QUIT only, 354 DATA only, 334 and 235 AUTH only, 220 STARTTLS
#    and XCLIENT only. If the next unanswered command cannot have such a code, but a later one can, then it answers that
#    one, and the commands before it stay unanswered.
# 3. The other way round: an ordinary reply to one of these commands is surplus if the reply that names the command
#    comes after it, before the client sends anything. So an ordinary reply waits (`talk.waiting_replies`) until the
#    client goes on or the connection ends.
# 4. LMTP has one reply for each accepted recipient after the message (RFC 2033 §4.2, §4.3), and none after a BDAT LAST
#    without a recipient.
#
# A reply that nothing explains has a reason: the client may have ended a line with a bare LF and the server accepted
# it, or the server took a look-alike for the end of mail data. Then the server is followed, because only so can the
# next bytes be understood; the rules decide whose fault it was.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.replies import begins_reply, parse_reply
from ..limits import BYTES_AFTER_QUIT, TURNS_INSIDE_FIRST
from ..lines.acts import ENDS_MESSAGE, Act
from ..lines.client_reader import Mode
from ..lines.command_line import says_quit
from ..lines.marks import Mark
from .exchange import Exchange, ReplySeen, Transaction
from .judging import NO_DATA_CODES, give_up, judge_unended, settle, talk_early
from .lifecycle import end_of
from .loss_recovery import LossEvent
from .mail_data import begin_content, end_content
from .proxy_header import answers_header
from .reply_effects import go_on
from .state_table import START, Phase, advance, unsure
from .turns import LineSeen, is_servers
from .usual_replies import OPENING_CODES

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .conversation import Conversation
    from .state_table import State

__all__ = [
    "NAMED",
    "OWN_CODES",
    "exchange_for",
    "is_surplus",
    "left_unanswered",
    "repeats_for_recipients",
    "show_unfinished",
    "unasked",
    "waits",
]

NAMED = {
    221: frozenset({Act.QUIT}),
    354: frozenset({Act.DATA}),
    334: frozenset({Act.AUTH, Act.ANSWER}),
    235: frozenset({Act.AUTH, Act.ANSWER}),
    220: frozenset({Act.STARTTLS, Act.XCLIENT}),
}
"""Codes that answer only certain commands."""

OWN_CODES: tuple[frozenset[int], ...] = tuple(
    frozenset(code for code, acts in NAMED.items() if act in acts) for act in Act
)
"""For each act, the codes that name it; empty for most."""

_ODD_END = Mark.HONOURED | Mark.BARE_LF | Mark.BARE_CR


def exchange_for(talk: Conversation, reply: Reply) -> Exchange | None:
    """Find the exchange that ``reply`` answers, and remove it from those that wait; None: it answers nothing.

    On the way, bytes of the client that waited may be read, commands given up, and turns added.
    """
    session, loss = talk.session, talk.loss
    if _greets(talk, reply):
        return Exchange(Act.GREETING, 0, 0, 0)
    if talk.proxy is not None and answers_header(talk, reply):
        return talk.proxy.answers[-1]
    due = session.due
    if reply.code == 221 and talk.reader.held_size and _quit_is_held(talk):
        talk.reader.release(Mode.COMMAND)  # the server answers the QUIT, so it never answers the command before it
    if reply.code == 354 and due and due[0].doubted and all(x.act is not Act.DATA for x in due):
        give_up(talk, len(due))  # their replies were lost, and so was the DATA that this reply answers
    elif len(due) > 1 and reply.code in NAMED and due[0].answer is None:
        _skip_to(talk, NAMED[reply.code])
    elif due and talk.mail_tracking is not None and talk.mail_tracking.ended_early:
        talk.mail_tracking.ended_early = False
        if reply.code == 221 and due[0].act is Act.END:
            _skip_to(talk, NAMED[221])  # it had answered the message already
    if due and talk.profile == "lmtp":
        _count_replies(talk, reply)
    if due:
        if loss is not None and loss.replies_lost:
            if len(due) > 1:
                return None  # some of these were answered in the gap, but it is unknown which
            loss.note(LossEvent.PAIRED)
        return due[0] if due[0].replies_due > 1 else due.pop(0)
    if talk.reader.mode is Mode.CONTENT:
        return _answer_to_content(talk, reply)
    return _honoured_line(talk, reply) if talk.reader.mode <= Mode.ANSWER and reply.code != 421 else None


def _honoured_line(talk: Conversation, reply: Reply) -> Exchange | None:
    """Return the line without CRLF that ``reply`` answers, because the server took its bare LF or CR for a line end;
    None: there is no such line."""
    due, reader = talk.session.due, talk.reader
    if not reader.cut_bare() or not due:
        return None
    due[0].marks |= Mark.HONOURED
    while reader.mode is Mode.COMMAND and reader.cut_bare(lf_only=True):
        due[-1].marks |= Mark.HONOURED  # what the client had sent after it has the same form
    if len(due) > 1 and reply.code in NAMED:
        _skip_to(talk, NAMED[reply.code])
    first = due.pop(0)
    # The bytes of the client that were not captured may be the LF.
    first.sure = first.sure and talk.server_acked <= reader.position
    return first


def waits(talk: Conversation, reply: Reply) -> bool:
    """Whether the reply has to wait, because it is not certain that it answers the next command: it is an ordinary
    reply to a command that has a code of its own, and the reply with that code may still come. A 4yz reply that answers
    nothing waits too: the server may close after it."""
    due, code = talk.session.due, reply.code
    if not talk.greeted or code == 421:
        return False
    if not due:
        return 400 <= code < 500 and talk.reader.mode is Mode.COMMAND and talk.reader.partial_line is None
    if due[0].answer is not None:
        return False
    if talk.reader.held_size and code >= 400:
        return False  # the client went on without waiting, and its bytes can be read only after this reply
    own = OWN_CODES[due[0].act]
    if not own or code in own:
        return False
    return code not in NAMED or talk.session.next_of(NAMED[code]) < 0


def is_surplus(talk: Conversation, reply: Reply) -> bool:
    """Whether the replies that wait are surplus, because ``reply`` names the command that they seemed to answer."""
    due = talk.session.due
    return bool(due) and reply.code in OWN_CODES[due[0].act]


def _quit_is_held(talk: Conversation) -> bool:
    """Whether the client's bytes that wait for the reply to DATA or AUTH end with QUIT on a line of its own."""
    if talk.session.next_of(NAMED[221]) >= 0:
        return False
    return any(says_quit(line) for line in talk.reader.held_end(BYTES_AFTER_QUIT).split(b"\n"))


def _greets(talk: Conversation, reply: Reply) -> bool:
    """Whether ``reply`` is the greeting: the server's first reply. In a capture that starts in mid-stream, that is only
    a 220 that answers no command; then the whole session is there after all, and nothing before it matters."""
    session = talk.session
    if not talk.greeted:
        talk.greeted = True
        if not talk.server_syn_missing or reply.code in OPENING_CODES:
            return True
        session.restart(unsure(session.state))
    if reply.code != 220 or not talk.midstream or talk.greeting is not None or talk.last is not None:
        return False
    if session.next_of(NAMED[220]) >= 0:
        return False
    if session.due:
        talk_early(talk, session.due[0])
    session.restart(START)
    talk.loss = None
    return True


def _skip_to(talk: Conversation, acts: frozenset[Act]) -> None:
    """Skip to the first command of ``acts``, the only kind that the code can answer. The server never answered the
    commands before it, or with invalid replies, so the pairing starts again there."""
    place = talk.session.next_of(acts)
    if place > 0:
        give_up(talk, place)
        talk.session.doubt()


def _count_replies(talk: Conversation, reply: Reply) -> None:
    """Set the number of replies that an LMTP server must give for the first message (RFC 2033 §4.2, §4.3)."""
    session = talk.session
    due = session.due
    while due[0].act is Act.LAST and due[0].answer is None:
        first, state = due[0], session.state
        accepted = _accepted(state)
        if accepted or not state.sure or reply.code == 503 or len(due) == 1:
            if state.phase in {Phase.RCPT, Phase.CHUNKS}:
                first.replies_due = max(1, accepted)
            elif state.sure and not accepted and state.phase is Phase.MAIL:
                first.marks |= Mark.RECIPIENT_REPLIES  # RFC 2033 §4.3: there should be no reply at all
            break
        due.pop(0)  # RFC 2033 §4.3: no recipient was accepted, so there is no reply, and the transaction is over
        first.reply_end = 0
        first.before, first.after = state, advance(state, Act.LAST, 250)
        session.restart(first.after)
        settle(talk, first)
        if not due:
            return
    first = due[0]
    if reply.code == 421:
        first.replies_due = 1  # it ends the series
    elif first.answer is not None and (
        (reply.code == 221 and any(x.act is Act.QUIT for x in due)) or _went_on(talk, first)
    ):
        _cut_series(talk, due.pop(0))


def _went_on(talk: Conversation, first: Exchange) -> bool:
    """Whether both sides took the last reply to the message ``first`` for the end of its replies: the client sent its
    next command after it, and this reply comes from a server that has that command."""
    due = talk.session.due
    if len(due) < 2 or first.answer is None or due[1].time_ns <= first.answer.time_ns:
        return False
    return talk.server_acked < 0 or end_of(due[1]) <= talk.server_acked


def _accepted(state: State) -> int:
    """Return the number of recipients that the open transaction has."""
    return state.transaction.accepted if isinstance(state.transaction, Transaction) else 0


def _cut_series(talk: Conversation, x: Exchange) -> None:
    """End the series of replies for ``x``: the server went on without one reply for each recipient."""
    assert x.reply is not None
    x.missing_replies, x.replies_due = x.replies_due, 0
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
    ended = 200 <= reply.code < 300 or reply.code in NO_DATA_CODES
    lookalike = content.ends_like() or (content.lookalike is not None and ended)
    if reply.code == 421 or not (lookalike or content.missing):
        judge_unended(talk, content)
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


def unasked(talk: Conversation, x: Exchange, answer: ReplySeen, *, surplus: bool = False) -> None:
    """Handle a reply that answers nothing, and mark it if there is a reason for it. ``surplus``: the next reply answers
    the command that it seemed to answer."""
    session, code = talk.session, answer.reply.code
    if talk.watching is not None and talk.watching.upgrading:
        x.marks |= Mark.AFTER_220
    elif code != 421:
        _mark_reason(talk, x, code)
    if talk.replies_unreliable if surplus else _has_reason(talk):
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
        turns = talk.record.dialogue[talk.inside_from : talk.inside_from + TURNS_INSIDE_FIRST + 1]
        if len(turns) <= TURNS_INSIDE_FIRST and all(map(is_servers, turns)):
            x.marks |= Mark.INSIDE_FIRST


def _has_reason(talk: Conversation) -> bool:
    """Whether an unexpected reply may answer something that is not seen as a command here."""
    reader, last = talk.reader, talk.last
    if talk.replies_unreliable or talk.session.due or reader.partial_line is not None or reader.mode > Mode.CONTENT:
        return True
    if last is None or reader.mode is Mode.CONTENT:
        return False
    upgraded = last.act is Act.STARTTLS and last.accepted and talk.inside_from < 0
    return upgraded or bool(last.marks & _ODD_END)


def repeats_for_recipients(talk: Conversation) -> bool:
    """Whether a reply that answers nothing is one too many for the recipients of the last message (LMTP)."""
    return talk.profile == "lmtp" and talk.last is not None and talk.last.act in ENDS_MESSAGE


def show_unfinished(talk: Conversation) -> None:
    """Add a reply or a line of the server whose end never came to the dialogue. It answers nothing for the rules."""
    server, due = talk.server_reader, talk.session.due
    one = server.unfinished
    if one is None or server.opaque or one.raw == b"\r":
        return  # a lone CR is the rest of the line end LF CR
    if begins_reply(one.raw):
        reply = parse_reply(one.raw)
        own = NAMED.get(reply.code)
        fits = [x.turn for x in due if own is None or x.act in own] or [x.turn for x in due]
        answers = fits[0] if fits and talk.greeted else -1  # the greeting answers nothing
        answer = ReplySeen(reply, one.offset, one.frame, one.time_ns, answers=answers, complete=False)
        answer.turn = talk.add_turn(answer)
    else:
        talk.add_turn(LineSeen(*one))


def left_unanswered(talk: Conversation, x: Exchange) -> None:
    """Mark ``x``: the server received it, but closed with FIN without an answer."""
    if talk.profile == "lmtp" and x.act is Act.LAST and not _accepted(talk.session.state):
        return  # RFC 2033 §4.3: it gets no reply
    chunk = None if talk.mail_tracking is None else talk.mail_tracking.chunk
    lost = talk.loss is not None and talk.loss.replies_lost
    if x.answer is not None:
        x.missing_replies = x.replies_due
        x.marks |= Mark.RECIPIENT_REPLIES
    elif talk.server_reader.incomplete_reply is None and not lost and x is not chunk and not x.garbled:
        x.marks |= Mark.UNANSWERED

"""When an exchange, a message or an event goes to the rules."""

# An exchange is judged when it has its reply, or when it is certain that none will come. A message with a look-alike of
# its end waits for one more exchange, which shows what the server made of it.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.message_end import ends_in_cr
from ..content.message_flaws import unended_flaws
from ..content.octet_checks import Flaw
from ..lines.acts import Act
from ..lines.command_line import command_of
from ..lines.marks import Mark
from .command_marks import check_declared
from .connection_report import render_message
from .exchange import Exchange

if TYPE_CHECKING:
    from ..content.message import Content
    from .attack_marks import AttackMarks
    from .conversation import Conversation
    from .mail_data_tracking import MailDataTracking

__all__ = [
    "NO_DATA_CODES",
    "content_over",
    "give_up",
    "judge_event",
    "judge_late",
    "judge_masked_greeting",
    "judge_replies_inside",
    "judge_unended",
    "note_lookalike",
    "send",
    "settle",
    "talk_early",
]

NO_DATA_CODES = frozenset({500, 501, 502, 503})  # to commands only: RFC 5321 §4.3.2 does not list them for mail data
_FLOOD = Mark.FLOOD.value
_END, _LAST = Act.END, Act.LAST


def send(talk: Conversation, x: Exchange, seen: int) -> None:
    """Record ``x``, which expects a reply. ``seen``: see ``Session.sent``."""
    session, mail, loss = talk.session, talk.mail_tracking, talk.loss
    if mail is not None and (mail.unjudged is not None or mail.ends_in_cr is not None):
        judge_late(talk, mail)
    if session.due and session.due[0].garbled and not session.state.hello.pipelining:
        give_up(talk, 1)  # the client took the line without a code for its reply
        session.doubt()
    session.sent(x, seen)
    if loss is not None and loss.replies_may_be_old:
        x.doubted, x.sure = True, False
    waiting = len(session.due)
    if waiting > 1:
        limits = talk.run.limits
        if waiting > limits.unanswered_commands > 0:
            x.marks |= _FLOOD
        if waiting > limits.outstanding > 0:
            talk.note(f"more than {limits.outstanding} commands waited for replies: the oldest are not paired")
            give_up(talk, max(1, limits.outstanding // 10))  # many at once: the rest is in doubt afterwards
            session.doubt()
    unended = talk.server_reader.partial_line
    if unended is not None and not unended.resumed and seen >= 0:
        unended.resumed = unended.size  # its end may be missing


def settle(talk: Conversation, x: Exchange) -> None:
    """Judge ``x``: it has its reply, or will never get one."""
    mail = talk.mail_tracking
    if mail is not None and mail.text is not None and x in mail.text.lines:
        return  # judged when it is known what it is
    if not talk.server_seen:
        x.without_order()
    talk.run.judge.exchange(x, talk)
    if x.act is _END or (x.act is _LAST and (mail is None or x is not mail.chunk)):
        content_over(talk, x)


def give_up(talk: Conversation, count: int) -> None:
    """Stop waiting for the replies to the oldest ``count`` commands: they are not in the capture."""
    for x in talk.session.give_up(count):
        x.sure = False
        settle(talk, x)


def judge_replies_inside(talk: Conversation) -> None:
    """Judge the replies that came inside mail data: the mail data is judged."""
    replies, talk.mail.replies_inside = talk.mail.replies_inside, []
    for x in replies:
        talk.judge.exchange(x, talk)


def talk_early(talk: Conversation, x: Exchange) -> None:
    """Record that the client sent ``x`` before the greeting was complete."""
    x.marks |= Mark.EARLY
    talk.session.note_abuse(x)
    talk.session.begin_run(x)


def judge_event(
    talk: Conversation,
    mark: int,
    turn: int,
    offset: int,
    frame: int,
    time_ns: int,
    line: bytes = b"",
    breaks: str | None = None,
) -> Exchange:
    """Pass an event that is neither command nor reply to the rules, and return it."""
    x = Exchange(Act.EVENT, offset, frame, time_ns, command_of(line, Act.EVENT), turn, int(mark))
    x.breaks = breaks
    x.before = x.state = talk.session.state
    x.sure = x.before.sure
    talk.judge.exchange(x, talk)
    return x


def judge_masked_greeting(talk: Conversation, watch: AttackMarks) -> None:
    """Judge a masked greeting that waited for what shows better that the path changes replies."""
    x, watch.masked_greeting = watch.masked_greeting, None
    if x is not None:
        settle(talk, x)


def content_over(talk: Conversation, x: Exchange) -> None:
    """Record a message that is complete and answered, and pass it to the rules."""
    content = x.content
    if content is None:
        return
    transaction = x.transaction
    if transaction is not None and transaction.referred:
        content.missing += 1  # the octets that BURL refers to
    talk.record.deliver(render_message(x, content, talk.run.detail))
    if content.header_cut:
        talk.course.long_header = True
        talk.note(f"a message header is longer than {talk.limits.header_bytes} bytes: its fields are not known")
    if talk.tap is not None:
        talk.tap.over(content, x)
    talk.replies_unreliable = talk.replies_unreliable or content.lookalike is not None
    if transaction is not None and not transaction.mail.line.plain:
        check_declared(x, transaction, content)
    if content.header_8bit is not None and transaction is not None and transaction.smtputf8:
        x.marks = Mark.CONTENT_UTF8.value | (x.marks & Mark.HONOURED)
        talk.judge.exchange(x, talk)
    if content.lookalike is not None:
        note_lookalike(talk, x, content)
    if content.chunked and ends_in_cr(content) and not talk.presuming:
        talk.mail.ends_in_cr = x
    elif content.lookalike is None or x.marks & Mark.HONOURED or talk.presuming:
        talk.run.judge.content(x, talk)
    else:
        talk.mail.unjudged = x
    if talk.mail_tracking is not None and talk.mail_tracking.unjudged is None:
        judge_replies_inside(talk)


def judge_unended(talk: Conversation, content: Content) -> None:
    """Judge what is certain about mail data whose end has not come: the server answers it already."""
    if unended_flaws(content) & Flaw.LONG_LINE:
        x = Exchange(Act.EVENT, content.offset, content.frame, content.time_ns, content=content)
        talk.judge.content(x, talk)
        content.long_line_judged = True


def note_lookalike(talk: Conversation, x: Exchange, content: Content) -> None:
    """Note that the mail data of ``x`` has a look-alike of its end: a server may defend itself against the client from
    now on. A reply with which no server answers mail data shows that it took the look-alike for the end."""
    if not content.missing:
        talk.session.note_abuse(x)
        if x.code in NO_DATA_CODES:
            x.marks |= Mark.HONOURED


def judge_late(talk: Conversation, mail: MailDataTracking) -> None:
    """Judge a message with a look-alike end: nothing more about the server's reaction will be known. Also one in chunks
    whose last octet is CR: it is known what follows on it."""
    if mail.ends_in_cr is not None:
        talk.judge.content(mail.ends_in_cr, talk)
        mail.ends_in_cr = None
    x, mail.unjudged = mail.unjudged, None
    if x is not None:
        talk.judge.content(x, talk)
        talk.watch.beyond, talk.watch.beyond_count = None, 0
        judge_replies_inside(talk)

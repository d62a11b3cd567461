"""Mail data in a conversation: where it starts and ends, chunks, and mail data that was sent as if it were commands."""

# After DATA the client's bytes are mail data if the reply was 354. What is unusual about mail data (chunks, lines of
# mail data after a refused DATA, an end that only the server saw) is kept in `MailDataTracking`, which exists only from
# then on.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import DeviationKind
from ..content.message import Content
from ..content.message_end import look_for_dot, pause_after
from ..content.message_flaws import unended_flaws
from ..lines.acts import DECIDING, Act
from ..lines.client_reader import Mode
from ..lines.command_line import line_of_auth, read_line
from ..lines.marks import Mark
from ..tls.records import RECORD_TYPES
from .chunk_sizes import WAITED_NS, check_end
from .command_marks import check_chunk, check_message
from .exchange import Exchange, Transaction
from .judging import content_over, judge_event, note_lookalike, send
from .loss_recovery import LossEvent
from .turns import ChunkSeen, MessageSeen

if TYPE_CHECKING:
    from ...dissectors.lines.commands import Command
    from .conversation import Conversation

__all__ = [
    "begin_chunk",
    "begin_content",
    "end_chunk",
    "end_content",
    "end_of_input",
    "release_as_presumed",
]

MAX_CHUNK = (1 << 63) - 1  # a larger BDAT size cannot be right (RFC 3030 §2 has no limit, but computers have)
MAX_ENDLESS = 2047  # bytes of a line without an end that do not count as an attack (RFC 5321 §4.5.3.1.4: 512)


def begin_content(talk: Conversation, offset: int, frame: int, time_ns: int) -> None:
    """Read the client's next bytes as mail data."""
    content = Content(offset, frame, time_ns, chunked=False, header_limit=talk.limits.header_bytes)
    talk.reader.content = content
    if talk.tap is not None:
        content.sink = talk.tap.begin(content, talk.session.state.transaction)
    if talk.loss is not None:
        talk.loss.note(LossEvent.MAIL_DATA)
    talk.reader.release(Mode.CONTENT)


def end_content(talk: Conversation, content: Content, seen: int) -> None:
    """Handle the end of mail data: the end mark was read, or presumed."""
    turn = MessageSeen(content.size, content.lines, content.complete, content.offset, content.frame, content.time_ns)
    place = talk.add_turn(turn)
    x = Exchange(Act.END, content.offset, content.frame, content.time_ns, turn=place, content=content)
    transaction = talk.session.state.transaction
    if isinstance(transaction, Transaction):
        x.transaction = transaction
        transaction.content = content
        if talk.profile == "lmtp":
            x.replies_due = max(1, transaction.accepted)
    send(talk, x, seen)
    check_message(x)


def begin_chunk(talk: Conversation, x: Exchange, command: Command, offset: int, frame: int, time_ns: int) -> None:
    """Start a chunk: its octets follow whatever the reply to BDAT is (RFC 3030 §2). An invalid size starts none."""
    size, reader, mail = command.chunk_size, talk.reader, talk.mail
    bad = any(d.kind is DeviationKind.BAD_BDAT_SYNTAX for d in command.deviations)
    if size is None or bad or size > MAX_CHUNK:
        reader.mode = Mode.HOLD
        if talk.presuming:
            reader.release(Mode.COMMAND)
        return
    assert x.state is not None
    transaction = x.state.transaction
    content = transaction.content if isinstance(transaction, Transaction) else None
    if content is None or content.complete or not content.chunked:
        content = Content(offset, frame, time_ns, chunked=True, header_limit=talk.limits.header_bytes)
        if isinstance(transaction, Transaction):
            transaction.content = content
        if talk.tap is not None:
            content.sink = talk.tap.begin(content, transaction)
    check_chunk(x, size)
    content.move_to(offset)
    x.content = content
    mail.chunk = x
    turn = ChunkSeen(size, content.lines, offset, frame, time_ns)
    mail.chunk_turn = turn if talk.add_turn(turn) >= 0 else None
    reader.content = content
    reader.chunk_left = size
    reader.mode = Mode.CHUNK if size else Mode.COMMAND
    if not size:
        end_chunk(talk)


def end_chunk(talk: Conversation) -> None:
    """Handle the end of a BDAT chunk: its last octet was read."""
    mail = talk.mail
    x, mail.chunk = mail.chunk, None
    if x is None or x.content is None:
        return
    x.content.settle()
    if x.act is Act.LAST:
        x.content.flush()
        x.content.complete = not x.content.missing
    _complete_chunk(mail.chunk_turn, x.content)
    check_end(talk, x)
    if x.act is Act.LAST and x.reply_end >= 0:
        content_over(talk, x)


def _complete_chunk(turn: ChunkSeen | None, content: Content, missing: int = 0) -> None:
    """Complete the turn of a chunk; ``missing`` octets of it never came."""
    if turn is not None:
        turn.complete = not missing
        turn.size -= missing
        turn.lines = content.lines - turn.lines


def release_as_presumed(talk: Conversation) -> None:
    """Read the held bytes as if the likely reply had come."""
    reader = talk.reader
    last = next((x for x in reversed(talk.session.due) if x.act in DECIDING), None)
    if last is None:
        reader.release(Mode.COMMAND)
    elif last.act is Act.DATA:
        begin_content(talk, last.offset + last.length, last.frame, last.time_ns)
    elif last.act is Act.STARTTLS:
        reader.release(Mode.TLS_EXPECTED)
    elif last.act is Act.AUTH and last.command is not None and last.command.initial is not None:
        reader.release(Mode.COMMAND)
    else:
        reader.release(Mode.ANSWER)


def end_of_input(talk: Conversation) -> None:
    """Finish a message or a line that the end of the connection interrupted."""
    reader, content = talk.reader, talk.reader.content
    if content is not None and reader.mode is Mode.CONTENT:
        content.flush()
        _look_for_dot(talk, content)
        place = -1
        if content.size:
            turn = MessageSeen(content.size, content.lines, False, content.offset, content.frame, content.time_ns)
            place = talk.add_turn(turn)
        x = Exchange(Act.EVENT, content.offset, content.frame, content.time_ns, turn=place, content=content)
        if content.lookalike is not None:
            note_lookalike(talk, x, content)
        if unended_flaws(content):
            talk.judge.content(x, talk)
        if talk.tap is not None:
            talk.tap.over(content, x)
    elif content is not None and reader.mode is Mode.CHUNK:
        content.settle()
        _complete_chunk(talk.mail.chunk_turn, content, reader.chunk_left)
    if content is not None and content.chunked and not content.complete and unended_flaws(content):
        x = Exchange(Act.EVENT, content.offset, content.frame, content.time_ns, content=content)
        state = talk.session.state
        x.transaction = state.transaction if isinstance(state.transaction, Transaction) else None
        talk.judge.content(x, talk)
    _end_line(talk)


def _look_for_dot(talk: Conversation, content: Content) -> None:
    """Look for a dot that was meant as the end of mail data: the client waited in vain, or one side closed."""
    look_for_dot(content)
    dot = content.glued_dot
    if dot is None:
        return
    closing = talk.course.closing
    over = closing is not None or talk.course.close_notice is not None
    until_ns = max(talk.client_ns, talk.server_ns, 0 if closing is None else closing.time_ns)
    if not (over and dot.sure) and pause_after(content, dot.offset, until_ns) < WAITED_NS:
        content.glued_dot = None


def _end_line(talk: Conversation) -> None:
    """Finish a line that the end of the connection interrupted."""
    reader, session = talk.reader, talk.session
    length, offset, frame, time_ns = reader.unfinished
    if not length or reader.mode > Mode.ANSWER or (talk.loss is not None and talk.loss.skipping):
        return
    line = reader.partial
    turn = _show_line(talk, line, length, offset, frame, time_ns) if line.strip(b"\r\n") else -1
    marks = Mark.ENDLESS.value if length > MAX_ENDLESS and reader.mode is Mode.COMMAND else 0
    marks |= talk.next_marks & Mark.NO_TLS
    marks |= (Mark.BARE_LF if b"\n" in line else 0) | (Mark.BARE_CR if b"\r" in line[:-1] else 0)
    quitting = session.quitting
    if quitting and line[0] not in RECORD_TYPES:  # TLS may send a closing alert too
        marks |= Mark.CLIENT_ORDER
    if marks:
        breaks = "SEQ114" if quitting else None
        judge_event(talk, marks, turn, offset, frame, time_ns, line[:MAX_ENDLESS], breaks=breaks)


def _show_line(talk: Conversation, raw: bytes, length: int, offset: int, frame: int, time_ns: int) -> int:
    """Add a line whose end never came to the dialogue, and return its place. No rule judges it as a command."""
    line = line_of_auth(raw, b"", length) if talk.reader.mode is Mode.ANSWER else read_line(raw, b"", length)
    x = Exchange(Act.EVENT, offset, frame, time_ns, line)
    x.turn = talk.add_turn(x)
    return x.turn

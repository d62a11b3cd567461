"""Chunks whose BDAT declares another size than the client sends (RFC 3030 §2)."""

# Theory
# ------
# The size is all that separates a chunk from the next command. If it is wrong by a few octets, its surroundings
# show it:
#
#   too small  CR or LF follow directly on the chunk: the rest of its last line. The server reads them as the start of
#              the next command, which is read here as the client meant it.
#   too large  the last octets of the chunk are a command that was sent in a segment of its own; or the client waits
#              for a reply, or closes, although a few octets of the chunk are missing.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ..content.message_end import last_segment
from ..lines.acts import Act
from ..lines.client_reader import Mode
from ..lines.command_line import CommandLine, command_of, read_line
from ..lines.marks import Mark
from .exchange import Exchange, Transaction
from .lifecycle import SECOND
from .mail_data_tracking import MailDataTracking, WrongSize

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["WAITED_NS", "check_end", "check_rest", "check_wait", "take_stray"]

WAITED_NS = 5 * SECOND  # a client that is silent for longer waits for a reply
MAX_STRAY = 4  # octets by which a size is wrong by mistake

_COMMAND = LazyPattern(rb"(QUIT|RSET|NOOP|DATA|(?=MAIL FROM:|RCPT TO:|BDAT [0-9])[A-Z]{4}[^\r\n]*+)\r\n", re.IGNORECASE)


def check_end(talk: Conversation, x: Exchange) -> None:
    """Check the chunk of ``x``, which is complete: is its end a command?"""
    mail, content = talk.mail, x.content
    size = _declared(x)
    mail.chunk_ended, mail.chunk_end = x, x.offset + x.length + size
    if content is None or content.missing or not size or _binary(x):
        return
    start, octets = last_segment(content)
    found = _COMMAND.fullmatch(octets) if start > mail.chunk_end - size else None
    if found is not None:
        verb = found[1][:4].upper().decode("ascii")
        _note(talk, mail, WrongSize(x, size, size - len(octets), mail.chunk_end, verb))


def take_stray(
    talk: Conversation, mail: MailDataTracking, line: CommandLine, offset: int
) -> tuple[CommandLine, int] | None:
    """Check a line that follows directly on a chunk. If it begins with stray octets, return it without them, and its
    offset."""
    x, begin = mail.chunk_ended, mail.chunk_end
    wrong, mail.chunk_end = mail.wrong_size, -1
    if x is None:
        return None
    if wrong is not None and wrong.x is x and wrong.sent < wrong.declared:
        if not wrong.swallowed:
            talk.next_marks |= Mark.AFTER_WRONG_SIZE  # the client went on after all: the chunk took octets of this line
        return None
    rest = line.raw.lstrip(b"\r\n")
    count = len(line.raw) - len(rest) + (0 if rest else len(line.end))
    before = 0 if wrong is None or wrong.x is not x else wrong.sent - wrong.declared
    if not count or before + count > MAX_STRAY:
        if before:
            talk.next_marks |= Mark.AFTER_WRONG_SIZE
        return None
    clean = read_line(rest, line.end, line.length - count) if rest else line
    if rest and (clean.command is None or clean.command.spec is None):
        return None
    _note_stray(talk, mail, x, before + count)
    talk.next_marks |= Mark.AFTER_WRONG_SIZE
    if rest:
        return clean, offset + count
    talk.next_marks |= Mark.SKIPPED  # an empty command for the server
    mail.chunk_end = begin + count
    return None


def check_rest(talk: Conversation, mail: MailDataTracking) -> None:
    """Check what the end of the connection leaves open: stray octets after a chunk, or a chunk that is not complete."""
    reader, x = talk.reader, mail.chunk_ended
    length, offset, _, _ = reader.unfinished
    if x is not None and 0 < length <= MAX_STRAY and offset == mail.chunk_end and not reader.partial.strip(b"\r\n"):
        _note_stray(talk, mail, x, length)
        reader.partial_line = None  # it is known what it is
    closing = talk.course.closing
    if closing is not None and closing.side == "client":
        _note_short(talk, mail)
    else:
        until_ns = talk.server_ns if closing is None else max(talk.server_ns, closing.time_ns)
        check_wait(talk, mail, until_ns)


def check_wait(talk: Conversation, mail: MailDataTracking, until_ns: int) -> None:
    """Check whether the client, silent until now, waits for the reply to a chunk that is not complete."""
    if until_ns - talk.client_ns >= WAITED_NS:
        _note_short(talk, mail)


def _note_short(talk: Conversation, mail: MailDataTracking) -> None:
    x, left = mail.chunk, talk.reader.chunk_left
    if talk.reader.mode is not Mode.CHUNK or x is None or not 0 < left <= MAX_STRAY:
        return
    if x.content is not None and not x.content.missing:
        size = _declared(x)
        _note(talk, mail, WrongSize(x, size, size - left, x.offset + x.length + size - left))


def _note_stray(talk: Conversation, mail: MailDataTracking, x: Exchange, count: int) -> None:
    if x.content is None or x.content.missing:
        return
    size = _declared(x)
    wrong, known = WrongSize(x, size, size + count, x.offset + x.length + size), mail.wrong_size
    if known is not None and known.x is x:
        known.sent = wrong.sent  # more of the same: the finding is there
    else:
        _note(talk, mail, wrong)


def _note(talk: Conversation, mail: MailDataTracking, wrong: WrongSize) -> None:
    """Remember the fault, and judge it."""
    known = mail.wrong_size
    if known is not None and known.x is wrong.x:
        return
    mail.wrong_size, x = wrong, wrong.x
    line = command_of(x.raw, Act.EVENT)
    event = wrong.event = Exchange(Act.EVENT, x.offset, x.frame, x.time_ns, line, x.turn, Mark.WRONG_SIZE.value)
    event.sure, event.before, event.state = x.sure, x.before, x.state
    talk.judge.exchange(event, talk)


def _declared(x: Exchange) -> int:
    """The size that the BDAT of ``x`` declares, 0 if none."""
    return 0 if x.command is None else x.command.chunk_size or 0


def _binary(x: Exchange) -> bool:
    """Whether the transaction of ``x`` allows any octets."""
    transaction = x.transaction or (None if x.state is None else x.state.transaction)
    return isinstance(transaction, Transaction) and transaction.body == "BINARYMIME"

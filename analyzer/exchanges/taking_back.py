"""Take back commands that never arrived: their sender put other bytes in their place before anyone answered them."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from ..lines.acts import Act
from ..lines.client_reader import Mode
from ..lines.marks import Mark

if TYPE_CHECKING:
    from .conversation import Conversation
    from .exchange import Exchange

__all__ = ["take_back"]

# Commands that change nothing before their reply comes, neither what the next bytes are nor what is counted.
_PLAIN = frozenset(
    (Act.EHLO, Act.HELO, Act.MAIL, Act.RCPT, Act.RSET, Act.ANYTIME, Act.ETRN, Act.TURN, Act.OTHER, Act.QUIT)
)
_FIRST_BYTE = Mark.EARLY | Mark.NO_TLS  # marks of the line whose first byte came at a certain time


def take_back(talk: Conversation, offset: int) -> bool:
    """Forget the client's bytes from ``offset`` on, and the commands in them. Return whether that is possible: only
    plain commands came, and the server has answered none of them."""
    reader, due = talk.reader, talk.session.due
    unusual = talk.loss is not None or talk.usage is not None or talk.mail_tracking is not None
    if reader.mode is not Mode.COMMAND or unusual or talk.waiting_replies is not None:
        return False
    gone = [*takewhile(lambda x: x.offset + x.line.length > offset, reversed(due))][::-1]
    turns = talk.record.dialogue
    if not gone or turns[-len(gone) :] != gone or not all(map(_is_plain, gone)):
        return False
    first = gone[0]
    if offset < first.offset:
        return False  # what the bytes before them were is not known here
    for x in reversed(gone):
        talk.session.withdraw(x)
        turns.pop()
        if x.act is Act.QUIT:
            talk.course.quit_sent = False
    talk.next_marks |= first.marks & _FIRST_BYTE
    rest = (first.line.raw + first.line.end)[: offset - first.offset]
    reader.restart(rest, first.offset, first.frame, first.time_ns)
    return True


def _is_plain(x: Exchange) -> bool:
    whole = len(x.line.raw) + len(x.line.end) == x.line.length  # all of it is kept
    return x.act in _PLAIN and x.answer is None and whole and not x.marks & (Mark.FOREIGN | Mark.SKIPPED)

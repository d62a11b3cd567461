"""Go on after bytes that are missing from the capture, or after the last byte: what may be presumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import parse_command
from ..lines.acts import STRONG_VERBS
from ..lines.client_reader import Mode
from ..lines.command_line import MAX_LINE
from .judging import give_up
from .loss_recovery import LossEvent
from .mail_data import release_as_presumed
from .proxy_header import lose_header

if TYPE_CHECKING:
    from ..lines.partial_line import PartialLine
    from ..model import Side
    from .conversation import Conversation

__all__ = ["lose_bytes", "pass_lost_replies", "presume"]


def lose_bytes(talk: Conversation, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
    """Go on after ``length`` bytes of ``side`` that are missing at ``offset``."""
    turn = talk.record.lose(side, offset, length, frame, time_ns)
    if turn is not None:
        talk.add_turn(turn)
    reader = talk.reader
    if side == "server":
        if talk.server_reader.opaque:
            return
        talk.course.lose(side, offset, length, frame, time_ns)
        talk.server_reader.gap()
        talk.greeted = True
        loss = talk.own_loss()
        if talk.session.due or reader.partial_line is not None:
            loss.note(LossEvent.SERVER_GAP)
        else:
            loss.note(LossEvent.PAIRED)
        loss.lost_until = offset + length
        talk.session.doubt()
        return
    if reader.mode is Mode.OPAQUE or reader.mode is Mode.TLS:
        return
    talk.course.lose(side, offset, length, frame, time_ns)
    inside = reader.mode is Mode.CONTENT or (reader.mode is Mode.CHUNK and length <= reader.chunk_left)
    reader.gap(length)
    if reader.mode is Mode.PROXY_HEADER:
        lose_header(talk)
    if inside:
        return
    if reader.mode is Mode.HOLD:
        reader.discard_held()
    talk.session.doubt()
    talk.own_loss().note(LossEvent.CLIENT_GAP)


def pass_lost_replies(talk: Conversation, data: bytes) -> None:
    """Pass replies that the capture does not have but the client has seen: the line that it sent next, of which
    ``data`` are the next bytes, shows their result."""
    reader, due, loss = talk.reader, talk.session.due, talk.own_loss()
    line = b""
    if reader.mode is Mode.HOLD:
        line, end, _ = (reader.held_after(loss.lost_until) + data).partition(b"\r\n")
        if not end and len(line) < MAX_LINE:
            return  # its end has not come
    if not due and reader.mode <= Mode.ANSWER:
        reader.cut_bare()
    loss.note(LossEvent.PAIRED)
    if reader.mode is not Mode.HOLD:
        give_up(talk, len(due))
    elif parse_command(line).verb in STRONG_VERBS:
        give_up(talk, len(due))
        reader.release(Mode.COMMAND)
    else:
        release_as_presumed(talk)
        give_up(talk, len(due))


def presume(talk: Conversation) -> None:
    """Read the held bytes as if the likely reply had come: no more replies come."""
    talk.presuming = True
    reader = talk.reader
    if reader.mode is Mode.HOLD:
        release_as_presumed(talk)
    if reader.mode <= Mode.ANSWER and not talk.server_seen:
        while _begins_verb(reader.partial_line) and reader.cut_bare(lf_only=True):
            pass


def _begins_verb(partial: PartialLine | None) -> bool:
    """Whether the line whose end has not come starts with a command that ends in LF."""
    end = -1 if partial is None else partial.find_lf()
    return partial is not None and end >= 0 and parse_command(bytes(partial.kept[:end]).rstrip(b"\r")).spec is not None

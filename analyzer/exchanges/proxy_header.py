"""The PROXY header in front of the client's first command: it is no part of the session, but a server may answer it."""

# Theory
# ------
# Octets that may be the start of a header wait until it is known whether they are one. If not, they are read as
# commands, as if they came now, with the places where they came. A server that does not expect a header takes it for
# command lines: one line in version 1; in version 2, whose signature has four line ends, the last of these lines goes
# on with the client's first command.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.acts import Act
from ..lines.client_reader import HeldPiece, Mode
from ..lines.marks import Mark
from ..lines.proxy_header import may_begin, read_header
from .exchange import Exchange
from .judging import give_up
from .proxy_header_tracking import ProxyHeaderTracking

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .conversation import Conversation

__all__ = ["answers_header", "begin_header", "end_header", "lose_header", "take_header"]

_MOST_ANSWERS = {1: 1, 2: 4}  # by version: lines that a server sees in it
_NOT_UNDERSTOOD = frozenset({500, 502, 503})  # to the first command, EHLO, they are rare where the header is expected


def begin_header(talk: Conversation, data: bytes, frame: int, time_ns: int) -> None:
    """Expect a header if the client's first octets, ``data``, are one or may be the start of one."""
    if talk.midstream or not (may_begin(data) or read_header(data) is not None):
        return
    talk.proxy = ProxyHeaderTracking(frame, time_ns)
    talk.reader.mode = Mode.PROXY_HEADER


def take_header(talk: Conversation, piece: HeldPiece) -> int:
    """Take octets of the client where a header may be. Return how many of them belong to it."""
    proxy = talk.proxy
    assert proxy is not None
    reader = proxy.reader
    if reader.header is not None and not reader.left:  # these are the first octets after it
        _begin_session(talk)
        return 0
    used = reader.take(piece.data)
    if reader.header is not None:
        proxy.held.clear()
    elif reader.possible:
        proxy.held.append(piece)
    else:
        end_header(talk)
        talk.reader.position = piece.offset + len(piece.data)
    return used


def _begin_session(talk: Conversation) -> None:
    """Read what comes after the header as commands."""
    talk.reader.mode = Mode.COMMAND
    talk.next_marks = Mark.EARLY.value if talk.awaits_greeting else 0


def end_header(talk: Conversation) -> None:
    """Expect no more octets of a header. What waits is read as commands, if it is not a header after all."""
    proxy = talk.proxy
    if proxy is None or talk.reader.mode is not Mode.PROXY_HEADER:
        return
    if proxy.header is not None:
        if not proxy.reader.left:
            _begin_session(talk)
        return
    talk.proxy = None
    talk.reader.mode = Mode.COMMAND
    for piece in proxy.held:
        talk.reader.feed(*piece)


def lose_header(talk: Conversation) -> None:
    """Read what comes after lost octets as commands. If they were part of the header, it is not known as a whole."""
    if talk.proxy is not None and (talk.proxy.header is None or talk.proxy.reader.left):
        talk.proxy = None
    _begin_session(talk)


def answers_header(talk: Conversation, reply: Reply) -> bool:
    """Return whether ``reply`` answers the header, because the server took that for commands. Then an exchange for it
    is added."""
    end_header(talk)  # no server answers half a header
    proxy = talk.proxy
    if proxy is None or proxy.header is None or not 500 <= reply.code < 600 or talk.loss is not None:
        return False
    answers = proxy.answers
    if len(answers) == _MOST_ANSWERS[proxy.header.version] or talk.last is not (answers[-1] if answers else None):
        return False
    due = talk.session.due
    if due and not 0 <= talk.server_acked <= proxy.header.length:
        # The server had the client's first command when it answered. Of a header of version 2 it is the last line.
        if proxy.header.version == 1 or due[0].offset != proxy.header.length:
            return False
        if not answers and reply.code not in _NOT_UNDERSTOOD:
            return False
        give_up(talk, 1)
    answers.append(Exchange(Act.EVENT, 0, proxy.frame, proxy.time_ns))
    return True

"""The PROXY header in front of the client's first command: it is no part of the session, but a server may answer it."""

# Theory
# ------
# Octets that may be the start of a header wait until it is known whether they are one. If not, they are read as
# commands, as if they came now, with the places where they came. A server that does not expect a header takes it for
# command lines: one line in version 1; in version 2, whose signature has four line ends, the last of these lines goes
# on with the client's first command.
#
# A refusal answers the header if the server had no command when it sent it. If it had one, the number of replies shows
# what it refused: with more replies than commands, the first one answers the header. So the replies wait until there
# are as many, or until the client goes on (`counts_replies`).

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.acts import Act
from ..lines.client_reader import HeldPiece, Mode
from ..lines.marks import Mark
from ..lines.proxy_header import may_begin, read_header
from .exchange import Exchange, WaitingReply
from .judging import give_up, judge_event
from .proxy_header_tracking import ProxyHeaderTracking, Verdict

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .conversation import Conversation
    from .exchange import ReplySeen

__all__ = ["answers_header", "begin_header", "counts_replies", "end_header", "lose_header", "take_header"]

_CLOSES = 421  # RFC 5321 §3.8: it may come at any time
_MOST_ANSWERS = {1: 1, 2: 4}  # by version: lines that a server sees in it


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
    known = reader.header is not None
    used = reader.take(piece.data)
    if reader.header is not None:
        proxy.held.clear()
        if not known:
            judge_event(talk, Mark.PROXIED, -1, 0, proxy.frame, proxy.time_ns)
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
    if proxy is None or proxy.header is None or not _may_answer(talk, proxy, reply):
        return False
    if _had_command(talk, proxy):
        swallowed = proxy.header.version == 2
        if swallowed and talk.session.due[0].offset != proxy.header.length:
            return False
        if not proxy.answers and proxy.verdict is not Verdict.HEADER:
            return False
        if swallowed:
            give_up(talk, 1)  # the command is the rest of the last line of the header
    _add_answer(talk, proxy)
    return True


def counts_replies(talk: Conversation, answer: ReplySeen, end: int) -> bool:
    """Return whether the reply has to wait until it is known whether the server refused the header or the command."""
    proxy = talk.proxy
    if proxy is None or not talk.greeted:
        return False
    if proxy.verdict is Verdict.OPEN and not proxy.answers:
        end_header(talk)
        if not (_may_answer(talk, proxy, answer.reply) and _had_command(talk, proxy)):
            return False
        proxy.verdict = Verdict.WAITING
        talk.waiting_replies = []
    elif proxy.verdict is not Verdict.WAITING:
        return False
    waiting = talk.waiting_replies
    if waiting is None or answer.reply.code == _CLOSES:
        proxy.verdict = Verdict.COMMAND  # the client went on, or the server does
        return False
    waiting.append(WaitingReply(answer, end))
    answer.turn = talk.add_turn(answer)
    if len(waiting) > len(talk.session.due):
        proxy.verdict = Verdict.HEADER
    return True


def _may_answer(talk: Conversation, proxy: ProxyHeaderTracking, reply: Reply) -> bool:
    """Whether ``reply`` is a refusal, and nothing but the greeting and replies to the header came before it."""
    if proxy.header is None or not 500 <= reply.code < 600 or talk.loss is not None:
        return False
    answers = proxy.answers
    most = _MOST_ANSWERS[proxy.header.version]
    return talk.greeted and len(answers) < most and talk.last is (answers[-1] if answers else None)


def _had_command(talk: Conversation, proxy: ProxyHeaderTracking) -> bool:
    """Whether the server had a command after the header when it sent its last bytes."""
    assert proxy.header is not None
    return bool(talk.session.due) and not 0 <= talk.server_acked <= proxy.header.length


def _add_answer(talk: Conversation, proxy: ProxyHeaderTracking) -> None:
    """Add an exchange for a reply to the header. The client, or the proxy that speaks for it, is at fault for all that
    follows from this."""
    x = Exchange(Act.EVENT, 0, proxy.frame, proxy.time_ns)
    if not proxy.answers:
        x.marks = Mark.PROXY_REFUSED.value
        talk.session.note_abuse(x)
    proxy.answers.append(x)

"""Refused postmasters: whether their domain is one that the server accepts mail for is certain only at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.acts import Act
from ..lines.marks import Mark
from .exchange import Exchange

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["judge_postmasters", "note_postmaster"]

MAX_POSTMASTERS = 16  # refused postmasters that are remembered in one connection
_UNKNOWN_MAILBOX = frozenset({550, 551, 553})


def note_postmaster(talk: Conversation, x: Exchange, code: int) -> None:
    """Remember ``x``, a RCPT for a postmaster that was answered with ``code``, if it may be one of this server."""
    refused = talk.watch.postmasters
    if code in _UNKNOWN_MAILBOX and x.server_breaks is None and len(refused) < MAX_POSTMASTERS:
        refused.append(x)


def judge_postmasters(talk: Conversation) -> None:
    """Pass the refused postmasters to the rules whose domain had another recipient that was accepted."""
    watching = talk.watching
    if watching is None or not watching.postmasters:
        return
    accepted = {_domain(turn) for turn in talk.record.dialogue if type(turn) is Exchange and _is_recipient(turn)}
    for x in watching.postmasters:
        if _domain(x) in accepted:
            again = Exchange(Act.EVENT, x.offset, x.frame, x.time_ns, x.line, x.turn, Mark.KNOWN_POSTMASTER.value)
            again.before, again.answer, again.sure = x.before, x.answer, x.sure
            talk.judge.exchange(again, talk)
    watching.postmasters.clear()


def _is_recipient(x: Exchange) -> bool:
    return x.act is Act.RCPT and 250 <= x.code < 260 and _domain(x) is not None


def _domain(x: Exchange) -> bytes | None:
    domain = None if x.command is None else x.command.mailbox[1]
    return None if domain is None else domain.lower()

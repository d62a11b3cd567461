"""Commands sent before a reply that the client must wait for (RFC 5321 §4.3.1, RFC 2920 §3.1)."""

# Theory
# ------
# The client is in step if nothing is unanswered and it had seen every reply when it sent its last command. From the
# first command that it sends too early it is out of step, until it is in step again. All that it sends too early in
# between is one fact, so the first of these commands stands for the run (`Causes.early`), and the rules report it once.
#
# A client is early in three ways: it sends before the greeting is complete; it sends more after a command although the
# server offered no PIPELINING; or it did offer it, but the command must be the last of a group.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..limits import COMMANDS_AFTER_HELLO
from ..lines.acts import ACTS, HELLOS, Act

if TYPE_CHECKING:
    from .exchange import Exchange
    from .state_table import Hello

__all__ = ["MAY_END_GROUP", "hello_awaited", "must_wait_for", "permits_early_talk"]

_ENDS_GROUP = frozenset({b"DATA", b"VRFY", b"EXPN", b"TURN", b"NOOP", b"ETRN", b"ATRN"})
MAY_END_GROUP = HELLOS | {ACTS[verb] for verb in _ENDS_GROUP} | {Act.AUTH, Act.ANSWER, Act.LAST, Act.STARTTLS}
"""Kinds of commands of which some must be the last of a group: ``must_wait_for`` looks closer."""
_ONE_ROUND = frozenset({"PLAIN", "EXTERNAL", "XOAUTH2", "OAUTHBEARER"})
_EARLY_PIPELINING = ("PIPECONNECT", "PIPE_CONNECT", "X_PIPE_CONNECT")  # older releases of Exim list the last two


def must_wait_for(ahead: Exchange, hello: Hello) -> bool:
    """Whether the client had to wait for the reply to ``ahead``. ``hello``: the offer that it knew.

    EHLO, DATA, VRFY, EXPN, TURN, NOOP, ETRN and a last BURL must be the last command of a group (RFC 2920 §3.1, RFC
    4468 §3), and AUTH too, unless its only message was the initial response (RFC 4954 §4). HELO offers no PIPELINING.
    """
    act = ahead.act
    if not hello.pipelining or act is Act.ANSWER or act in HELLOS:
        return True
    command = ahead.line.command
    if command is None:
        return False
    if act is Act.AUTH:
        return command.mechanism not in _ONE_ROUND or command.initial is None
    return command.verb in _ENDS_GROUP or (act is Act.LAST and command.verb == b"BURL")


def hello_awaited(x: Exchange) -> Exchange | None:
    """Return the last hello whose reply was not complete when ``x`` was sent; None: no hello was unanswered then, or
    too many commands were sent after it."""
    ahead = x.ahead
    for _ in range(COMMANDS_AFTER_HELLO):
        if ahead is None or ahead.act in HELLOS:
            return ahead
        ahead = ahead.ahead
    return None


def permits_early_talk(hello: Hello) -> bool:
    """Whether the server lists an extension that permits commands before the greeting: the client knew it from an
    earlier connection."""
    return any(hello.lists(keyword) for keyword in _EARLY_PIPELINING)

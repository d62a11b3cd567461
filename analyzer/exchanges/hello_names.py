"""The name that the client gives in its hello: is it the server's own, and may later refusals be about it?"""

# Many servers accept any name in EHLO or HELO, and refuse it only at MAIL or RCPT. So the last hello whose name may be
# wrong is remembered. Whether it is wrong, a rule decides.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import DeviationKind
from ..lines.marks import Mark
from .causes import NO_CAUSES

if TYPE_CHECKING:
    from .conversation import Conversation
    from .exchange import Exchange

__all__ = ["BAD_NAME", "note_name"]

BAD_NAME = frozenset({DeviationKind.BAD_HELLO_ARGUMENT, DeviationKind.BAD_ADDRESS_LITERAL})
"""Deviations of the name from the grammar."""

_ODD_NAME = Mark.UNQUALIFIED | Mark.SERVERS_NAME | Mark.EIGHT_BIT | Mark.DEVIATION
_SERVERS_NAME = Mark.SERVERS_NAME.value


def note_name(talk: Conversation, x: Exchange, code: int) -> None:
    """Note what is unusual about the name in ``x``, a hello that was answered with ``code``."""
    greeting, argument = talk.greeting, x.line.argument
    if argument and argument[0] != "[" and greeting is not None and greeting.reply.code == 220:
        name, own = argument.lower(), greeting.reply.lines[0].lower()
        if name[:4] == own[:4] and name.split(" ", 1)[0] == own.split(" ", 1)[0]:
            x.marks |= _SERVERS_NAME
    session = talk.session
    if x.marks & _ODD_NAME:
        session.own_causes().odd_name = x
    elif code < 300 and session.causes is not NO_CAUSES:
        session.causes.odd_name = None

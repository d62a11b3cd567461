"""Whether a command line breaks a rule itself, so that a server may refuse it with any code."""

# A server may refuse a line because of its grammar, its bytes or its length with any code, and no rule reports such a
# reply. The line breaks a rule if the CMD, BIT and LEN rules or EXT501 to EXT503 would report it, selected or not.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.command_marks import judged_command
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["at_fault", "too_long"]

MAX_LOCAL_PART = 64  # RFC 5321 §4.5.3.1.1
MAX_DOMAIN = 255  # RFC 5321 §4.5.3.1.2
MAX_DOMAIN_821 = 64  # RFC 821 §4.5.3
MAX_PATH = 256  # with its brackets, RFC 5321 §4.5.3.1.3

_FAULTS = Mark.DEVIATION | Mark.EIGHT_BIT | Mark.NUL | Mark.BARE_CR | Mark.BARE_LF | Mark.LONG_LINE | Mark.NOT_OFFERED
_DISCOURAGED = Mark.SOURCE_ROUTE | Mark.OBSOLETE


def at_fault(x: Exchange, talk: Conversation) -> bool:
    """Whether the line of ``x`` itself breaks a rule."""
    marks = x.marks
    if marks & _FAULTS:
        return True
    if marks & _DISCOURAGED and talk.profile != "rfc821" and (marks & Mark.OBSOLETE or routed(x)):
        return True
    return bool(marks & Mark.LONG_PATH) and next(too_long(x, talk), None) is not None


def routed(x: Exchange) -> bool:
    """Whether the path asks for a source route (RFC 5321 App. C)."""
    command = judged_command(x)
    return command is not None and command.path is not None and bool(command.path.route)


def too_long(x: Exchange, talk: Conversation) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each part of the path or name that is too long, with its octets and its limit (RFC 5321
    §4.5.3.1.1 to §4.5.3.1.3). Text that is not a path or name has no such limit."""
    command = judged_command(x)
    if command is None or x.length - len(x.end) > len(x.raw):
        return
    most = MAX_DOMAIN_821 if talk.profile == "rfc821" else MAX_DOMAIN
    if x.act in {Act.EHLO, Act.HELO}:
        name = command.hello_name
        if name is not None and len(name) > most:
            yield "name of the client", len(name), most
        return
    path = command.path
    if path is None:
        return
    if path.local is not None and len(path.local) > MAX_LOCAL_PART:
        yield "local-part", len(path.local), MAX_LOCAL_PART
    if path.domain is not None and len(path.domain) > most:
        yield "domain", len(path.domain), most
    if len(path.raw) > MAX_PATH:
        yield "path", len(path.raw), MAX_PATH

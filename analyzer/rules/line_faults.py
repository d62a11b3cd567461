"""Whether a command line breaks a rule itself, so that a server may refuse it with any code."""

# A server may refuse a line because of its grammar, its bytes or its length with any code, and no rule reports such a
# reply. The line breaks a rule if the CMD, BIT and LEN rules, EXT501 to EXT503, EXT518 or EXT519 would report it,
# selected or not.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.deviations import DeviationKind
from ..exchanges.command_marks import judged_command
from ..exchanges.ehlo_offers import exceeded_bound
from ..exchanges.exchange import Mark
from ..exchanges.hello_names import BAD_NAME
from ..exchanges.state_table import Act

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__ = ["at_fault", "misnamed", "not_qualified", "routed", "too_long"]

MAX_LOCAL_PART = 64  # RFC 5321 §4.5.3.1.1
MAX_DOMAIN = 255  # RFC 5321 §4.5.3.1.2
MAX_DOMAIN_821 = 64  # RFC 821 §4.5.3
MAX_PATH = 256  # with its brackets, RFC 5321 §4.5.3.1.3

_FAULTS = (
    Mark.DEVIATION | Mark.EIGHT_BIT | Mark.NUL | Mark.BARE_CR | Mark.BARE_LF | Mark.LONG_LINE | Mark.NOT_OFFERED
) | Mark.MISPLACED
_ODD_NAME = Mark.UNQUALIFIED | Mark.SERVERS_NAME
_DISCOURAGED = Mark.SOURCE_ROUTE | Mark.OBSOLETE


def at_fault(x: Exchange, talk: Conversation) -> bool:
    """Whether the line of ``x`` itself breaks a rule."""
    marks = x.marks
    if marks & _FAULTS:
        return True
    if marks & _ODD_NAME and not_qualified(x, talk):
        return True
    if marks & Mark.BOUNDED and _beyond_bound(x):
        return True
    if marks & _DISCOURAGED and talk.profile != "rfc821" and (marks & Mark.OBSOLETE or routed(x)):
        return True
    return bool(marks & Mark.LONG_PATH) and next(too_long(x, talk), None) is not None


def not_qualified(x: Exchange, talk: Conversation) -> bool:
    """Whether the name in a hello, or the domain of a path, is one that the server cannot find (RFC 5321 §2.3.5)."""
    if not x.marks & _ODD_NAME or talk.profile == "lmtp" or talk.record.on_one_host:
        return False
    kinds = x.line.kinds
    return kinds.isdisjoint(BAD_NAME) and DeviationKind.MALFORMED_PATH not in kinds


def misnamed(hello: Exchange | None, talk: Conversation) -> bool:
    """Whether a rule finds fault with the name that the client gave in ``hello``."""
    if hello is None:
        return False
    bad = bool(hello.marks & Mark.EIGHT_BIT) or not hello.line.kinds.isdisjoint(BAD_NAME)
    return bad or not_qualified(hello, talk)


def _beyond_bound(x: Exchange) -> bool:
    command = judged_command(x)
    return command is not None and x.before is not None and exceeded_bound(command, x.before.hello) is not None


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

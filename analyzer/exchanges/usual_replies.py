"""The replies that may follow a command: the usual success, and every code that the RFCs list (RFC 5321 §4.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.tables.codes import (
    CONTENT,
    GREETING,
    INSIDE_TLS,
    UNAUTHENTICATED_EXEMPT,
    UNKNOWN_COMMAND,
    allowed_codes,
)
from ...dissectors.tables.keywords import KEYWORDS
from ..lines.acts import Act

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .exchange import Exchange
    from .state_table import Hello

__all__ = ["is_usual", "listed_codes", "odd_status"]

_OK = frozenset({250})
_AUTH = frozenset({235, 334})
_USUAL: dict[Act, frozenset[int]] = {
    Act.GREETING: frozenset({220}),
    Act.EHLO: _OK,
    Act.HELO: _OK,
    Act.MAIL: _OK,
    Act.RCPT: _OK,
    Act.DATA: frozenset({354}),
    Act.END: _OK,
    Act.BDAT: _OK,
    Act.LAST: _OK,
    Act.RSET: _OK,
    Act.AUTH: _AUTH,
    Act.ANSWER: _AUTH,
    Act.STARTTLS: frozenset({220}),
    Act.QUIT: frozenset({221}),
}


def is_usual(act: Act, code: int) -> bool:
    """Whether ``code`` is a usual success reply to ``act``, which needs no check. False for acts not in the table."""
    return code in _USUAL.get(act, ())


def _row(x: Exchange) -> str | None:
    """Return the row of the reply table for ``x``; None: the RFCs define no replies for it."""
    command = x.command
    if x.act is Act.GREETING:
        return GREETING
    if x.act is Act.ANSWER:
        return "AUTH"
    if x.act is Act.END:
        return CONTENT
    if command is None or command.name is None:
        return None
    if x.act is Act.LAST and command.verb == b"BDAT":
        return CONTENT
    if command.spec is None:
        # a verb of an extension that has no reply table (VERB, ONEX) is not unknown
        return None if command.name in KEYWORDS or command.name.startswith("X") else UNKNOWN_COMMAND
    return command.name


def listed_codes(x: Exchange, hello: Hello, profile: str) -> frozenset[int] | None:
    """Return the codes that may answer ``x`` if ``hello`` is in force; None if the RFCs list none."""
    row = _row(x)
    if row is None:
        return None
    codes = allowed_codes(row, rfc821=profile == "rfc821", lmtp=profile == "lmtp")
    if codes is None:
        return None
    if hello.secure:
        codes |= INSIDE_TLS
    if row not in UNAUTHENTICATED_EXEMPT and (hello.lists("AUTH") or hello.lists("STARTTLS")):
        codes |= {530}
    if profile == "submission":
        codes |= {550, 554}  # RFC 6409 §4.1: refusals for reasons of policy
    return codes


def odd_status(reply: Reply) -> bool:
    """Whether the enhanced status code may be missing or wrong (RFC 2034 §4); multiline replies need a closer check."""
    status, first = reply.enhanced, reply.code // 100
    if first == 3:
        return False
    if status is None or ord(status[0]) - 48 != first or len(reply.texts) > 1:
        return True
    return len(status) == len(reply.texts[0])  # RFC 2034 §3: a space always follows it

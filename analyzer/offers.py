"""Was what the client used offered? EHLO keywords against commands and parameters (RFC 5321 §2.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dissectors.keywords import keyword_for
from .states import Act

if TYPE_CHECKING:
    from .exchange import Exchange
    from .states import Hello

__all__ = ["command_keyword", "missing_offer"]

_COMMANDS = {
    b"STARTTLS": "STARTTLS",
    b"AUTH": "AUTH",
    b"BDAT": "CHUNKING",
    b"BURL": "BURL",
    b"ETRN": "ETRN",
    b"ATRN": "ATRN",
    b"XCLIENT": "XCLIENT",
    b"XFORWARD": "XFORWARD",
}


def command_keyword(verb: bytes) -> str | None:
    """EHLO keyword without which ``verb`` must not be used; None: it belongs to the base protocol."""
    return _COMMANDS.get(verb)


def missing_offer(x: Exchange, hello: Hello) -> str | None:
    """What ``x`` uses though ``hello`` did not offer it: a keyword, "PARAMETER" names or "AUTH MECHANISM"; else None.

    Unknown keywords (the reply was not captured) say nothing against the client.
    """
    command = x.command
    if command is None or hello.keywords is None:
        return None
    keyword = _COMMANDS.get(command.verb)
    if keyword is not None:
        if keyword not in hello.keywords:
            return keyword
        if x.act is Act.AUTH and command.mechanism not in (None, *hello.keywords["AUTH"]):
            return f"AUTH {command.mechanism}"
    if x.act in {Act.MAIL, Act.RCPT} and command.argument is not None and b" " in command.argument:
        for name, value in command.parameters.items():
            needed = keyword_for(name, value)
            if needed is None or needed not in hello.keywords:
                return name
    return None

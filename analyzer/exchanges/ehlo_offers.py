"""Offers of an EHLO reply, and commands, parameters, sizes and limits used without an offer (RFC 5321 §2.2.1).

If the keywords are None, they were not captured: then nothing counts as missing.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ...dissectors.printable import printable
from ...dissectors.tables.keywords import (
    KEYWORDS,
    LINE_INCREMENTS,
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    keyword_for,
)
from ..lines.acts import Act
from ..lines.command_line import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...dissectors.lines.commands import Command
    from .exchange import Exchange
    from .state_table import Hello

    Keywords = Mapping[str, tuple[str, ...]]

__all__ = [
    "announced_limits",
    "announced_size",
    "command_keyword",
    "contradicts",
    "exceeded_bound",
    "line_limit",
    "mechanisms",
    "misplaced_parameters",
    "missing_command",
    "missing_offer",
    "missing_parameters",
]

MAX_DIGITS = 20  # of a number in an EHLO reply (RFC 1870 §3); longer ones are invalid

_MAIL, _RCPT, _AUTH = Act.MAIL, Act.RCPT, Act.AUTH  # bound once: reading a member of an enum takes longer

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
    """Return the EHLO keyword that ``verb`` requires; None: it belongs to the base protocol."""
    return _COMMANDS.get(verb)


def missing_command(command: Command, hello: Hello) -> str | None:
    """Return the keyword that ``command`` requires and ``hello`` does not list; None: nothing is missing."""
    keyword = _COMMANDS.get(command.verb)
    return keyword if keyword is not None and hello.keywords is not None and keyword not in hello.keywords else None


def mechanisms(hello: Hello) -> frozenset[str]:
    """Return the SASL mechanisms that ``hello`` lists, in upper case (RFC 4954 §3)."""
    return frozenset(name.upper() for name in (hello.keywords or {}).get("AUTH", ()))


def missing_parameters(command: Command, hello: Hello) -> list[str]:
    """Return the parameters of MAIL or RCPT whose extension ``hello`` does not list.

    An unregistered parameter may belong to an unregistered keyword. So it does not count as missing if the server lists
    such a keyword.
    """
    keywords = hello.keywords
    if keywords is None:
        return []
    missing = []
    for name, value in command.parameters.items():
        needed = keyword_for(name, value)
        if needed is None:
            if name.replace("-", "").isalnum() and all(keyword in KEYWORDS for keyword in keywords):
                missing.append(name)
        elif needed not in keywords:
            missing.append(name)
    return missing


def misplaced_parameters(act: Act, command: Command) -> list[str]:
    """Return the parameters of ``command``, MAIL or RCPT, that belong to the other of the two."""
    others = MAIL_PARAMETERS if act is _RCPT else RCPT_PARAMETERS
    return [name for name in command.parameters if name in others]


def exceeded_bound(command: Command, hello: Hello) -> tuple[str, str, str, str] | None:
    """Return a parameter of MAIL whose value is beyond the bound that ``hello`` announces: its name and value, "above"
    or "below", and the bound. None: there is none, or no bound is announced."""
    keywords, given = hello.keywords or {}, command.parameters
    held, until = given.get("HOLDFOR"), given.get("HOLDUNTIL")
    bounds = keywords.get("FUTURERELEASE", ())
    most = _number(bounds[0]) if bounds else None
    if held is not None and most is not None and held[:MAX_DIGITS].isdigit() and int(held[:MAX_DIGITS]) > most:
        return "HOLDFOR", printable(held), "above", bounds[0]
    latest = _date_time(bounds[1]) if len(bounds) > 1 else None
    wanted = None if until is None else _date_time(printable(until))
    if until is not None and wanted is not None and latest is not None and wanted > latest:
        return "HOLDUNTIL", printable(until), "after", bounds[1]
    by, least = given.get("BY"), keywords.get("DELIVERBY", ())
    shortest = _number(least[0]) if least else None
    seconds, _, mode = (by or b"").partition(b";")
    seconds = seconds.removeprefix(b"+")[:MAX_DIGITS]
    if shortest is not None and seconds.isdigit() and mode[:1].upper() == b"R" and 0 < int(seconds) < shortest:
        return "BY", printable(by or b""), "below", least[0]
    return None


def _date_time(text: str) -> datetime | None:
    """Return the point in time that ``text`` names in UTC (RFC 3339 §5.6); None if it names none."""
    if text[-1:] not in {"Z", "z"}:
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def missing_offer(x: Exchange, hello: Hello) -> str | None:
    """Return a keyword, a parameter or "AUTH MECHANISM" that ``x`` uses and ``hello`` does not offer; else None."""
    command, keywords = x.line.command, hello.keywords
    if command is None or keywords is None:
        return None
    keyword = _COMMANDS.get(command.verb)
    if keyword is not None:
        if keyword not in keywords:
            return keyword
        if x.act is _AUTH and command.mechanism is not None and command.mechanism not in mechanisms(hello):
            return f"AUTH {command.mechanism}"
    if (x.act is _MAIL or x.act is _RCPT) and command.argument is not None and b" " in command.argument:
        for name, value in command.parameters.items():
            needed = keyword_for(name, value)
            if needed is None or needed not in keywords:
                return name
    return None


def contradicts(keywords: Keywords, *, secure: bool) -> bool:
    """Whether an EHLO reply lists a keyword without one that it requires, or STARTTLS inside TLS."""
    return (
        ("SMTPUTF8" in keywords and "8BITMIME" not in keywords)  # RFC 6531 §3.1
        or ("BINARYMIME" in keywords and "CHUNKING" not in keywords)  # RFC 3030 §3
        or (secure and "STARTTLS" in keywords)  # RFC 3207 §4.2
    )


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= MAX_DIGITS else None


def announced_size(hello: Hello) -> int | None:
    """Return the octets of the largest message that the server accepts (RFC 1870 §4); None if it gives no number. If it
    gives several, the largest counts: no RFC says which one holds."""
    keywords = hello.keywords
    return _largest(keywords["SIZE"]) if keywords and "SIZE" in keywords else None


@lru_cache(maxsize=256)  # servers announce few different sizes
def _largest(values: tuple[str, ...]) -> int | None:
    return max([_number(value) or 0 for value in values], default=0) or None


def announced_limits(hello: Hello) -> dict[str, int]:
    """Return the limits in LIMITS (MAILMAX, RCPTMAX, RCPTDOMAINMAX, RFC 9422 §4) that have a value; of a name given
    twice the first value."""
    limits: dict[str, int] = {}
    for pair in (hello.keywords or {}).get("LIMITS", ()):
        word, _, value = pair.partition("=")
        limits.setdefault(word.upper(), _number(value) or 0)
    return {name: most for name, most in limits.items() if most}


def line_limit(command: Command, hello: Hello | None) -> int:
    """Return the maximum octets, CRLF included, of the line of ``command`` (RFC 5321 §4.5.3.1.4).

    ``hello``: the offer in force. If it or its keywords are None, every extension counts as offered.
    """
    keywords = None if hello is None else hello.keywords
    verb = "MAIL" if command.verb in {b"SEND", b"SOML", b"SAML"} else command.name or ""
    increments = LINE_INCREMENTS.get(verb, {})
    return MAX_LINE + sum(octets for name, octets in increments.items() if keywords is None or name in keywords)

"""The replies that may follow a command: the usual success, and every code that the RFCs list (RFC 5321 §4.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.tables.codes import (
    COMMAND_CODES,
    CONTENT,
    GREETING,
    INSIDE_TLS,
    LAST_CHUNK,
    RFC821_CODES,
    UNAUTHENTICATED_EXEMPT,
    UNKNOWN_COMMAND,
    allowed_codes,
)
from ...dissectors.tables.keywords import KEYWORDS
from ..lines.acts import ACTS, Act

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .exchange import Exchange
    from .state_table import Hello

__all__ = ["OPENING_CODES", "is_usual", "listed_codes", "odd_status"]

_VERBS = {act: [verb.decode() for verb, one in ACTS.items() if one is act] for act in Act}
_ROWS: dict[Act, list[str]] = {
    **_VERBS,
    Act.LAST: [LAST_CHUNK, "BURL"],
    Act.END: [CONTENT],
    Act.ANSWER: ["AUTH"],
    Act.OTHER: [],
}


def _always_listed(act: Act) -> frozenset[int]:
    """Return the codes that may answer every command of the kind ``act``, in every profile."""
    sets = [allowed_codes(row, rfc821=rfc821) for row in _ROWS[act] for rfc821 in (False, True)]
    # None: no specification lists codes for it, so none is judged.
    return (
        frozenset.intersection(RFC821_CODES, *[codes for codes in sets if codes is not None]) if sets else frozenset()
    )


_ACCEPTED = {Act.GREETING: {220}, Act.AUTH: {235, 334}, Act.ANSWER: {235, 334}, Act.STARTTLS: {220}}
# 554 to a command for mail data is judged by the order, in LMTP.
_JUDGED = {act: {554} for act in (Act.DATA, Act.BDAT, Act.LAST)}
_USUAL = tuple(_always_listed(act) - _JUDGED.get(act, set()) | _ACCEPTED.get(act, set()) for act in Act)


OPENING_CODES = COMMAND_CODES[GREETING].rfc5321 or frozenset()
"""Codes with which a server may greet (RFC 5321 §4.3.2, RFC 7504)."""


def is_usual(act: Act, code: int) -> bool:
    """Whether ``code`` is listed for every command of the kind ``act``, in every profile, so that it needs no check."""
    return code in _USUAL[act]


def _row(x: Exchange, hello: Hello) -> str | None:
    """Return the row of the reply table for ``x`` if ``hello`` is in force; None: the RFCs define no replies for it."""
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
        return LAST_CHUNK
    if command.spec is None:
        # a verb of an extension that has no reply table (VERB, ONEX), or that the server lists, is not unknown
        private = command.name in KEYWORDS or command.name.startswith("X") or hello.lists(command.name)
        return None if private else UNKNOWN_COMMAND
    return command.name


def listed_codes(x: Exchange, hello: Hello, profile: str) -> frozenset[int] | None:
    """Return the codes that may answer ``x`` if ``hello`` is in force; None if the RFCs list none."""
    row = _row(x, hello)
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
    return not reply.status_fits and reply.code // 100 != 3

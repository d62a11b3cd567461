"""Hide secrets in one finding: in its evidence, and in the values of its phrase."""

# Theory
# ------
# Two things decide what is hidden. The type of a value says what it can contain: a number and a term are never changed,
# text from the wire may be anything. The turn that the finding is about says what such a text is a part of: of a login,
# of a message, of a reply to a login, or of an ordinary line, in which only the words around a secret show where it is.
#
# A plain sentence has no values. Only there, words of the sentence are searched for.

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from msgspec import Struct, field

from ..findings.rendering import RecordedFinding
from ..model import AuthTurn, CommandTurn, MessageTurn, ReplyTurn
from ..rules.phrases import Field, Host, IpAddress, Keyword, Mailbox, Secret, Text, Verb
from .secret_patterns import GUARD, PASSWORD_VERBS, PROMPTS, VERBS, XCLIENT_LOGIN, SecretHider, hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import Finding, Turn
    from ..rules.phrases import Value

__all__ = ["SecretTurns", "change_quotations", "hide_in_finding"]

# Verbs that no text of a peer can be mistaken for.
KNOWN_VERBS = VERBS | PASSWORD_VERBS
_FROM_PEERS = frozenset({Field, Host, IpAddress, Keyword, Mailbox, Secret, Text, Verb})
_SECRETS = frozenset({Secret})
_VERBS_WITH_SECRETS = PASSWORD_VERBS | {"XCLIENT", "XFORWARD"}
# Findings quote only these parts of a message: header fields, dots that look like its end, and smuggled commands.
_QUOTABLE = re.compile(
    r"[!-9;-~]{1,76}[ \t]*:|(?:HELO|EHLO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|QUIT|AUTH|STARTTLS|VRFY|NOOP)\b"
    r"|(?:\\x[0-9a-f]{2}|[. ])*$",
    re.IGNORECASE,
)


class SecretTurns(Struct):
    """The turns of a dialogue that are, or may be, secret. ``stray``: they answer a challenge that never came.
    ``texts``: message text that the client sent as commands. ``logins``: AUTH and the lines of its exchange."""

    stray: set[int] = field(default_factory=set)
    texts: set[int] = field(default_factory=set)
    logins: set[int] = field(default_factory=set)


class _PartOf(Enum):
    """What the text of a finding is a part of."""

    LOGIN = auto()  # a line of an AUTH exchange, recognised or not
    CHALLENGE = auto()  # a reply 334
    LOGIN_REPLY = auto()  # another reply to a login: it may contain an echo
    REPLY = auto()
    CONTENT = auto()  # a message
    CONTENT_LINE = auto()  # a line of a message that was sent as a command
    XCLIENT = auto()
    PASSWORD_COMMAND = auto()  # of another protocol
    LINE = auto()  # any other line, or it is not known


def _part_of(finding: Finding, dialogue: Sequence[Turn], secret: SecretTurns) -> _PartOf:
    index = finding.turn
    if index is None or index >= len(dialogue):
        return _PartOf.LINE
    if index in secret.texts:
        return _PartOf.CONTENT_LINE
    turn = dialogue[index]
    kind = type(turn)
    if kind is MessageTurn:
        return _PartOf.CONTENT
    if kind is AuthTurn or index in secret.stray:
        return _PartOf.LOGIN if finding.evidence != "*" or index in secret.stray else _PartOf.LINE
    if isinstance(turn, ReplyTurn):
        if turn.code == 334:
            return _PartOf.CHALLENGE
        answered = turn.answers
        return _PartOf.LOGIN_REPLY if answered in secret.stray or answered in secret.logins else _PartOf.REPLY
    if isinstance(turn, CommandTurn) and turn.verb in _VERBS_WITH_SECRETS:
        return _PartOf.PASSWORD_COMMAND if turn.verb in PASSWORD_VERBS else _PartOf.XCLIENT
    return _PartOf.LINE


def hide_in_finding(finding: Finding, dialogue: Sequence[Turn], hider: SecretHider, secret: SecretTurns) -> None:
    """Hide secrets in ``finding``, in place."""
    part = _part_of(finding, dialogue, secret)
    if isinstance(finding, RecordedFinding) and finding.phrase is not None:
        changes: dict[str, Value] = {}
        kinds = _SECRETS if part is _PartOf.REPLY else _FROM_PEERS  # an ordinary reply is shown as it is
        for name, value in finding.phrase.values.items():
            kind = type(value)
            if kind not in kinds or (kind is Verb and value in KNOWN_VERBS):
                continue
            if part is not _PartOf.LINE or kind is Secret or GUARD.search(str(value)):
                changes[name] = _hide_value(value, part, hider)
        if changes:
            finding.phrase = finding.phrase.replaced(changes)
    elif part is _PartOf.LOGIN:
        word = finding.evidence.partition(" ")[0]
        if word.isalnum():  # rules name what they took for a verb, and the hider does not remember short words
            finding.message = re.sub(rf"\b{word}\b", hidden(word), finding.message, flags=re.IGNORECASE)
    text = finding.evidence
    if not text or part is _PartOf.REPLY or (part is _PartOf.LINE and not GUARD.search(text)):
        return
    turn = dialogue[finding.turn] if part is _PartOf.CHALLENGE and finding.turn is not None else None
    if isinstance(turn, ReplyTurn):  # its lines are redacted already, and the evidence may be cut
        finding.evidence = " ".join([text[:3], *turn.lines[:1]]).rstrip()
    else:
        finding.evidence = _hide_evidence(text, part, hider)


def _hide_evidence(text: str, part: _PartOf, hider: SecretHider) -> str:
    """Return the line or reply ``text`` without secrets."""
    first, blank, rest = text.partition(" ")
    match part:
        case _PartOf.CONTENT_LINE:
            return f"{first} {hidden(rest)}" if rest else first
        case _PartOf.LOGIN:
            return hider.hide(text)
        case _PartOf.PASSWORD_COMMAND:
            return first + blank + (hider.hide(rest) if rest else "")
        case _:
            return _hide_text(text, part, hider)


def _hide_text(text: str, part: _PartOf, hider: SecretHider) -> str:
    """Return ``text``, which may be any piece of the line, without secrets."""
    match part:
        case _PartOf.LOGIN | _PartOf.CONTENT_LINE | _PartOf.PASSWORD_COMMAND:
            return hidden(text)
        case _PartOf.CHALLENGE:
            return text if text.strip() in PROMPTS else hidden(text)
        case _PartOf.LOGIN_REPLY:
            return hider.echoed(text)
        case _PartOf.REPLY:
            return text
        case _PartOf.CONTENT:
            return hider.client(text) if _QUOTABLE.match(text) else hidden(text)
        case _PartOf.XCLIENT:
            return XCLIENT_LOGIN.sub(lambda found: found[1] + hider.hide(found[2]), text)
        case _PartOf.LINE:
            return hider.client(text)


def _hide_value(value: Value, part: _PartOf, hider: SecretHider) -> Value:
    match value:
        case Secret():
            return Secret(hidden(value))
        case Verb() if part is _PartOf.CONTENT_LINE:
            return value  # the server took it for a verb
        case Field() if part is _PartOf.CONTENT:
            return Field(hider.client(value))
        case Keyword() if part is _PartOf.LINE:
            return value  # what a server lists contains no secret of a client, but it may look like a login
        case Field() | Host() | Keyword() | Mailbox() | Text() | Verb() if _is_from_peer(value):
            return type(value)(_hide_text(value, part, hider))
        case _:
            return value


def change_quotations(finding: Finding, change: Callable[[str], str]) -> None:
    """Apply ``change`` to all text of ``finding`` that may come from the wire, in place: the evidence, and the values
    of its phrase or a plain sentence."""
    finding.evidence = change(finding.evidence)
    if not isinstance(finding, RecordedFinding) or finding.phrase is None:
        finding.message = change(finding.message)
        return
    finding.phrase = finding.phrase.changed(lambda value: changed_value(value, change))


def changed_value(value: Value, change: Callable[[str], str]) -> Value:
    """Return ``value`` after ``change``, if its type says that it may contain text of a peer."""
    match value:
        case Field() | Host() | IpAddress() | Keyword() | Mailbox() | Text() | Verb() if _is_from_peer(value):
            return type(value)(change(value))
        case _:
            return value


def _is_from_peer(value: Value) -> bool:
    """Whether the value is, or contains, something that a peer chose."""
    return type(value) in _FROM_PEERS and (type(value) is not Verb or value not in KNOWN_VERBS)

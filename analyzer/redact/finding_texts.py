"""Hide secrets in one finding: in its evidence, and in the values of its phrase."""

# Theory
# ------
# A finding shows no more of a turn than the turn itself does. Its evidence and its values are texts that a rule took
# out of a line or a reply, mostly of the turn that the finding is about, or of the one that this turn answers. So a
# text is looked up there, byte by byte, and the parts of it that the turn does not show are taken out.
#
#   The type of a value says first what it can contain (`rules/phrases.py`): numbers and terms are never changed, and a
#   secret is always hidden.
#   A text of a message is shown if it is a header field, a mark that looks like the end, or a command.
#   A text that is not in the turn is compared with all secrets of the connection. If the client said it, it is read as
#   a line of its own.

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING

from ...dissectors.lines.commands import parse_command
from ...dissectors.tables.verbs import VERBS
from ..exchanges.exchange import Exchange, ReplySeen
from ..exchanges.secret_values import Secrecy
from ..exchanges.turns import ChunkSeen, MessageSeen
from ..findings.rendering import RecordedFinding
from ..lines.announced_secrets import announced_secrets
from ..lines.secret_spans import hidden_parts
from ..lines.shown_lines import shown_in_text
from ..lines.shown_text import covered, joined, shown_text
from ..rules import RULES, OnContent
from ..rules.phrases import Field, Host, IpAddress, Keyword, Mailbox, Secret, Text, Verb
from .report_texts import hidden_text, original_bytes, shown_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exchanges.secret_context import SecretContext
    from ..lines.shown_text import Span
    from ..model import Finding
    from ..rules.phrases import Value

__all__ = ["changed_value", "hide_in_finding", "is_from_peer", "may_hold_secret", "without_secrets"]

_KNOWN_VERBS = frozenset(verb.decode() for verb in VERBS) | {"PASS", "APOP", "LOGIN", "USER", "GET", "POST", "CONNECT"}
_FROM_PEERS = frozenset({Field, Host, IpAddress, Keyword, Mailbox, Secret, Text, Verb})
_FREE = frozenset({Text, Verb})
MAX_PLACES = 64  # of a text in one line that are looked at
CUT = "..."  # after the start of a text that is too long to quote (``dissectors.deviations.quoted``)
_FIELD_NAME = re.compile(rb"[!-9;-~]{1,76}[ \t]*:")
_MARKS = re.compile(r"(?:\\x[0-9a-f]{2}|[. ])*")
_REPLY = re.compile(r"[0-9]{3}(?:[ -]|$)")


def hide_in_finding(finding: Finding, context: SecretContext | None) -> None:
    """Hide secrets in ``finding``, in place. ``context``: None if nothing in the dialogue is secret."""
    of_message = _is_of_message(finding, context)
    hider = _Hider(finding, context, of_message=of_message)
    if isinstance(finding, RecordedFinding) and finding.phrase is not None:
        changes: dict[str, Value] = {}
        for name, value in finding.phrase.values.items():
            if is_from_peer(value):
                shown = hider.value(value)
                if shown != value:
                    changes[name] = shown
        if changes:
            finding.phrase = finding.phrase.replaced(changes)
    elif finding.message and context is not None:
        finding.message = hider.sentence(finding.message)
    if finding.evidence and (context is not None or of_message):
        finding.evidence = hider.text(finding.evidence, free=True, line=True)


def may_hold_secret(finding: Finding) -> bool:
    """Whether ``finding`` may show a secret although nothing in the dialogue is one: it is about a message, or has a
    value that is always secret."""
    rule = RULES.get(finding.rule)
    if rule is None or type(rule.on) is OnContent:
        return True
    if type(finding) is not RecordedFinding or finding.phrase is None:
        return True
    return any(type(value) is Secret for value in finding.phrase.values.values())


def without_secrets(finding: Finding, context: SecretContext | None) -> Finding:
    """Return a copy of ``finding`` without secrets: a baseline has it like that, whatever the report shows."""
    finding = copy(finding)
    hide_in_finding(finding, context)
    return finding


def _is_of_message(finding: Finding, context: SecretContext | None) -> bool:
    """Whether the texts of ``finding`` come from mail data."""
    rule = RULES.get(finding.rule)
    if rule is not None and isinstance(rule.on, OnContent):
        return True
    turn = None if context is None or finding.turn is None else context.turn(finding.turn)
    return isinstance(turn, MessageSeen | ChunkSeen)


class _Hider:
    """Takes secrets out of the texts of one finding."""

    def __init__(self, finding: Finding, context: SecretContext | None, *, of_message: bool) -> None:
        self._context = context
        self._of_message = of_message
        self._by_client = finding.side != "server"
        self._turns = _related(finding, context)

    def value(self, value: Value) -> Value:
        """Return ``value``, which a peer may have chosen, as it is shown."""
        if isinstance(value, Secret):
            return Secret(hidden_text(value))
        if not isinstance(value, str) or (self._context is None and not self._of_message):
            return value
        kind = type(value)
        if self._of_message:
            if kind is Field:
                return Field(shown_field(value, self._context)) if self._context is not None or ":" in value else value
            if kind is Keyword:
                return value
        return kind(self.text(value, free=kind in _FREE))

    def text(self, text: str, *, free: bool, line: bool = False) -> str:
        """Return a text as it is shown. ``free``: it may be any piece of a line. ``line``: it begins like one."""
        if self._of_message and free:
            return self._of_mail_data(text)
        if self._context is None:
            return text
        for index in self._turns:
            found = self._in_turn(text, index)
            if found is not None:
                return found
        shown = self._without_echoes(text, Secrecy.ANSWER)
        if not self._by_client or not (line or (free and shown == text)):
            return shown
        raw = original_bytes(text)
        return shown_text(raw, joined(hidden_parts(parse_command(raw)), self._echoes(raw, Secrecy.ANSWER)))

    def sentence(self, text: str) -> str:
        """Return the plain sentence of a rule without the secrets that it repeats."""
        return self._without_echoes(text, Secrecy.NAME)

    def _in_turn(self, text: str, index: int) -> str | None:
        """Return ``text`` as the turn shows it; None if it is no part of the turn."""
        context = self._context
        assert context is not None
        raw = context.raw(index)
        wanted, line = original_bytes(text).lower(), raw.lower()
        at = line.find(wanted)
        cut = ""
        if at < 0 and text.endswith(CUT):  # a rule quotes only the start
            wanted, cut = wanted.removesuffix(CUT.encode()), CUT
            at = line.find(wanted)
        if not wanted or at < 0:
            return None
        spans = context.spans(index)
        if not spans:
            return text
        first = at
        for _ in range(MAX_PLACES):
            if not covered(spans, at, at + len(wanted)):
                return text
            at = line.find(wanted, at + 1)
            if at < 0:
                break
        return shown_text(raw, spans, first, first + len(wanted)) + cut

    def _of_mail_data(self, text: str) -> str:
        raw = original_bytes(text)
        if _MARKS.fullmatch(text):
            return text
        if not self._by_client and _REPLY.match(text):
            for index in () if self._context is None else self._context.replies():
                found = self._in_turn(text, index)
                if found is not None:
                    return found
            return shown_text(raw, announced_secrets(raw))
        if _FIELD_NAME.match(raw):
            return shown_field(text, self._context)
        return shown_in_text(raw)

    def _without_echoes(self, text: str, least: Secrecy) -> str:
        raw = original_bytes(text)
        spans = self._echoes(raw, least)
        return shown_text(raw, spans) if spans else text

    def _echoes(self, raw: bytes, least: Secrecy) -> tuple[Span, ...]:
        """Return what of ``raw`` repeats a secret, or announces itself as one if the server said it."""
        context = self._context
        if context is None:
            return ()
        if context.values.holds(raw):
            return ((0, len(raw)),)
        spans = context.values.find(raw, least)
        return spans if self._by_client else joined(spans, announced_secrets(raw))


def _related(finding: Finding, context: SecretContext | None) -> list[int]:
    """Return the turns that the texts of ``finding`` come from: its own, and the one that this answers or that answers
    this."""
    index = finding.turn
    if context is None or index is None:
        return []
    turn = context.turn(index)
    if isinstance(turn, ReplySeen):
        return [index, turn.answers] if turn.answers >= 0 else [index]
    if isinstance(turn, Exchange) and turn.answer is not None and turn.answer.turn >= 0:
        return [index, turn.answer.turn]
    return [index]


def changed_value(value: Value, change: Callable[[str], str]) -> Value:
    """Return ``value`` after ``change``, if its type says that it may contain text of a peer."""
    match value:
        case Field() | Host() | IpAddress() | Keyword() | Mailbox() | Text() | Verb() if is_from_peer(value):
            return type(value)(change(value))
        case _:
            return value


def is_from_peer(value: Value) -> bool:
    """Whether the value is, or contains, something that a peer chose."""
    return type(value) in _FROM_PEERS and (type(value) is not Verb or value not in _KNOWN_VERBS)

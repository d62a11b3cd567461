"""Hide in a report what is secret: in its turns, messages, findings and notes."""

# What is secret is known before (`lines/secret_spans.py`, `exchanges/secret_context.py`); here it is taken out of the
# words. A connection without anything secret is not changed, and costs a look at each finding and message.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Exchange, ReplySeen
from ..exchanges.secret_values import Secrecy
from ..exchanges.turns import LineSeen
from ..lines.announced_secrets import secrets_in_field
from ..lines.command_line import shown_words
from ..lines.secret_spans import path_without_secrets
from ..lines.shown_text import joined, shown_text
from ..model import CommandTurn, MalformedTurn, ReplyTurn
from .finding_texts import hide_in_finding, may_hold_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..exchanges.secret_context import SecretContext
    from ..model import Connection, Header, Message, Turn

__all__ = ["OVERFLOW", "hide_secrets", "shown_address", "shown_field"]

OVERFLOW = "the client sent more that may be secret than is kept: of the server's replies, only known words are shown"
_FIELDS = ("date", "from_", "to", "cc", "reply_to", "in_reply_to", "user_agent", "x_originating_ip")


def hide_secrets(connection: Connection, context: SecretContext | None, places: Sequence[int] | None = None) -> None:
    """Hide what ``context`` says in ``connection``, in place. ``places``: the place of each turn of ``connection`` in
    the whole dialogue, if it has not all of them."""
    if context is not None:
        for at, turn in enumerate(connection.dialogue):
            _hide_in_turn(turn, context, at if places is None else places[at])
        connection.notes = [_hide_in_text(note, context, Secrecy.ANSWER) for note in connection.notes]
        if context.values.overflow:
            connection.notes.append(OVERFLOW)
    for finding in connection.findings:
        if context is not None or may_hold_secret(finding):
            hide_in_finding(finding, context)
    for message in connection.messages:
        _hide_in_message(message, context)


def _hide_in_turn(turn: Turn, context: SecretContext, index: int) -> None:
    """Make the words of a line or reply again, if a part of it is not shown."""
    spans = context.spans(index)
    if not spans:
        return
    seen = context.turn(index)
    if isinstance(turn, CommandTurn) and isinstance(seen, Exchange) and seen.line.command is not None:
        turn.verb, turn.argument = shown_words(seen.line.command, spans)
        if turn.verb is None:
            turn.predicted = "unknown"  # it depends on the verb
    elif isinstance(turn, ReplyTurn) and isinstance(seen, ReplySeen):
        raw = seen.reply.raw
        starts = [
            (part, part.at if part.code is None else part.at + 3 + len(part.separator)) for part in seen.reply.parts()
        ]
        turn.lines = [shown_text(raw, spans, start, start + len(part.text)) for part, start in starts]
    elif isinstance(turn, MalformedTurn) and isinstance(seen, LineSeen):
        turn.text = shown_text(seen.raw, spans, 0, len(seen.raw.rstrip(b"\r\n")))


def _hide_in_message(message: Message, context: SecretContext | None) -> None:
    """Hide secrets in what the report shows of the envelope and the header."""
    if context is not None or (message.from_ and ":" in message.from_):
        message.from_ = shown_address(message.from_, context)
    for recipient in message.recipients:
        if context is not None or ":" in recipient.address:
            recipient.address = shown_address(recipient.address, context) or ""
    message.subject = _field(message.subject, context)
    if message.message_id and (context is not None or ":" in message.message_id or "=" in message.message_id):
        message.message_id = _field(message.message_id, context)
    if message.header is not None:
        _hide_in_header(message.header, context)


def _hide_in_header(header: Header, context: SecretContext | None) -> None:
    for name in _FIELDS:
        setattr(header, name, _field(getattr(header, name), context))
    header.received = [_field(value, context) or "" for value in header.received]


def shown_address(address: str | None, context: SecretContext | None) -> str | None:
    """Return an address of the envelope without a password in it."""
    if not address:
        return address
    raw = address.encode("latin-1", "replace")
    echoes = () if context is None else context.values.find(raw, Secrecy.PASSWORD, apart=True)
    spans = joined(path_without_secrets(raw), echoes)
    return shown_text(raw, spans) if spans else address


def shown_field(value: str) -> str:
    """Return the value of a header field, or a name from one, without what announces itself as a secret."""
    return _field(value, None) or ""


def _field(value: str | None, context: SecretContext | None) -> str | None:
    if not value:
        return value
    raw = value.encode("latin-1", "replace")
    spans = secrets_in_field(raw)
    if context is not None:
        spans = joined(spans, context.values.find(raw, Secrecy.PASSWORD, apart=True))
    return shown_text(raw, spans) if spans else value


def _hide_in_text(text: str, context: SecretContext, least: Secrecy) -> str:
    raw = text.encode("latin-1", "replace")
    spans = context.values.find(raw, least)
    return shown_text(raw, spans) if spans else text

"""Hide in a report what is secret: in its turns, messages, findings and notes."""

# What is secret is known before (`lines/secret_spans.py`, `exchanges/secret_context.py`); here it is taken out of the
# words. A connection without anything secret is not changed, and costs a look at each finding and message.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Exchange, ReplySeen
from ..exchanges.secret_context import shown_lines
from ..exchanges.secret_values import Secrecy
from ..exchanges.turns import LineSeen
from ..lines.command_line import shown_words
from ..lines.shown_text import shown_text
from ..model import CommandTurn, MalformedTurn, ReplyTurn
from .finding_texts import hide_in_finding, may_hold_secret
from .report_texts import shown_address, shown_field, without_echoes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..exchanges.secret_context import SecretContext
    from ..model import Connection, Header, Message, Turn

__all__ = ["OVERFLOW", "hide_secrets"]

OVERFLOW = "the client sent more that may be secret than is kept: of the server's replies, only known words are shown"
_FIELDS = ("date", "from_", "to", "cc", "reply_to", "in_reply_to", "user_agent", "x_originating_ip")


def hide_secrets(connection: Connection, context: SecretContext | None, places: Sequence[int] | None = None) -> None:
    """Hide what ``context`` says in ``connection``, in place. ``places``: the place of each turn of ``connection`` in
    the whole dialogue, if it has not all of them."""
    if context is not None:
        for at, turn in enumerate(connection.dialogue):
            _hide_in_turn(turn, context, at if places is None else places[at])
        connection.notes = [without_echoes(note, context, Secrecy.ANSWER) for note in connection.notes]
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
        turn.lines = shown_lines(seen, spans)
    elif isinstance(turn, MalformedTurn) and isinstance(seen, LineSeen):
        turn.text = shown_text(seen.raw, spans, 0, len(seen.raw.rstrip(b"\r\n")))


def _hide_in_message(message: Message, context: SecretContext | None) -> None:
    """Hide secrets in what the report shows of the envelope and the header."""
    if message.from_ and (context is not None or ":" in message.from_):
        message.from_ = shown_address(message.from_, context)
    for recipient in message.recipients:
        if context is not None or ":" in recipient.address:
            recipient.address = shown_address(recipient.address, context)
    message.subject = message.subject and shown_field(message.subject, context)
    if message.message_id and (context is not None or ":" in message.message_id or "=" in message.message_id):
        message.message_id = shown_field(message.message_id, context)
    if message.header is not None:
        _hide_in_header(message.header, context)


def _hide_in_header(header: Header, context: SecretContext | None) -> None:
    for name in _FIELDS:
        value = getattr(header, name)
        setattr(header, name, value and shown_field(value, context))
    header.received = [shown_field(value, context) for value in header.received]

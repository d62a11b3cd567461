"""Show texts of a report without the secrets in them. The texts were made printable from bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..exchanges.secret_values import Secrecy
from ..lines.announced_secrets import secrets_in_field
from ..lines.secret_spans import path_without_secrets
from ..lines.shown_text import hidden, joined, shown_text

if TYPE_CHECKING:
    from ..exchanges.secret_context import SecretContext
    from ..lines.shown_text import Span

__all__ = ["hidden_text", "original_bytes", "shown_address", "shown_field", "without_echoes"]

_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def original_bytes(text: str) -> bytes:
    """Return the bytes that ``text`` was made from (``dissectors.printable``)."""
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("latin-1", "replace")


def hidden_text(text: str) -> str:
    """Return what the report shows in place of ``text``: its length in bytes, counted before it was made printable."""
    return hidden(len(original_bytes(text)))


def shown_field(value: str, context: SecretContext | None = None) -> str:
    """Return a header field, its value, or a name from it, without what announces itself as a secret or repeats a
    password. ``context``: None if nothing in the dialogue is secret."""
    raw = original_bytes(value)
    spans = _with_passwords(secrets_in_field(raw), raw, context)
    return shown_text(raw, spans) if spans else value


def shown_address(address: str, context: SecretContext | None) -> str:
    """Return an address of the envelope without a password in it."""
    raw = original_bytes(address)
    spans = _with_passwords(path_without_secrets(raw), raw, context)
    return shown_text(raw, spans) if spans else address


def without_echoes(text: str, context: SecretContext, least: Secrecy) -> str:
    """Return a sentence without what repeats a secret that is at least as secret as ``least``."""
    raw = original_bytes(text)
    spans = context.values.find(raw, least)
    return shown_text(raw, spans) if spans else text


def _with_passwords(spans: tuple[Span, ...], raw: bytes, context: SecretContext | None) -> tuple[Span, ...]:
    return spans if context is None else joined(spans, context.values.find(raw, Secrecy.PASSWORD, apart=True))

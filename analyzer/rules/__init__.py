"""The rule book: all rules by id, and the selection of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError, nearest
from . import (
    auth_exchange,
    commands,
    declarations,
    ehlo_replies,
    extensions,
    host_names,
    lengths,
    line_ends,
    message_bodies,
    message_fields,
    messages,
    octets_content,
    octets_lines,
    parameters,
    pipelining,
    proxy_headers,
    refusals,
    replies,
    reply_codes,
    reply_count,
    security_certificates,
    security_handshake,
    security_login,
    security_probes,
    security_smuggling,
    security_tls,
    security_tls_session,
    sequence,
    sequence_replies,
    sequence_services,
    silent_connections,
    text_as_commands,
    timing,
    transport,
)
from .examples import Example, example_ids, example_of, readable
from .phrases import Phrase
from .registry import RULES, Ended, Evidence, OnContent, OnExchange, Rule, all_or_none, amend, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "RULES",
    "Ended",
    "Evidence",
    "Example",
    "OnContent",
    "OnExchange",
    "Phrase",
    "Rule",
    "all_or_none",
    "amend",
    "example_ids",
    "example_of",
    "readable",
    "resolve",
    "rule",
]

_FAMILIES = (  # the import of a family declares its rules
    sequence,
    sequence_replies,
    sequence_services,
    text_as_commands,
    octets_lines,
    line_ends,
    octets_content,
    transport,
    proxy_headers,
    silent_connections,
    commands,
    host_names,
    parameters,
    auth_exchange,
    extensions,
    declarations,
    pipelining,
    lengths,
    security_handshake,
    security_login,
    security_probes,
    security_smuggling,
    security_tls,
    security_tls_session,
    security_certificates,
    replies,
    ehlo_replies,
    reply_codes,
    refusals,
    reply_count,
    messages,
    message_fields,
    message_bodies,
    timing,
)


def resolve(selectors: Sequence[str]) -> frozenset[str]:
    """Return the ids of all rules that ``selectors`` name: by id, by the start of an id (SEQ, BIT2), or by name.

    Raises UsageError, with the nearest known name, for a selector that matches no rule.
    """
    found: set[str] = set()
    for selector in selectors:
        wanted = selector.strip()
        ids = {r.id for r in RULES.values() if r.name == wanted.lower() or (wanted and r.id.startswith(wanted.upper()))}
        if not ids:
            names = [*RULES, *(r.name for r in RULES.values())]
            near = nearest(wanted.upper(), names) or nearest(wanted.lower(), names)
            hint = f"did you mean {near}?" if near else "give ids (SEQ101), starts of ids (SEQ) or names"
            raise UsageError("no such rule", wanted, hint)
        found |= ids
    return frozenset(found)

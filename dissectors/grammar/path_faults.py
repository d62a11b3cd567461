"""Why a text is not a path: the reason in words, for a person who has to correct it (RFC 5321 §4.1.2)."""

from __future__ import annotations

import re

from ..lazy_regex import LazyPattern
from .abnf import ADDRESS_LITERAL, DOMAIN

__all__ = ["path_fault"]

_LONGEST = 1024  # octets of a text that is examined; a path has at most 256 (RFC 5321 §4.5.3.1.3)

# A quoted string that never ends goes to the end of the text, so that nothing of it is read again.
_QUOTED = LazyPattern(rb'"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_SEPARATOR = LazyPattern(rb"[,; \t]+")
_CONTROL = LazyPattern(rb"[\x00-\x1f\x7f]")
_ODD_DOT = LazyPattern(rb"\A\.|\.\.|\.\Z")
_HOST = LazyPattern(rb"(?:" + DOMAIN + rb"|" + ADDRESS_LITERAL + rb")", re.DOTALL)


def path_fault(text: bytes) -> str:
    """Return what is wrong with ``text``, which stands in the place of a path and is not one. The result contains
    nothing of the text."""
    if not text:
        return "there is nothing after the colon"
    if len(text) > _LONGEST:
        return "it is far longer than a path may be"
    bare = _without_quoted(text)  # a quoted string may contain any of the characters that are searched for
    opening, closing = bare.find(b"<"), bare.rfind(b">")
    addresses = [piece for piece in _SEPARATOR.split(bare) if b"@" in piece]
    if (len(addresses) > 1 and bare[:2] != b"<@") or -1 < bare.find(b">") < bare.rfind(b"<"):
        return "it has several addresses"
    if opening > 0 or (opening == 0 and text[:1] != b"<"):
        return "it has a display name before the address"
    if opening < 0 and closing < 0:
        return "it has no angle brackets"
    if opening < 0 or closing < 0:
        return "one of the angle brackets is missing"
    if bare.count(b"<") > 1 or bare.count(b">") > 1:
        return "it has more than one pair of angle brackets"
    return _inner_fault(text[1:].removesuffix(b">"))


def _inner_fault(text: bytes) -> str:  # noqa: PLR0911 - one return for each reason
    """Return what is wrong with ``text``, which stands between the brackets."""
    bare = _without_quoted(text)
    local, at, domain = text.rpartition(b"@")
    if b'"' in bare:
        return "a quote is not closed"
    if not at or not domain:
        return "it has no domain" if text else "it is empty"
    if not local:
        return "it has no local-part"
    if bare.startswith(b"@"):
        return "its source route is malformed"
    quoted = _QUOTED.fullmatch(local)
    if b'"' in local and (quoted is None or not quoted[1]):
        return "it has a quote in the middle"
    if not _HOST.fullmatch(domain):
        return "its domain is malformed"
    if _CONTROL.search(bare):
        return "it has a control character"
    if b" " in bare:
        return "it has a space outside quotes"
    if bare.count(b"@") > 1:
        return "it has more than one @"
    if _ODD_DOT.search(local):
        return "a dot is at an end of its local-part, or two come in a row"
    return "its local-part has a character that must be quoted"


def _without_quoted(text: bytes) -> bytes:
    """Return ``text`` without its quoted strings; one that never ends stays."""
    return _QUOTED.sub(lambda found: b"" if found[1] else found[0], text)

"""Whether the name of a host is fully qualified, so that it means the same everywhere (RFC 5321 §2.3.5)."""

from __future__ import annotations

from ..lazy_regex import LazyPattern
from .abnf import ADDRESS_LITERAL

__all__ = ["LOCAL_SUFFIXES", "is_dotted_quad", "is_qualified", "is_untagged"]

LOCAL_SUFFIXES = frozenset({b"local", b"localdomain", b"localhost"})
"""Last labels of names that only one machine or one network knows (RFC 6761 §6.3, RFC 6762 §3)."""

_SNUM = rb"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_QUAD = LazyPattern(_SNUM + rb"(?:\." + _SNUM + rb"){3}")
_LITERAL = LazyPattern(ADDRESS_LITERAL)
_NOWHERE = b"[0.0.0.0]"


def is_qualified(name: bytes) -> bool:
    """Whether ``name``, a domain or an address literal, is fully qualified. An address without brackets is a domain by
    its form, but none that exists; the address 0.0.0.0 is no address of a host."""
    if name[:1] == b"[":
        return name != _NOWHERE
    front, dot, last = name.rpartition(b".")
    if not dot or (last[:1] in b"lL" and last.lower() in LOCAL_SUFFIXES):
        return False
    return not (last.isdigit() and front.count(b".") == 2 and is_dotted_quad(name))


def is_dotted_quad(name: bytes) -> bool:
    """Whether ``name`` is an IPv4 address without brackets."""
    return _QUAD.fullmatch(name) is not None


def is_untagged(literal: bytes) -> bool:
    """Whether ``literal``, in brackets, is an IPv6 address without the tag that must come before it (RFC 5321
    §4.1.3)."""
    return _LITERAL.fullmatch(b"[IPv6:" + literal[1:]) is not None

"""Judge the bodies of two fields: the authors in From, and the identifier in Message-ID (RFC 5322 §3.6)."""

# Theory
# ------
# Nearly every message has both fields in a plain form, which one match recognises. Only another body is read token by
# token. All of it is linear in the length of the body: no pattern reads the same octets again, and a quoted string,
# literal or comment that never ends goes to the end of the body.
#
# A body may hold octets above 127 (RFC 6532 §3.2). Without SMTPUTF8 they are wrong too, but BIT205 says that.

from __future__ import annotations

import re
from typing import NamedTuple

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable

__all__ = ["AuthorFault", "author_fault", "message_id_fault", "without_comments"]

MAX_ADDRESS = 80  # octets of an address that are quoted

_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]"
_DOT_ATOM = rb"%b++(?:\.%b++)*+" % (_ATEXT, _ATEXT)
_QUOTED = rb'"(?:[^"\\]|\\.)*+"'
_BLANK = rb"[ \t\r\n]*+"
# RFC 5322 §3.4.1: dtext is printable ASCII without brackets and backslash
_LITERAL = rb"\[[!-Z^-~\x80-\xff]*+\]"

_PLAIN_ID = LazyPattern(rb"%b<%b@(?:%b|%b)>%b" % (_BLANK, _DOT_ATOM, _DOT_ATOM, _LITERAL, _BLANK))
# RFC 5322 §4.5.4: white space and quoted strings, without the comments
_WORD = rb"%b(?:%b++|%b)%b" % (_BLANK, _ATEXT, _QUOTED, _BLANK)
_WORDS = rb"%b(?:\.%b)*+" % (_WORD, _WORD)
_ATOM = rb"%b%b++%b" % (_BLANK, _ATEXT, _BLANK)
_ATOMS = rb"%b(?:\.%b)*+" % (_ATOM, _ATOM)
_OLD_LITERAL = rb"%b\[(?:[^\[\]\\]|\\.)*+\]%b" % (_BLANK, _BLANK)
_OLD_ID = LazyPattern(
    rb"%b<%b@(?:%b|%b)>%b" % (_BLANK, _WORDS, _OLD_LITERAL, _ATOMS, _BLANK),
    re.DOTALL,
)

# One mailbox, as programs usually write it: an address, or a name and an address in angle brackets.
_PLAIN_AUTHOR = LazyPattern(
    rb"%b(?:(?:[A-Za-z0-9!#$%%&'*+/=?^_`{|}~. \t\x80-\xff-]*+|%b)%b<%b@%b>|%b@%b)%b"
    % (_BLANK, _QUOTED, _BLANK, _DOT_ATOM, _DOT_ATOM, _DOT_ATOM, _DOT_ATOM, _BLANK),
    re.DOTALL,
)
# What separates addresses, or hides a separator: encoded words (RFC 2047 §2), quoted strings, literals.
_TOKEN = LazyPattern(
    rb'=\?[^?\s]++\?[BbQq]\?[^?\s]*+\?=|%b?|\[(?:[^\[\]\\]|\\.)*+\]?|[<>,:;@]|[^<>,:;@"\[=]++|.' % _QUOTED, re.DOTALL
)
_OUTSIDE_COMMENT = LazyPattern(rb'[^"(]++|%b?|\(|.' % _QUOTED, re.DOTALL)
_INSIDE_COMMENT = LazyPattern(rb"[()]|[^()\\]++|\\.?", re.DOTALL)


class AuthorFault(NamedTuple):
    """What is wrong with the authors: ``what`` about the one that is quoted in ``author``. ``authors``: how many there
    are, if there are too many."""

    what: str
    author: str = ""
    authors: int = 0


def message_id_fault(body: bytes) -> str | None:
    """Return what is wrong with the body of a Message-ID field, None if it is <left@right>."""
    if _PLAIN_ID.fullmatch(body):
        return None
    text = without_comments(body).strip(b" \t\r\n")
    if _OLD_ID.fullmatch(text):
        return None
    if not text:
        return "is empty"
    if b"<" not in text or b">" not in text:
        return "has no angle brackets"
    if not (text.startswith(b"<") and text.endswith(b">")):
        return "has text outside its angle brackets"
    if b"@" not in text:
        return "has no @"
    return "is not of the form <left@right>"


def author_fault(body: bytes, *, sender: bool) -> AuthorFault | None:
    """Return the first thing that is wrong with the body of a From field. ``sender``: there is a Sender field."""
    if _PLAIN_AUTHOR.fullmatch(body):
        return None
    addresses, groups = _addresses(without_comments(body))
    if not addresses and not groups:
        return AuthorFault("is empty")
    for address in addresses:
        if not _has_domain(address):
            return AuthorFault("has no domain", printable(b" ".join(address.split())[:MAX_ADDRESS]) or "<>")
    if len(addresses) > 1 and not sender:
        return AuthorFault("has several authors", authors=len(addresses))
    return None


def _addresses(body: bytes) -> tuple[list[bytes], bool]:
    """Return the addresses of an address list outside its groups (RFC 5322 §3.4), and whether it has a group. An
    address is what its angle brackets hold, or all of it."""
    found: list[bytes] = []
    parts: list[bytes] = []  # of the address so far
    inside: list[bytes] | None = None  # of its angle brackets
    angle = groups = in_group = False
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token == b"<" and not angle:
            angle, inside = True, []
        elif angle:
            if token == b">":
                angle = False
            elif inside is not None:
                inside.append(token)
        elif token == b":":
            groups = in_group = True
            parts, inside = [], None
        elif token in (b",", b";"):
            _end_address(found, parts, inside, in_group=in_group)
            parts, inside = [], None
            in_group = in_group and token == b","
        else:
            parts.append(token)
    _end_address(found, parts, inside, in_group=in_group)
    return found, groups


def _end_address(found: list[bytes], parts: list[bytes], inside: list[bytes] | None, *, in_group: bool) -> None:
    """Add an address to ``found``, if there is one and it is not in a group."""
    address = b"".join(parts if inside is None else inside).strip(b" \t\r\n")
    if not in_group and (address or inside is not None):
        found.append(address)


def _has_domain(address: bytes) -> bool:
    """Whether there is an "@" outside quoted strings with something after it. A route may come first: it ends with a
    colon (RFC 5322 §4.4)."""
    domain = b""
    after = False
    for match in _TOKEN.finditer(address):
        token = match[0]
        if token == b"@":
            after, domain = True, b""
        elif token == b":":
            after, domain = False, b""
        elif after:
            domain += token
            if len(domain) > MAX_ADDRESS:
                return True
    return bool(domain.strip(b" \t\r\n"))


def without_comments(body: bytes) -> bytes:
    """Return a field body without its comments (RFC 5322 §3.2.2), which may be nested. A comment that never ends is
    kept as text."""
    if b"(" not in body:
        return body
    kept: list[bytes] = []
    depth = at = start = 0
    while at < len(body):
        match = (_INSIDE_COMMENT if depth else _OUTSIDE_COMMENT).match(body, at)
        assert match is not None
        if match[0] == b"(":
            start = start if depth else at
            depth += 1
        elif depth:
            depth -= match[0] == b")"
        else:
            kept.append(match[0])
        at = match.end()
    if depth:
        kept.append(body[start:])
    return b"".join(kept)

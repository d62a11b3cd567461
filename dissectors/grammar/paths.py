"""Reverse-path and forward-path: mailboxes in angle brackets, with source routes and address literals."""

from __future__ import annotations

import re

from msgspec import Struct

from .abnf import ADDRESS_LITERAL, DOMAIN, DOT_STRING, LOCAL_PART
from .productions import Parts, Production

__all__ = [
    "COMMON_PATH",
    "FORWARD_PATH",
    "MAILBOX",
    "REVERSE_PATH",
    "Path",
    "parse_path",
    "parse_user",
    "path_of",
]

# RFC 5321 §4.1.2:  Mailbox = Local-part "@" ( Domain / address-literal )
_MAILBOX = rb"(?P<local>" + LOCAL_PART + rb")@(?P<domain>" + DOMAIN + rb"|" + ADDRESS_LITERAL + rb")"

# RFC 5321 §4.1.2:  At-domain = "@" Domain
#                   A-d-l = At-domain *( "," At-domain )
_ROUTE = rb"(?P<route>@" + DOMAIN + rb"(?:,@" + DOMAIN + rb")*)"

# RFC 5321 §4.1.2:  Path = "<" [ A-d-l ":" ] Mailbox ">"
_PATH = rb"<(?:" + _ROUTE + rb":)?" + _MAILBOX + rb">"

# A path without route, quoted string and literal.
COMMON_PATH = rb"<(?P<local>" + DOT_STRING + rb")@(?P<domain>" + DOMAIN + rb")>"


class Path(Struct, frozen=True):
    """A path as sent. ``route``: the domains of a source route, in order. ``local`` and ``domain``: both None in the
    null path; only ``domain`` is None in ``<Postmaster>``. Quoting and case are kept."""

    raw: bytes
    route: tuple[bytes, ...]
    local: bytes | None
    domain: bytes | None

    @property
    def address(self) -> bytes:
        """The mailbox without brackets and source route; empty for the null path."""
        if self.local is None:
            return b""
        return self.local if self.domain is None else self.local + b"@" + self.domain


def _render_mailbox(parts: Parts) -> bytes:
    return b"%b@%b" % (parts["local"] or b"", parts["domain"] or b"")


def _render_path(parts: Parts) -> bytes:
    if parts["local"] is None:
        return b"<%b>" % (parts.get("postmaster") or b"")
    route = parts["route"]
    return b"<%b%b>" % (b"" if route is None else route + b":", _render_mailbox(parts))


# Fields: local, domain. Without brackets, as in VRFY.
MAILBOX = Production(_MAILBOX, _render_mailbox, local=None, domain=None)

# RFC 5321 §4.1.2:  Reverse-path = Path / "<>"
# Fields: route (b"@a,@b" or None), local, domain; all None in the null path.
REVERSE_PATH = Production(rb"(?:" + _PATH + rb"|<>)", _render_path, route=None, local=None, domain=None)

# RFC 5321 §4.1.1.3: "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path   ; Postmaster in any case
# Fields: as above, and postmaster: that word as sent if it has no domain, else None.
FORWARD_PATH = Production(
    rb"(?:" + _PATH + rb"|<(?P<postmaster>[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr])>)",
    _render_path,
    route=None,
    local=None,
    domain=None,
    postmaster=None,
)


def path_of(match: re.Match[bytes], raw: bytes) -> Path:
    """Return the path in a match of any production above; ``raw`` is the text of the path alone."""
    groups = match.groupdict()
    route = groups.get("route")
    return Path(
        raw,
        () if route is None else tuple(hop[1:] for hop in route.split(b",")),
        groups["local"] or groups.get("postmaster"),
        groups["domain"],
    )


def parse_path(data: bytes) -> Path | None:
    """Parse ``data`` as a path with brackets (also ``<>`` and ``<Postmaster>``); None if invalid (RFC 5321 §4.1.2)."""
    match = FORWARD_PATH.fullmatch(data) or REVERSE_PATH.fullmatch(data)
    return None if match is None else path_of(match, data)


def parse_user(data: bytes) -> Path | None:
    """Parse the user in VRFY or EXPN: a path, a mailbox without brackets, or a local-part alone (RFC 5321 §3.5.1)."""
    if data.startswith(b"<"):
        return parse_path(data)
    match = MAILBOX.fullmatch(data)
    if match is not None:
        return path_of(match, data)
    return Path(data, (), data, None) if re.fullmatch(LOCAL_PART, data, re.DOTALL) else None

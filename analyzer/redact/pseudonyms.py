"""Pseudonyms for people's names: the same name gets the same pseudonym within a run, and another in the next run."""

# Theory
# ------
# A pseudonym is a keyed hash. A reader can follow one mailbox through a report, but cannot test which name it is
# without the key. The key is random for each run and never stored. Addresses of clients become addresses that no
# network uses (240.0.0.0/4, RFC 1112 §4; 2001:db8::/32, RFC 3849), so each field keeps its type.
#
# Names in a text are found in two ways: by their form (a local part stands before an at sign), and by what occurred
# elsewhere in the connection (the recipient "jane" without a domain, the client's address in the server's greeting).

from __future__ import annotations

import re
from hashlib import blake2s
from ipaddress import IPv4Address, IPv6Address, ip_address
from secrets import token_bytes

__all__ = ["KnownPeople", "Pseudonyms"]

# A word that can be a local part, quoted or not, with the at sign if one follows. The pattern consumes whole words, so
# that a long word is scanned only once.
MAX_HEAD = 64  # characters of a long name that an expression looks for
_WORD = re.compile(r"(\"[^\"]{1,256}\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\\-]+)(@?)")
_PARAMETER = re.compile(r"(?:AUTH|LOGIN|NAME|FROM|TO|mailto)=|(?:mailto|rfc822)%3[AB]", re.IGNORECASE)
# Role mailboxes (RFC 2142) and words of the protocol: replaced before an at sign, but not elsewhere.
_NO_NAMES = frozenset(
    (
        *("abuse", "admin", "hostmaster", "info", "mail", "news", "noc", "noreply", "no-reply", "postmaster", "root"),
        *("sales", "security", "support", "test", "usenet", "user", "users", "webmaster", "www", "mailbox", "host"),
        *("helo", "ehlo", "lhlo", "from", "rcpt", "data", "bdat", "rset", "vrfy", "expn", "help", "noop", "quit"),
        *("turn", "etrn", "auth", "send", "soml", "saml", "size", "body", "last", "smtp", "esmtp", "localhost"),
        *(
            "the",
            "and",
            "for",
            "not",
            "recipient",
            "sender",
            "address",
            "domain",
            "local",
            "unknown",
            "client",
            "server",
        ),
    )
)
MIN_NAME = 3
MAX_NAMES = 256  # names collected in one connection; limits the size of the pattern too


class Pseudonyms:
    """The pseudonyms of one run. ``key``: 32 bytes; random if None."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or token_bytes(32)

    def of(self, kind: str, value: str) -> str:
        """Return the pseudonym of ``value``: ``kind`` and 8 hexadecimal digits. Case does not matter."""
        return f"{kind}-{self._hash(kind, value.casefold(), 4).hex()}"

    def address(self, address: str) -> str:
        """Return the address that replaces an IP address; for any other text a name."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return self.of("host", address)
        if parsed.version == 4:
            number = int.from_bytes(self._hash("ip", parsed.exploded, 4), "big") & 0x0FFFFFFF
            return str(IPv4Address(0xF0000000 | min(number, 0x0FFFFFFE)))
        number = int.from_bytes(self._hash("ip", parsed.exploded, 12), "big")
        return str(IPv6Address((0x20010DB8 << 96) | number))

    def mailboxes(self, text: str) -> str:
        """Return ``text`` with each local part of an address replaced; domains stay."""
        return _WORD.sub(self._local, text) if "@" in text else text

    def message_id(self, value: str) -> str:
        """Return a Message-ID with the part before the at sign replaced; if there is none, all of it."""
        left, at, domain = value.strip("<> ").rpartition("@")
        return f"<{self.of('id', left)}@{domain}>" if at else self.of("id", value)

    def _local(self, found: re.Match[str]) -> str:
        word, at = found[1], found[2]
        if not at:
            return found[0]
        named = _PARAMETER.match(word)
        before = named[0] if named else ""
        local = word[len(before) :]
        quoted = local.startswith('"')
        name = self.of("user", local.strip('"'))
        return f'{before}"{name}"{at}' if quoted else f"{before}{name}{at}"

    def _hash(self, kind: str, value: str, size: int) -> bytes:
        return blake2s(
            value.encode("utf-8", "surrogateescape"), key=self._key, person=kind.encode()[:8], digest_size=size
        ).digest()


class KnownPeople:
    """Names that occur in one connection, each with the pseudonym that replaces it everywhere."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, value: str | None, pseudonym: str) -> None:
        """Replace ``value`` by ``pseudonym`` from now on. A value that is too short or too common is ignored."""
        if value and len(value) >= MIN_NAME and value.casefold() not in _NO_NAMES and len(self._names) < MAX_NAMES:
            self._names.setdefault(value.casefold(), pseudonym)

    def pattern(self) -> re.Pattern[str] | None:
        """Return a pattern that matches all values, the longest first; None if there are none."""
        if not self._names:
            return None
        longest_first = sorted(self._names, key=len, reverse=True)
        names = "|".join(map(_findable, longest_first))
        return re.compile(rf"(?<![A-Za-z0-9@])(?:{names})(?![A-Za-z0-9])", re.IGNORECASE)

    def replaced(self, found: re.Match[str]) -> str:
        """Return the pseudonym of a match; the replacement function for ``re.sub`` with the pattern."""
        name = found[0].casefold()
        if name in self._names or len(name) < MAX_HEAD:
            return self._names.get(name, found[0])
        head = name[:MAX_HEAD]
        return next((self._names[one] for one in self._names if one.startswith(head)), found[0])


def _findable(name: str) -> str:
    """Return an expression for ``name``. Of a long name it is the start, and then all up to a blank: a text that is
    nearly the name over and over would else take the square of its length."""
    return re.escape(name) if len(name) <= MAX_HEAD else re.escape(name[:MAX_HEAD]) + r"[^\s<>]*+"

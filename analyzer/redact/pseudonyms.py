"""Names that stand for people's names: the same for the same within a run, and different in the next."""

# Theory
# ------
# A pseudonym is a keyed hash, so that a reader can follow one mailbox through a report and nobody can try out which
# name it is without the key, which is drawn for each run and never written down. Addresses of clients become addresses
# that are never used on a network (240.0.0.0/4, RFC 1112 §4; 2001:db8::/32, RFC 3849), so that each field keeps its
# type.
#
# Whose name a text holds is found in two ways: by its form (a local part stands before an at sign), and by what the
# connection has told elsewhere (the recipient "jane" without a domain, the client's address in the server's greeting).

from __future__ import annotations

import re
from hashlib import blake2s
from ipaddress import IPv4Address, IPv6Address, ip_address
from secrets import token_bytes

__all__ = ["KnownPeople", "Pseudonyms"]

# A word of a local part, quoted or not, with the at sign behind it if it is one. Whole words are taken one after the
# other, so that a long one is looked at once.
_WORD = re.compile(r"(\"[^\"]{1,256}\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\\-]+)(@?)")
_PARAMETER = re.compile(r"(?:AUTH|LOGIN|NAME|FROM|TO|mailto)=|(?:mailto|rfc822)%3[AB]", re.IGNORECASE)
# Mailboxes of roles (RFC 2142) and the words of the protocol: replaced before an at sign, not wherever they stand.
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
MAX_NAMES = 256  # names that one connection has told, the same limit for the pattern made of them


class Pseudonyms:
    """The names of one run. ``key``: 32 bytes; drawn if not given."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or token_bytes(32)

    def of(self, kind: str, value: str) -> str:
        """What stands for ``value``: ``kind`` and 8 hexadecimal digits. Case does not matter."""
        return f"{kind}-{self._hash(kind, value.casefold(), 4).hex()}"

    def address(self, address: str) -> str:
        """The address that stands for an IP address; of anything else a name."""
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
        """``text`` with each local part of an address replaced; domains stay."""
        return _WORD.sub(self._local, text) if "@" in text else text

    def message_id(self, value: str) -> str:
        """A Message-ID: what is before the at sign, or all of it."""
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
    """What one connection has told of people: values to be replaced wherever they stand."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, value: str | None, pseudonym: str) -> None:
        """Replace ``value`` by ``pseudonym`` from now on; what is too short or too common is left alone."""
        if value and len(value) >= MIN_NAME and value.casefold() not in _NO_NAMES and len(self._names) < MAX_NAMES:
            self._names.setdefault(value.casefold(), pseudonym)

    def pattern(self) -> re.Pattern[str] | None:
        """Matches all values, the longest first."""
        if not self._names:
            return None
        longest_first = sorted(self._names, key=len, reverse=True)
        return re.compile(
            rf"(?<![A-Za-z0-9@])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9])", re.IGNORECASE
        )

    def replaced(self, found: re.Match[str]) -> str:
        """For ``re.sub`` with the pattern."""
        return self._names.get(found[0].casefold(), found[0])

"""Read the messages of a TLS handshake that say what the two sides offer and choose."""

# Theory
# ------
# A body is what follows the four octets of header of a handshake message: type and length (RFC 8446 §4). The hellos are
# alike in all versions from SSL 3 to TLS 1.3; what is new since TLS 1.0 is in extensions (RFC 6066, RFC 8446 §4.2).
#
# If a length has no room in its message, nothing after it can be read, and the message is not read at all: a hello
# without its last extensions would offer something else. If the lengths fit and only the content of an extension is
# wrong, what would be read from it is missing. Numbers are not checked: values that do not exist are returned as they
# are. If an extension comes twice, which RFC 8446 §4.2 forbids, the first one counts.

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

__all__ = [
    "ClientHello",
    "EncryptedExtensions",
    "ServerHello",
    "read_certificate_list",
    "read_client_hello",
    "read_encrypted_extensions",
    "read_server_hello",
    "read_server_key_exchange_bits",
    "read_server_key_exchange_group",
]

# Types of extensions (the registry "TLS ExtensionType Values" at IANA)
_SERVER_NAME: Final = 0  # RFC 6066 §3
_SUPPORTED_GROUPS: Final = 10  # RFC 8446 §4.2.7, RFC 8422 §5.1.1
_SIGNATURE_ALGORITHMS: Final = 13  # RFC 8446 §4.2.3, RFC 5246 §7.4.1.4.1
_ALPN: Final = 16  # RFC 7301 §3.1
_ENCRYPT_THEN_MAC: Final = 22  # RFC 7366 §2
_EXTENDED_MASTER_SECRET: Final = 23  # RFC 7627 §5.1
_PRE_SHARED_KEY: Final = 41  # RFC 8446 §4.2.11
_EARLY_DATA: Final = 42  # RFC 8446 §4.2.10
_SUPPORTED_VERSIONS: Final = 43  # RFC 8446 §4.2.1
_KEY_SHARE: Final = 51  # RFC 8446 §4.2.8
_RENEGOTIATION_INFO: Final = 0xFF01  # RFC 5746 §3.2

_RENEGOTIATION_SUITE: Final = 0x00FF  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 §3.3)
_HOST_NAME: Final = 0  # RFC 6066 §3
_NAMED_CURVE: Final = 3  # RFC 8422 §5.4
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446 §4.1.3
_MOST_CERTIFICATES: Final = 16  # of one message; real chains have two to four


class ClientHello(Struct, frozen=True):
    """What the client offers (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).

    ``version``: the version outside the extensions. ``extensions``: type and content of each, in order. The fields
    after it are read from them; each is empty if its extension is missing or wrong. ``sni``: the host name that the
    client asks for. ``alpn``: the protocols that it offers inside TLS, the preferred one first. ``versions``: those of
    the extension supported_versions. ``key_share_groups``: the groups for which it sends a key at once.
    ``offers_renegotiation_info``: by the extension or by the suite that stands for it (RFC 5746 §3.4)."""

    version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    compressions: bytes
    extensions: tuple[tuple[int, bytes], ...]
    sni: bytes | None
    alpn: tuple[bytes, ...]
    versions: tuple[int, ...]
    groups: tuple[int, ...]
    key_share_groups: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    offers_early_data: bool
    offers_psk: bool
    offers_renegotiation_info: bool


class ServerHello(Struct, frozen=True):
    """What the server chose (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3).

    ``version``: the chosen one, that of the extension supported_versions if it is there. ``is_retry``: the message is
    a HelloRetryRequest, which asks for a second ClientHello (RFC 8446 §4.1.4). ``group``: the group of the key share,
    None before TLS 1.3 and if only a pre-shared key is used. ``alpn``: the chosen protocol; in TLS 1.3 it is in the
    EncryptedExtensions."""

    version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: tuple[tuple[int, bytes], ...]
    is_retry: bool
    group: int | None
    alpn: bytes | None
    encrypt_then_mac: bool
    extended_master_secret: bool
    renegotiation_info: bool
    accepts_psk: bool


class EncryptedExtensions(Struct, frozen=True):
    """The extensions of a TLS 1.3 server that are encrypted (RFC 8446 §4.3.1). ``alpn``: the chosen protocol."""

    alpn: bytes | None
    accepts_early_data: bool


class _Fields:
    """Reads fields one after another. ``broken``: a field had no room; that field and all after it are 0 or empty."""

    __slots__ = ("_at", "_data", "broken")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.broken = False

    @property
    def left(self) -> int:
        """How many octets follow."""
        return len(self._data) - self._at

    def octets(self, size: int) -> bytes:
        """Return the next ``size`` octets."""
        if size > self.left:
            self.broken = True
            self._at = len(self._data)
            return b""
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """Return the number in the next ``size`` octets."""
        return int.from_bytes(self.octets(size), "big")

    def vector(self, size: int) -> bytes:
        """Return the octets of a vector whose length is in the next ``size`` octets (RFC 8446 §3.4)."""
        return self.octets(self.number(size))

    def rest(self) -> bytes:
        """Return all octets that follow."""
        return self.octets(self.left)


def read_client_hello(body: bytes) -> ClientHello | None:
    """Return the content of a ClientHello, None if it is broken."""
    fields = _Fields(body)
    version, random, session_id = fields.number(2), fields.octets(32), fields.vector(1)
    suites, compressions = _numbers(fields.vector(2)), fields.vector(1)
    extensions = _read_extensions(fields)
    if fields.broken or extensions is None:
        return None
    known = _by_type(extensions)
    return ClientHello(
        version=version,
        random=random,
        session_id=session_id,
        suites=suites,
        compressions=compressions,
        extensions=extensions,
        sni=_host_name(known.get(_SERVER_NAME, b"")),
        alpn=_protocols(known.get(_ALPN, b"")),
        versions=_number_list(known.get(_SUPPORTED_VERSIONS, b""), 1),
        groups=_number_list(known.get(_SUPPORTED_GROUPS, b""), 2),
        key_share_groups=_key_share_groups(known.get(_KEY_SHARE, b"")),
        signature_algorithms=_number_list(known.get(_SIGNATURE_ALGORITHMS, b""), 2),
        offers_early_data=_EARLY_DATA in known,
        offers_psk=_PRE_SHARED_KEY in known,
        offers_renegotiation_info=_RENEGOTIATION_INFO in known or _RENEGOTIATION_SUITE in suites,
    )


def read_server_hello(body: bytes) -> ServerHello | None:
    """Return the content of a ServerHello or HelloRetryRequest, None if it is broken."""
    fields = _Fields(body)
    version, random, session_id = fields.number(2), fields.octets(32), fields.vector(1)
    suite, compression = fields.number(2), fields.number(1)
    extensions = _read_extensions(fields)
    if fields.broken or extensions is None:
        return None
    known = _by_type(extensions)
    chosen, share = known.get(_SUPPORTED_VERSIONS, b""), known.get(_KEY_SHARE, b"")
    return ServerHello(
        version=int.from_bytes(chosen, "big") if len(chosen) == 2 else version,
        random=random,
        session_id=session_id,
        suite=suite,
        compression=compression,
        extensions=extensions,
        is_retry=random == _RETRY,
        group=int.from_bytes(share[:2], "big") if len(share) >= 2 else None,
        alpn=_chosen_protocol(known),
        encrypt_then_mac=_ENCRYPT_THEN_MAC in known,
        extended_master_secret=_EXTENDED_MASTER_SECRET in known,
        renegotiation_info=_RENEGOTIATION_INFO in known,
        accepts_psk=_PRE_SHARED_KEY in known,
    )


def read_encrypted_extensions(body: bytes) -> EncryptedExtensions | None:
    """Return the content of the EncryptedExtensions, None if the message is broken."""
    fields = _Fields(body)
    extensions = _extension_list(fields.vector(2))
    if fields.broken or extensions is None:
        return None
    known = _by_type(extensions)
    return EncryptedExtensions(alpn=_chosen_protocol(known), accepts_early_data=_EARLY_DATA in known)


def read_server_key_exchange_group(body: bytes) -> int | None:
    """Return the group of the server's key in an ECDHE ServerKeyExchange (RFC 8422 §5.4), None if it is another one.

    The message does not name its kind, and the length of a long DHE prime begins like a named curve. So the signature
    is looked at too: nothing may follow it. It is missing if the server is anonymous, and begins with its algorithm
    since TLS 1.2 (RFC 5246 §4.7)."""
    fields = _Fields(body)
    kind, group, key = fields.number(1), fields.number(2), fields.vector(1)
    if fields.broken or kind != _NAMED_CURVE or not key:
        return None
    rest = fields.rest()
    lengths = [int.from_bytes(rest[at : at + 2], "big") + at + 2 for at in (0, 2)]
    return group if not rest or len(rest) in lengths else None


def read_server_key_exchange_bits(body: bytes) -> int | None:
    """Return the bits of the prime in a DHE ServerKeyExchange (RFC 5246 §7.4.3), None if the message is broken. The
    caller knows from the suite that it is DHE."""
    fields = _Fields(body)
    prime, generator, key = fields.vector(2), fields.vector(2), fields.vector(2)
    prime = prime.lstrip(b"\0")
    if fields.broken or not (prime and generator and key):
        return None
    return 8 * (len(prime) - 1) + prime[0].bit_length()


def read_certificate_list(body: bytes, *, tls13: bool) -> tuple[bytes, ...]:
    """Return the certificates of a Certificate message in order, each as DER; the first one is the sender's own
    (RFC 5246 §7.4.2, RFC 8446 §4.4.2). At most 16; none after a length that has no room."""
    fields = _Fields(body)
    if tls13:
        fields.vector(1)  # the context of the request
    entries = _Fields(fields.vector(3))
    found: list[bytes] = []
    while not fields.broken and entries.left and len(found) < _MOST_CERTIFICATES:
        certificate = entries.vector(3)
        if entries.broken:
            break
        if certificate:
            found.append(certificate)
        if tls13:
            entries.vector(2)  # extensions of this certificate
    return tuple(found)


def _read_extensions(fields: _Fields) -> tuple[tuple[int, bytes], ...] | None:
    """Return the extensions at the end of a hello, which has none at all in older versions; None if broken."""
    return _extension_list(fields.vector(2)) if fields.left else ()


def _extension_list(data: bytes) -> tuple[tuple[int, bytes], ...] | None:
    found: list[tuple[int, bytes]] = []
    at, end, number = 0, len(data), int.from_bytes
    while at < end:
        start = at + 4
        stop = start + number(data[at + 2 : start], "big")
        if start > end or stop > end:
            return None
        found.append((number(data[at : at + 2], "big"), data[start:stop]))
        at = stop
    return tuple(found)


def _by_type(extensions: tuple[tuple[int, bytes], ...]) -> dict[int, bytes]:
    return dict(reversed(extensions))  # the first of two remains


def _numbers(data: bytes) -> tuple[int, ...]:
    """Return the numbers of two octets in ``data``, without half a number at the end."""
    count = len(data) // 2
    return struct.unpack(f">{count}H", data[: 2 * count])


def _number_list(content: bytes, size: int) -> tuple[int, ...]:
    """Return the numbers of an extension that is a vector of them; ``size``: octets of its length."""
    stop = size + int.from_bytes(content[:size], "big")
    return _numbers(content[size:stop]) if stop <= len(content) else ()


def _host_name(content: bytes) -> bytes | None:
    outer = _Fields(content)
    names = _Fields(outer.vector(2))
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME and name:
            return name
    return None


def _protocols(content: bytes) -> tuple[bytes, ...]:
    outer = _Fields(content)
    names = _Fields(outer.vector(2))
    found: list[bytes] = []
    while names.left:
        found.append(names.vector(1))
    return () if names.broken else tuple(found)


def _chosen_protocol(known: dict[int, bytes]) -> bytes | None:
    """Return the protocol in the server's ALPN, which has exactly one (RFC 7301 §3.1)."""
    names = _protocols(known.get(_ALPN, b""))
    return names[0] if len(names) == 1 and names[0] else None


def _key_share_groups(content: bytes) -> tuple[int, ...]:
    outer = _Fields(content)
    shares = _Fields(outer.vector(2))
    found: list[int] = []
    while shares.left:
        group = shares.number(2)
        shares.vector(2)
        found.append(group)
    return () if shares.broken else tuple(found)

"""Keys of one direction, and how they open a record: AEAD, CBC with its MAC, and what is older."""

# Theory
# ------
# TLS 1.3 derives the keys of a direction from a traffic secret of the key log (RFC 8446 §7.3). TLS 1.0 to 1.2 derive
# those of both directions from the master secret and both randoms (RFC 5246 §6.3, RFC 2246 §6.3).
#
# Nothing is taken for plaintext before its tag or MAC was checked. That is all the proof there is that the keys are the
# right ones: CBC with wrong keys gives plausible lengths now and then.
#
# This is the only module that needs the package `cryptography`, and it is imported only when there are keys.

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from .records import HEADER

if TYPE_CHECKING:
    from .suites import Suite

__all__ = ["Keys", "older_keys", "traffic_keys", "updated_secret"]

TLS11, TLS12 = 0x0302, 0x0303
_UNKNOWN = -2  # no number of a record, and not the one before the first
_IV_SIZES = {"gcm": 4, "ccm": 4, "ccm8": 4, "chacha20": 12, "cbc": 16, "rc4": 0, "null": 0}  # in the key block


class Keys(Protocol):
    """The keys of one direction. ``sequence``: number of the next record that they open."""

    sequence: int
    overhead: int

    def open(self, record: bytes, sequence: int) -> tuple[int, bytes] | None:
        """Return type and content of a record with its header, None if it is not number ``sequence`` under these keys.
        If it is, ``sequence`` is set to the next one."""

    def skip(self, record: bytes | None) -> None:
        """Note that ``record`` was sent under these keys but could not be opened. None: it is missing."""


class _Aead13:
    """Keys of TLS 1.3 (RFC 8446 §5.2, §5.3)."""

    __slots__ = ("_aead", "_iv", "overhead", "secret", "sequence")

    def __init__(self, suite: Suite, secret: bytes) -> None:
        self.secret = secret
        self.sequence = 0
        self._aead = _aead(suite, _expand(suite.hash, secret, b"key", suite.key_size))
        self._iv = int.from_bytes(_expand(suite.hash, secret, b"iv", 12), "big")
        self.overhead = HEADER + 1 + (8 if suite.mode == "ccm8" else 16)

    def open(self, record: bytes, sequence: int) -> tuple[int, bytes] | None:
        """See ``Keys``."""
        try:
            inner = self._aead.decrypt((self._iv ^ sequence).to_bytes(12, "big"), record[HEADER:], record[:HEADER])
        except (InvalidTag, ValueError):
            return None
        self.sequence = sequence + 1
        inner = inner.rstrip(b"\0")  # padding; the type is the last octet before it
        return (inner[-1], inner[:-1]) if inner else (0, b"")

    def skip(self, record: bytes | None) -> None:
        """See ``Keys``."""


class _Aead12:
    """Keys of an AEAD before TLS 1.3 (RFC 5246 §6.2.3.3, RFC 5288 §3, RFC 7905 §2)."""

    __slots__ = ("_aead", "_explicit", "_iv", "_tag", "overhead", "sequence")

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self.sequence = 0
        self._aead = _aead(suite, key)
        self._iv = iv
        self._tag = 8 if suite.mode == "ccm8" else 16
        self._explicit = 0 if suite.mode == "chacha20" else 8  # octets of the nonce that stand in the record
        self.overhead = HEADER + self._explicit + self._tag

    def open(self, record: bytes, sequence: int) -> tuple[int, bytes] | None:
        """See ``Keys``."""
        start = HEADER + self._explicit
        size = len(record) - start - self._tag
        if size < 0:
            return None
        if self._explicit:
            nonce = self._iv + record[HEADER:start]
        else:
            nonce = (int.from_bytes(self._iv, "big") ^ sequence).to_bytes(12, "big")
        known = sequence.to_bytes(8, "big") + record[:3] + size.to_bytes(2, "big")
        try:
            plain = self._aead.decrypt(nonce, record[start:], known)
        except (InvalidTag, ValueError):
            return None
        self.sequence = sequence + 1
        return record[0], plain

    def skip(self, record: bytes | None) -> None:
        """See ``Keys``."""


class _Blocks:
    """Keys of a block cipher in CBC mode with an HMAC (RFC 5246 §6.2.3.2; encrypt-then-MAC: RFC 7366).

    TLS 1.0 chains: the last block of a record is the IV of the next one. After a lost record it is not known, and the
    next record cannot be opened, but its last block is the IV of the one after it. With encrypt-then-MAC that record is
    known to be authentic all the same, and counts as one without content.
    """

    __slots__ = (
        "_algorithm",
        "_before",
        "_chained",
        "_digest",
        "_iv",
        "_mac",
        "_mac_first",
        "_mac_key",
        "_size",
        "overhead",
        "sequence",
    )

    def __init__(
        self, suite: Suite, key: bytes, mac_key: bytes, iv: bytes, *, chained: bool, encrypt_then_mac: bool
    ) -> None:
        self.sequence = 0
        self._algorithm = _block_cipher(suite.cipher, key)
        self._mac = suite.mac
        self._mac_key = mac_key
        self._digest = hashlib.new(suite.mac).digest_size
        self._iv = iv
        self._before: int | None = -1  # number of the record that ends with ``_iv``; None: it was the last one
        self._chained = chained
        self._mac_first = not encrypt_then_mac
        self._size = self._algorithm.block_size // 8  # octets of a block
        self.overhead = 0  # the padding is not known

    def open(self, record: bytes, sequence: int) -> tuple[int, bytes] | None:
        """See ``Keys``."""
        digest, size = self._digest, self._size
        body, iv = record[HEADER:], self._iv
        known = not self._chained or self._before is None or self._before == sequence - 1
        if not self._mac_first:
            if len(body) < digest or not self._is_authentic(record, body[:-digest], body[-digest:], sequence):
                return None
            body = body[:-digest]
            if not known:
                self._go_on(body, sequence)
                return record[0], b""
        if not self._chained:
            iv, body = body[:size], body[size:]
        if not known or not body or len(body) % size or len(iv) != size:
            return None
        decryptor: CipherContext = Cipher(self._algorithm, modes.CBC(iv)).decryptor()
        plain = decryptor.update(body)
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != plain[-1:] * padding:
            return None
        plain = plain[:-padding]
        if self._mac_first:
            if len(plain) < digest or not self._is_authentic(record, plain[:-digest], plain[-digest:], sequence):
                return None
            plain = plain[:-digest]
        self._go_on(body, sequence)
        return record[0], plain

    def skip(self, record: bytes | None) -> None:
        """See ``Keys``. Whether it is a record at all is not known; so the MAC must cover what its IV opens."""
        if record is None or not self._mac_first:
            self._before = _UNKNOWN
        else:
            self._before, self._iv = None, record[-self._size :]

    def _go_on(self, body: bytes, sequence: int) -> None:
        self._before, self._iv, self.sequence = sequence, body[-self._size :], sequence + 1

    def _is_authentic(self, record: bytes, content: bytes, mac: bytes, sequence: int) -> bool:
        header = sequence.to_bytes(8, "big") + record[:3] + len(content).to_bytes(2, "big")
        return hmac.compare_digest(hmac.digest(self._mac_key, header + content, self._mac), mac)


class _Stream:
    """Keys of a stream cipher, or of no cipher, with an HMAC (RFC 5246 §6.2.3.1)."""

    __slots__ = ("_decryptor", "_mac", "_mac_key", "overhead", "sequence")

    def __init__(self, suite: Suite, key: bytes, mac_key: bytes) -> None:
        self.sequence = 0
        self._mac = suite.mac
        self._mac_key = mac_key
        self._decryptor: CipherContext | None = Cipher(_arc4(key), None).decryptor() if key else None
        self.overhead = HEADER + hashlib.new(suite.mac).digest_size

    def open(self, record: bytes, sequence: int) -> tuple[int, bytes] | None:
        """See ``Keys``. After a lost record the place in the key stream of RC4 is not known."""
        if self._decryptor is not None and sequence != self.sequence:
            return None
        digest = hashlib.new(self._mac).digest_size
        plain = record[HEADER:] if self._decryptor is None else self._decryptor.update(record[HEADER:])
        content, mac = plain[:-digest], plain[-digest:]
        header = sequence.to_bytes(8, "big") + record[:3] + len(content).to_bytes(2, "big")
        if len(plain) < digest or not hmac.compare_digest(hmac.digest(self._mac_key, header + content, self._mac), mac):
            return None
        self.sequence = sequence + 1
        return record[0], content

    def skip(self, record: bytes | None) -> None:
        """See ``Keys``."""


def traffic_keys(suite: Suite, secret: bytes) -> Keys | None:
    """Return the keys of TLS 1.3 that a traffic secret gives, None if its length is not that of the suite's hash."""
    if suite.mac or len(secret) != hashlib.new(suite.hash).digest_size:
        return None
    return _Aead13(suite, secret)


def updated_secret(suite: Suite, keys: Keys) -> bytes:
    """Return the secret that follows the one of ``keys`` after a KeyUpdate (RFC 8446 §7.2)."""
    assert isinstance(keys, _Aead13)
    return _expand(suite.hash, keys.secret, b"traffic upd", len(keys.secret))


def older_keys(
    suite: Suite, version: int, master: bytes, client_random: bytes, server_random: bytes, *, encrypt_then_mac: bool
) -> tuple[Keys, Keys]:
    """Return the keys of client and server that a master secret gives in TLS 1.0 to 1.2, and in SSL 3 nothing."""
    mac_size = hashlib.new(suite.mac).digest_size if suite.mac else 0
    sizes = (mac_size, suite.key_size, 8 if suite.cipher == "3des" else _IV_SIZES[suite.mode])
    seed = b"key expansion" + server_random + client_random
    block = _prf(suite, version, master, seed, 2 * sum(sizes))
    parts: list[tuple[bytes, bytes]] = []
    at = 0
    for size in sizes:
        parts.append((block[at : at + size], block[at + size : at + 2 * size]))
        at += 2 * size

    def keys_of(side: int) -> Keys:
        mac_key, key, iv = parts[0][side], parts[1][side], parts[2][side]
        if suite.mode == "cbc":
            return _Blocks(suite, key, mac_key, iv, chained=version < TLS11, encrypt_then_mac=encrypt_then_mac)
        if suite.mac:
            return _Stream(suite, key, mac_key)
        return _Aead12(suite, key, iv)

    return keys_of(0), keys_of(1)


def _aead(suite: Suite, key: bytes) -> AESGCM | AESCCM | ChaCha20Poly1305:
    if suite.mode == "gcm":
        return AESGCM(key)
    if suite.mode == "chacha20":
        return ChaCha20Poly1305(key)
    return AESCCM(key, 8 if suite.mode == "ccm8" else 16)


def _block_cipher(cipher: str, key: bytes) -> algorithms.AES:
    if cipher == "aes":
        return algorithms.AES(key)
    from cryptography.hazmat.decrepit.ciphers import algorithms as old  # noqa: PLC0415  few need it

    if cipher == "3des":
        return old.TripleDES(key)  # type: ignore[return-value]
    camellia = getattr(old, "Camellia", None) or vars(algorithms)["Camellia"]  # where it was in older releases
    return camellia(key)  # type: ignore[no-any-return]


def _arc4(key: bytes) -> algorithms.AES:
    from cryptography.hazmat.decrepit.ciphers import algorithms as old  # noqa: PLC0415  few need it

    return old.ARC4(key)  # type: ignore[return-value]


def _expand(name: str, secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 §7.1)."""
    label = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    out = block = b""
    while len(out) < size:
        block = hmac.digest(secret, block + info + bytes([len(out) // hashlib.new(name).digest_size + 1]), name)
        out += block
    return out[:size]


def _prf(suite: Suite, version: int, secret: bytes, seed: bytes, size: int) -> bytes:
    """The pseudorandom function: of the suite's hash in TLS 1.2 (RFC 5246 §5), of MD5 and SHA-1 before it."""
    if version >= TLS12:
        return _p_hash(suite.hash, secret, seed, size)
    half = (len(secret) + 1) // 2
    halves = zip(_p_hash("md5", secret[:half], seed, size), _p_hash("sha1", secret[-half:], seed, size), strict=True)
    return bytes(a ^ b for a, b in halves)


def _p_hash(name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    out, a = b"", seed
    while len(out) < size:
        a = hmac.digest(secret, a, name)
        out += hmac.digest(secret, a + seed, name)
    return out[:size]

"""Ends of TLS sessions that send what no real program sends: any record in any order, protected with the right keys.

An ``End`` is one side. It is told when its keys change, so that it can also change them when it must not. The secrets
are always the same ones; ``key_log`` returns them. Tests that use it need the package ``cryptography``.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    Side = Literal["client", "server"]

__all__ = [
    "ALERT",
    "CHANGE_CIPHER",
    "CLIENT_RANDOM",
    "DATA",
    "HANDSHAKE",
    "KINDS",
    "LABELS",
    "OTHER_RANDOM",
    "RETRY",
    "SERVER_RANDOM",
    "End",
    "Kind",
    "client_hello",
    "encrypted_extensions",
    "key_log",
    "message",
    "record",
    "server_hello",
]

CHANGE_CIPHER, ALERT, HANDSHAKE, DATA = range(20, 24)
CLIENT_RANDOM, OTHER_RANDOM, SERVER_RANDOM = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446 §4.1.3)."""

LABELS = (
    b"CLIENT_RANDOM",
    b"CLIENT_EARLY_TRAFFIC_SECRET",
    b"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    b"SERVER_HANDSHAKE_TRAFFIC_SECRET",
    b"CLIENT_TRAFFIC_SECRET_0",
    b"SERVER_TRAFFIC_SECRET_0",
)


class Kind(NamedTuple):
    """Version and suite of a session. ``protection``: how its records are protected."""

    version: int
    suite: int
    protection: Literal["1.3", "gcm", "cbc"]
    encrypt_then_mac: bool = False


KINDS = (
    Kind(0x0304, 0x1301, "1.3"),
    Kind(0x0303, 0xC02F, "gcm"),
    Kind(0x0303, 0xC013, "cbc"),
    Kind(0x0303, 0xC013, "cbc", encrypt_then_mac=True),
    Kind(0x0301, 0xC013, "cbc"),
    Kind(0x0301, 0xC013, "cbc", encrypt_then_mac=True),
)


def record(kind: int, content: bytes) -> bytes:
    """Return a record that is not protected."""
    return bytes((kind, 3, 3)) + len(content).to_bytes(2, "big") + content


def message(kind: int, body: bytes) -> bytes:
    """Return a handshake message."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def client_hello(kind: Kind, *, random: bytes = CLIENT_RANDOM, early: bool = False) -> bytes:
    """Return a ClientHello, with early data if ``early``."""
    pairs = [(43, b"\2\3\4")] if kind.version == 0x0304 else []
    pairs += [(42, b""), (41, b"psk")] if early else []
    suites = b"\0\2" + kind.suite.to_bytes(2, "big")
    return message(1, b"\3\3" + random + b"\0" + suites + b"\1\0" + _extensions(pairs))


def server_hello(kind: Kind, *, random: bytes = SERVER_RANDOM, suite: int | None = None, older: bool = False) -> bytes:
    """Return a ServerHello. ``older``: it chooses TLS 1.2 in any case."""
    pairs = [(43, b"\3\4")] if kind.version == 0x0304 and not older else []
    pairs += [(22, b"")] if kind.encrypt_then_mac else []
    chosen = (kind.suite if suite is None else suite).to_bytes(2, "big")
    version = min(kind.version, 0x0303).to_bytes(2, "big")
    return message(2, version + random + b"\0" + chosen + b"\0" + _extensions(pairs))


def encrypted_extensions(*, accepts_early_data: bool = False) -> bytes:
    """Return EncryptedExtensions."""
    return message(8, _extensions([(42, b"")] if accepts_early_data else []))


def key_log(kind: Kind, wanted: int = 63) -> bytes:
    """Return the key log of the session: the lines whose bits are set in ``wanted``, with a wrong one before each."""
    lines = []
    for random in (CLIENT_RANDOM, OTHER_RANDOM):
        for number, label in enumerate(LABELS):
            if kind.version == 0x0304:
                secrets = [_traffic(b"wrong"), _traffic(label)] if number else []
            else:
                secrets = [] if number else [_master(b"wrong"), _master(random)]
            if wanted >> number & 1:
                lines += [b" ".join((label, random.hex().encode(), one.hex().encode())) for one in secrets]
    return b"\n".join(lines) + b"\n"


class End:
    """One side: protects its records as its stage says. ``said``: each text that it protected, and whether that was
    early data. ``random``: of the client, for the next keys before TLS 1.3."""

    def __init__(self, side: Side, kind: Kind) -> None:
        self.side: Side = side
        self.kind = kind
        self.said: list[tuple[bytes, bool]] = []
        self.random = CLIENT_RANDOM
        self.stage = "clear"
        self._secret = b""
        self._sequence = 0
        self._protect: Callable[[int, bytes, int, int], bytes] = lambda kind, content, *_: record(kind, content)

    def change(self, stage: str) -> None:
        """Use the keys of ``stage`` from now on: clear, early, handshake, application, older."""
        self.stage, self._sequence = stage, 0
        name = self.side.upper().encode()
        self._secret = {
            "early": _traffic(LABELS[1]),
            "handshake": _traffic(name + b"_HANDSHAKE_TRAFFIC_SECRET"),
            "application": _traffic(name + b"_TRAFFIC_SECRET_0"),
        }.get(stage, b"")
        if stage == "clear":
            self._protect = lambda kind, content, *_: record(kind, content)
        elif self._secret:
            self._protect = _protect_13(self._secret)
        else:
            make = _protect_gcm if self.kind.protection == "gcm" else _protect_cbc
            self._protect = make(self.random, self.side == "server", self.kind)

    def update(self) -> None:
        """Use the next keys (RFC 8446 §7.2)."""
        if self._secret:
            self._secret, self._sequence = _expand(self._secret, b"traffic upd", 32), 0
            self._protect = _protect_13(self._secret)

    def seal(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """Return a record with ``content``."""
        if kind == DATA and content and self.stage != "clear":
            self.said.append((content, self.stage == "early"))
        number, self._sequence = self._sequence, self._sequence + 1
        return self._protect(kind, content, padding, number)


def _protect_13(secret: bytes) -> Callable[[int, bytes, int, int], bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  an optional package

    aead, start = AESGCM(_expand(secret, b"key", 16)), int.from_bytes(_expand(secret, b"iv", 12), "big")

    def protect(kind: int, content: bytes, padding: int, number: int) -> bytes:
        inner = content + bytes((kind,)) + bytes(padding)
        header = record(DATA, bytes(len(inner) + 16))[:5]
        return header + aead.encrypt((start ^ number).to_bytes(12, "big"), inner, header)

    return protect


def _protect_gcm(random: bytes, server: bool, _: Kind) -> Callable[[int, bytes, int, int], bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  an optional package

    key, salt = _key_parts(random, server, 0x0303, 16, 4)
    aead = AESGCM(key)

    def protect(kind: int, content: bytes, _: int, number: int) -> bytes:
        explicit = number.to_bytes(8, "big")
        known = explicit + record(kind, content)[:5]
        return record(kind, explicit + aead.encrypt(salt + explicit, content, known))

    return protect


def _protect_cbc(random: bytes, server: bool, how: Kind) -> Callable[[int, bytes, int, int], bytes]:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    mac_key, key, vector = _key_parts(random, server, how.version, 20, 16, 16)
    after, chained = how.encrypt_then_mac, how.version == 0x0301

    def protect(kind: int, content: bytes, padding: int, number: int) -> bytes:
        nonlocal vector

        def mac(text: bytes) -> bytes:
            return hmac.digest(mac_key, number.to_bytes(8, "big") + record(kind, text), "sha1")

        plain = content if after else content + mac(content)
        fill = 15 - len(plain) % 16 + 16 * (padding % 15)
        start = b""
        if not chained:
            start = vector = hashlib.sha256(number.to_bytes(8, "big")).digest()[:16]
        cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
        sealed = start + cipher.update(plain + bytes((fill,)) * (fill + 1))
        vector = sealed[-16:]
        return record(kind, sealed + mac(sealed) if after else sealed)

    return protect


def _extensions(pairs: list[tuple[int, bytes]]) -> bytes:
    text = b"".join(kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for kind, value in pairs)
    return len(text).to_bytes(2, "big") + text


def _traffic(label: bytes) -> bytes:
    return hashlib.sha256(label).digest()


def _master(random: bytes) -> bytes:
    return hashlib.sha384(b"master" + random).digest()


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label for at most one block of SHA-256 (RFC 8446 §7.1)."""
    label = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes((len(label),)) + label + b"\0"
    return hmac.digest(secret, info + b"\1", "sha256")[:size]


def _expand_older(name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash (RFC 5246 §5)."""
    out, a = b"", seed
    while len(out) < size:
        a = hmac.digest(secret, a, name)
        out += hmac.digest(secret, a + seed, name)
    return out[:size]


def _key_parts(random: bytes, server: bool, version: int, *sizes: int) -> list[bytes]:
    """Return a side's parts of the key block (RFC 5246 §6.3, RFC 2246 §5, §6.3)."""
    master, seed, size = _master(random), b"key expansion" + SERVER_RANDOM + random, 2 * sum(sizes)
    if version == 0x0301:
        halves = _expand_older("md5", master[:24], seed, size), _expand_older("sha1", master[24:], seed, size)
        block = bytes(a ^ b for a, b in zip(*halves, strict=True))
    else:
        block = _expand_older("sha256", master, seed, size)
    at, found = 0, []
    for size in sizes:
        start = at + size * server
        found.append(block[start : start + size])
        at += 2 * size
    return found

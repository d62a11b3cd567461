"""What each cipher suite protects records with: cipher, lengths of its keys, MAC, and hash of the key schedule."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["SUITES", "Suite"]

Mode = Literal["gcm", "ccm", "ccm8", "chacha20", "cbc", "rc4", "null"]


class Suite(Struct, frozen=True):
    """``cipher``: algorithm and mode. ``key_size`` in octets. ``mac``: hash of the HMAC, "" for an AEAD. ``hash``: hash
    of the key schedule from TLS 1.2 on."""

    cipher: Literal["aes", "camellia", "3des", "chacha20", "rc4", "null"]
    mode: Mode
    key_size: int
    mac: str
    hash: Literal["sha256", "sha384"]


_AES_GCM = [(0x9C, 0x9D), (0x9E, 0x9F), (0xA0, 0xA1), (0xA2, 0xA3), (0xA4, 0xA5), (0xA6, 0xA7), (0xA8, 0xA9)]
_AES_GCM += [(0xAA, 0xAB), (0xAC, 0xAD), *((n, n + 1) for n in (0xC02B, 0xC02D, 0xC02F, 0xC031))]
_AES_GCM += [(0xD001, 0xD002)]
_AES_CCM = [(0xC09C, 0xC09D), (0xC09E, 0xC09F), (0xC0A4, 0xC0A5), (0xC0A6, 0xC0A7), (0xC0AC, 0xC0AD)]
_AES_CCM8 = [(0xC0A0, 0xC0A1), (0xC0A2, 0xC0A3), (0xC0A8, 0xC0A9), (0xC0AA, 0xC0AB), (0xC0AE, 0xC0AF)]
_AES_SHA = [(n, n + 6) for n in range(0x2F, 0x35)]  # AES-128, AES-256 (RFC 3268)
_AES_SHA += [(n, n + 1) for n in (0x8C, 0x90, 0x94, 0xC004, 0xC009, 0xC00E, 0xC013, 0xC018, 0xC035)]
_AES_SHA256 = [(0x3C, 0x3D), (0x3E, 0x68), (0x3F, 0x69), (0x40, 0x6A), (0x67, 0x6B), (0x6C, 0x6D)]
_CAMELLIA_SHA = [(n, n + 0x43) for n in range(0x41, 0x47)]  # RFC 5932
_CAMELLIA_SHA256 = [(n, n + 6) for n in range(0xBA, 0xC0)]
_3DES_SHA = (0x0A, 0x0D, 0x10, 0x13, 0x16, 0x1B, 0x8B, 0x8F, 0x93, 0xC003, 0xC008, 0xC00D, 0xC012, 0xC017, 0xC034)
_RC4_SHA = (0x05, 0x8A, 0x8E, 0x92, 0xC002, 0xC007, 0xC00C, 0xC011, 0xC016, 0xC033)
# SHA-256 with the short key, SHA-384 with the long one:
_AES_SHA2 = [(n, n + 1) for n in (0xAE, 0xB2, 0xB6, 0xC023, 0xC025, 0xC027, 0xC029, 0xC037)]
_CAMELLIA_SHA2 = [(n, n + 1) for n in (0xC072, 0xC074, 0xC076, 0xC078, 0xC094, 0xC096, 0xC098, 0xC09A)]
_NULL_SHA = (0x02, 0x2C, 0x2D, 0x2E, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015, 0xC039)

# Suites that differ in the length of the key: the numbers of both, and what each protects with.
_PAIRS = (
    ([(0x1301, 0x1302), *_AES_GCM], Suite("aes", "gcm", 16, "", "sha256"), Suite("aes", "gcm", 32, "", "sha384")),
    (_AES_CCM, Suite("aes", "ccm", 16, "", "sha256"), Suite("aes", "ccm", 32, "", "sha256")),
    (_AES_CCM8, Suite("aes", "ccm8", 16, "", "sha256"), Suite("aes", "ccm8", 32, "", "sha256")),
    (_AES_SHA, Suite("aes", "cbc", 16, "sha1", "sha256"), Suite("aes", "cbc", 32, "sha1", "sha256")),
    (_AES_SHA256, Suite("aes", "cbc", 16, "sha256", "sha256"), Suite("aes", "cbc", 32, "sha256", "sha256")),
    (_AES_SHA2, Suite("aes", "cbc", 16, "sha256", "sha256"), Suite("aes", "cbc", 32, "sha384", "sha384")),
    (_CAMELLIA_SHA, Suite("camellia", "cbc", 16, "sha1", "sha256"), Suite("camellia", "cbc", 32, "sha1", "sha256")),
    (
        _CAMELLIA_SHA256,
        Suite("camellia", "cbc", 16, "sha256", "sha256"),
        Suite("camellia", "cbc", 32, "sha256", "sha256"),
    ),
    (
        _CAMELLIA_SHA2,
        Suite("camellia", "cbc", 16, "sha256", "sha256"),
        Suite("camellia", "cbc", 32, "sha384", "sha384"),
    ),
)
_SINGLE = (
    ((0x1303, *range(0xCCA8, 0xCCAF)), Suite("chacha20", "chacha20", 32, "", "sha256")),
    ((0x1304,), Suite("aes", "ccm", 16, "", "sha256")),
    ((0x1305,), Suite("aes", "ccm8", 16, "", "sha256")),
    (_3DES_SHA, Suite("3des", "cbc", 24, "sha1", "sha256")),
    ((0x04,), Suite("rc4", "rc4", 16, "md5", "sha256")),
    (_RC4_SHA, Suite("rc4", "rc4", 16, "sha1", "sha256")),
    ((0x01,), Suite("null", "null", 0, "md5", "sha256")),
    (_NULL_SHA, Suite("null", "null", 0, "sha1", "sha256")),
    ((0x3B,), Suite("null", "null", 0, "sha256", "sha256")),
)

SUITES = {number: suite for numbers, suite in _SINGLE for number in numbers}
SUITES.update(
    {number: suite for pairs, *both in _PAIRS for pair in pairs for number, suite in zip(pair, both, strict=True)}
)
"""The suites whose records can be decrypted, by their numbers. ARIA is missing: no common library has it."""

"""The JA4 fingerprint of a TLS client: which software it is, by what its ClientHello offers."""

# Theory
# ------
# JA4 is published by FoxIO ("JA4: TLS Client Fingerprinting"). It has three parts with "_" between them: what the hello
# offers in ten characters, a hash of its cipher suites, and a hash of its extensions and signature algorithms. Suites
# and extensions are sorted first, because some clients send them in another order each time. Values that a client
# sends only to test servers (GREASE, RFC 8701 §2) are left out everywhere.

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .hellos import ClientHello

__all__ = ["ja4"]

_SERVER_NAME, _ALPN = 0x0000, 0x0010  # extensions that are in the first part already
_VERSIONS: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
_NOTHING: Final = "0" * 12  # in place of a hash of no values
_MOST: Final = 99  # the largest number in two digits
_REMEMBERED: Final = 256  # numbers in a hello that is remembered; clients send some eighty


def ja4(hello: ClientHello) -> str:
    """Return the JA4 fingerprint of a client whose TLS is on top of TCP."""
    kinds = tuple([kind for kind, _ in hello.extensions])
    version = max(_without_grease(hello.versions), default=hello.version)
    parts = version, hello.suites, kinds, hello.signature_algorithms, _protocol(hello.alpn)
    small = len(hello.suites) + len(kinds) + len(hello.signature_algorithms) <= _REMEMBERED
    return _fingerprint(*parts) if small else _fingerprint.__wrapped__(*parts)


@lru_cache(maxsize=1024)
def _fingerprint(
    version: int, offered: tuple[int, ...], kinds: tuple[int, ...], algorithms: tuple[int, ...], protocol: str
) -> str:
    suites, extensions = _without_grease(offered), _without_grease(kinds)
    first = (
        f"t{_VERSIONS.get(version, '00')}{'d' if _SERVER_NAME in extensions else 'i'}"
        f"{min(len(suites), _MOST):02}{min(len(extensions), _MOST):02}{protocol}"
    )
    hashed = _joined(sorted(kind for kind in extensions if kind not in (_SERVER_NAME, _ALPN)))
    signatures = _joined(_without_grease(algorithms))
    if signatures:
        hashed += "_" + signatures
    return f"{first}_{_hash(_joined(sorted(suites)))}_{_hash(hashed)}"


def _without_grease(numbers: Iterable[int]) -> list[int]:
    """Return ``numbers`` without GREASE: two equal octets, each with an A as its second digit."""
    return [number for number in numbers if number & 0x0F0F != 0x0A0A or number >> 8 != number & 0xFF]


def _protocol(offered: tuple[bytes, ...]) -> str:
    """Return the first and the last character of the first protocol of ALPN. If one of them is neither a letter nor a
    digit of ASCII, they are taken from the protocol in hexadecimal."""
    if not offered or not offered[0]:
        return "00"
    ends = offered[0][:1] + offered[0][-1:]
    return ends.decode("ascii") if ends.isalnum() else f"{ends[0] >> 4:x}{ends[1] & 0xF:x}"


def _joined(numbers: list[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _hash(text: str) -> str:
    return sha256(text.encode("ascii")).hexdigest()[:12] if text else _NOTHING

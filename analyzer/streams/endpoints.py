"""Read the endpoints of a connection from the key of its flow."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from ..model import Endpoint

__all__ = ["endpoints", "ends"]

_ports = Struct(">HH").unpack_from

MAX_REMEMBERED = 4096  # addresses, and servers with their ports, which occur again


def endpoints(key: bytes) -> tuple[Endpoint, Endpoint]:
    """Return both ends of a flow key (source address, destination address, source port, destination port)."""
    half = (len(key) - 4) // 2
    source = Endpoint(_text(key[:half]), int.from_bytes(key[-4:-2], "big"))
    return source, _server(key[half:-4], key[-2:])


@lru_cache(maxsize=MAX_REMEMBERED)
def _server(address: bytes, port: bytes) -> Endpoint:
    return Endpoint(_text(address), int.from_bytes(port, "big"))


@lru_cache(maxsize=MAX_REMEMBERED)
def _text(raw: bytes) -> str:
    """Return an address as text (RFC 5952 §4)."""
    if len(raw) == 4:
        a, b, c, d = raw
        return f"{a}.{b}.{c}.{d}"
    from socket import AF_INET6, inet_ntop  # noqa: PLC0415  its import takes as long as fifty connections

    return inet_ntop(AF_INET6, raw)


def ends(key: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Return both ends of a flow key, source and destination, as address in ASCII and port."""
    half = (len(key) - 4) // 2
    source, target = _ports(key, 2 * half)
    return (_address(key[:half]), source), (_address(key[half:-4]), target)


@lru_cache(maxsize=MAX_REMEMBERED)
def _address(raw: bytes) -> bytes:
    return _text(raw).encode()

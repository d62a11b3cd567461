"""The ends of a connection, from the key of its flow."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop

from .model import Endpoint

__all__ = ["endpoint"]

MAX_REMEMBERED = 4096  # servers and their ports: they come again


def endpoint(key: bytes, *, source: bool) -> Endpoint:
    """One end of a flow key (source address, destination address, source port, destination port)."""
    half = (len(key) - 4) // 2
    if source:
        return _end(key[:half] + key[-4:-2])
    return _server(key[half : 2 * half] + key[-2:])


def _end(end: bytes) -> Endpoint:
    family = AF_INET if len(end) == 6 else AF_INET6
    return Endpoint(inet_ntop(family, end[:-2]), int.from_bytes(end[-2:], "big"))


_server = lru_cache(maxsize=MAX_REMEMBERED)(_end)

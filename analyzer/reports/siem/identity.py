"""The names that other tools give a connection: Community ID, Zeek's uid, Suricata's flow id."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2s, sha1
from ipaddress import ip_address
from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...model import Connection

__all__ = ["address_family", "community_id", "flow_id", "uid"]

_TCP = 6
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UID_DIGITS = 17


def community_id(connection: Connection, seed: int = 0) -> str:
    """Return the Community ID, version 1, of the connection (https://github.com/corelight/community-id-spec).

    It is the same for both directions, and in every tool that supports it with the same seed.
    """
    ends = sorted((ip_address(end.address).packed, end.port) for end in (connection.client, connection.server))
    (one, one_port), (other, other_port) = ends
    data = pack("!H", seed) + one + other + pack("!BBHH", _TCP, 0, one_port, other_port)
    return "1:" + b64encode(sha1(data, usedforsecurity=False).digest()).decode()


def uid(connection: Connection) -> str:
    """Return a name in the form of Zeek's uids, ``C`` and 17 characters of base 62. It is the same in every run over
    the same capture."""
    number, digits = int.from_bytes(_digest(connection, 16), "big"), ""
    for _ in range(_UID_DIGITS):
        number, digit = divmod(number, 62)
        digits += _BASE62[digit]
    return "C" + digits


def flow_id(connection: Connection) -> int:
    """Return a number as Suricata has it: less than 2**51, which JSON readers keep exactly."""
    return int.from_bytes(_digest(connection, 8), "big") >> 13


def address_family(connection: Connection) -> int:
    """Return 4 or 6, the version of IP."""
    return 6 if ":" in connection.client.address else 4


def _digest(connection: Connection, size: int) -> bytes:
    client, server = connection.client, connection.server
    # The id too: within one second of a capture, a port may be used twice.
    text = f"{client.address} {client.port} {server.address} {server.port} {connection.started} {connection.id}"
    return blake2s(text.encode(), digest_size=size).digest()

"""The header that a proxy puts in front of the client's bytes (HAProxy: "The PROXY protocol", versions 1 and 2)."""

# Theory
# ------
# The header says which connection the proxy took over: the addresses and ports of the real client and of its target.
# Version 1 is a line of text, version 2 is binary. The first octets show which one it is, and that it is none: nothing
# of SMTP begins like this, apart from empty lines and an unknown verb PROXY.

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ...dissectors.lazy_regex import LazyPattern
from ..model import Endpoint
from ..streams.endpoints import endpoints

__all__ = ["FIRST_OCTETS", "ProxyHeader", "ProxyHeaderReader", "may_begin", "read_header"]

FIRST_OCTETS = b"P\r"
"""With one of these a header begins, so that one comparison excludes nearly everything else."""
LONGEST_LINE = 107  # octets of a header of version 1, with CRLF (section 2.1)
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # section 2.2
_COMMANDS: dict[int, Literal["LOCAL", "PROXY"]] = {0x20: "LOCAL", 0x21: "PROXY"}
_FIXED = 16  # octets of a header of version 2 before the addresses
_FAMILIES = {1: 12, 2: 36}  # AF_INET, AF_INET6: octets of two addresses and two ports
_BEGINNINGS = b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN "
_BEGUN = LazyPattern(rb"PROXY (?:TCP[46]|UNKNOWN)(?: [^\r\n]*)?\r?")
_PORT = rb"(0|[1-9][0-9]{0,4})"
_LINE = LazyPattern(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) "
    + _PORT
    + b" "
    + _PORT
    + rb")\r\n"
)


class ProxyHeader(Struct, frozen=True):
    """What a header says. ``length``: its octets. ``command``: LOCAL if the proxy speaks for itself, as in a health
    check. ``client``, ``target``: both ends of the connection that the proxy took over, None if it gives no internet
    addresses."""

    version: Literal[1, 2]
    command: Literal["LOCAL", "PROXY"]
    length: int
    client: Endpoint | None = None
    target: Endpoint | None = None


def read_header(data: bytes) -> ProxyHeader | None:
    """Return the header at the start of ``data``. All of version 1 must be there; of version 2 what comes before the
    extensions (section 2.2.7), so that ``data`` may be shorter than the header."""
    if data[:1] == b"P":
        return _read_line(data)
    if data[:12] != _SIGNATURE or len(data) < _FIXED or data[12] not in _COMMANDS:
        return None
    command, rest = _COMMANDS[data[12]], int.from_bytes(data[14:16], "big")
    size = _FAMILIES.get(data[13] >> 4, 0)
    if command == "LOCAL" or not 0 < size <= rest:
        return ProxyHeader(2, command, _FIXED + rest)
    addresses = data[_FIXED : _FIXED + size]
    return _proxied(2, _FIXED + rest, addresses) if len(addresses) == size else None


def _read_line(data: bytes) -> ProxyHeader | None:
    found = _LINE.match(data[:LONGEST_LINE])
    if found is None:
        return None
    family, client, target, *ports = found.groups()
    if family is None:
        return ProxyHeader(1, "PROXY", found.end())
    numbers = [int(port) for port in ports]
    if max(numbers) > 0xFFFF:
        return None
    from socket import AF_INET, AF_INET6, inet_pton  # noqa: PLC0415  its import takes as long as fifty connections

    kind = AF_INET if family == b"4" else AF_INET6
    try:
        addresses = inet_pton(kind, client.decode("ascii")) + inet_pton(kind, target.decode("ascii"))
    except OSError:
        return None  # not an address of this family
    return _proxied(1, found.end(), addresses + b"".join([number.to_bytes(2, "big") for number in numbers]))


def _proxied(version: Literal[1, 2], length: int, addresses: bytes) -> ProxyHeader:
    client, target = endpoints(addresses)
    return ProxyHeader(version, "PROXY", length, client, target)


def may_begin(data: bytes) -> bool:
    """Return whether ``data`` may be the start of a header that has not come as a whole."""
    if data[:1] == b"P":
        if any(one.startswith(data) for one in _BEGINNINGS):
            return True
        return len(data) < LONGEST_LINE and _BEGUN.fullmatch(data) is not None
    if data[:1] != b"\r" or not _SIGNATURE.startswith(data[:12]):
        return False
    return len(data) <= 12 or data[12] in _COMMANDS


class ProxyHeaderReader:
    """Takes a header in pieces of any size. At most its first 107 octets are kept.

    ``header``: what it says, None until that is known. ``possible``: it is a header, or may be the start of one.
    ``left``: its octets that have not come, once the header is known.
    """

    __slots__ = ("_start", "header", "left", "possible")

    def __init__(self) -> None:
        self._start = b""
        self.header: ProxyHeader | None = None
        self.left = 0
        self.possible = True

    def take(self, data: bytes) -> int:
        """Take the next octets. Return how many of them belong to the header, 0 if there is none."""
        if self.header is None:
            known = len(self._start)
            start = self._start + data[: LONGEST_LINE - known]
            self.header = read_header(start)
            if self.header is None:
                self._start, self.possible = start, may_begin(start)
                return len(data) if self.possible else 0
            self.left = self.header.length - known
            self._start = b""
        used = min(self.left, len(data))
        self.left -= used
        return used

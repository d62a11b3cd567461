"""STARTTLS offers seen earlier in the same audit, to notice if a server no longer offers it (RFC 3207 §6)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from ..limits import Limits
    from ..model import Endpoint
    from .exchange import Exchange
    from .turns import ReplySeen

__all__ = [
    "ClearTextOffer",
    "OfferMemory",
    "StartTlsHistory",
    "StartTlsOffer",
    "network",
    "plain_offer",
]


class StartTlsOffer(Struct, frozen=True):
    """An EHLO reply that listed STARTTLS: its connection, time and frame."""

    connection: int
    time_ns: int
    frame: int


class OfferMemory(Protocol):
    """What judges remember of offers. ``key``: server, banner name, client network (``ClearTextOffer.key``)."""

    def offered(self, key: tuple[str, ...], offer: StartTlsOffer) -> None:
        """Remember that ``key`` offers STARTTLS."""

    def last_offer(self, key: tuple[str, ...], connection: int, time_ns: int) -> StartTlsOffer | None:
        """Return the last offer before ``time_ns``; None if there is none, if it has expired, or if it was made in
        ``connection`` itself, the one that asks."""


class StartTlsHistory:
    """Remembers, for each server as seen from each client network, the last offer of STARTTLS.

    At most ``remembered_servers`` are kept; the one not seen for the longest time is dropped first. An offer expires
    after ``server_memory_seconds`` of capture time.
    """

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.remembered_servers
        self._life_ns = limits.server_memory_seconds * 10**9
        self._offers: dict[tuple[str, ...], StartTlsOffer] = {}

    def __len__(self) -> int:
        return len(self._offers)

    def offered(self, key: tuple[str, ...], offer: StartTlsOffer) -> None:
        """See ``OfferMemory``."""
        offers = self._offers
        offers.pop(key, None)
        offers[key] = offer
        if len(offers) > self._limit > 0:
            del offers[next(iter(offers))]

    def last_offer(self, key: tuple[str, ...], connection: int, time_ns: int) -> StartTlsOffer | None:
        """See ``OfferMemory``."""
        offer = self._offers.get(key)
        if offer is None or offer.time_ns > time_ns or time_ns - offer.time_ns > self._life_ns > 0:
            return None
        return None if offer.connection == connection else offer


class ClearTextOffer(Struct, frozen=True):
    """What identifies the offer in an EHLO reply outside TLS: the server's name in its greeting, and the client's
    verb."""

    banner: str
    verb: str

    def key(self, server: Endpoint, client: str) -> tuple[str, ...]:
        """Return the key of the offer in the history; it includes the addresses of both sides."""
        return server.address, str(server.port), self.banner, self.verb, network(client)


def plain_offer(x: Exchange, greeting: ReplySeen | None) -> ClearTextOffer | None:
    """Return the offer in the reply to the EHLO ``x``; None: it cannot be compared with other connections."""
    after, answer, command = x.after, x.answer, x.line.command
    if after is None or greeting is None or answer is None or command is None:
        return None
    if not 200 <= answer.reply.code < 400:
        return None
    hello = after.hello
    if not after.sure or hello.secure or hello.authenticated or not hello.keywords:
        return None
    words = greeting.reply.lines[0].split(" ", 1) if greeting.reply.lines else [""]
    return ClearTextOffer(words[0], command.name or "")


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Return the network of a client, /24 or IPv6 /64. Servers may legitimately offer other things to other
    networks."""
    if ":" not in address:
        return address.rpartition(".")[0]
    from socket import AF_INET6, inet_pton  # noqa: PLC0415  loading it takes as long as processing fifty connections

    return inet_pton(AF_INET6, address)[:8].hex()

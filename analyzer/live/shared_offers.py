"""Offers of STARTTLS that the processes of a live audit tell each other (SEC633)."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import ValidationError, msgpack

from ..exchanges.starttls_history import StartTlsOffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..exchanges.starttls_history import OfferMemory

__all__ = ["SharedOffers", "sockets"]

_AGAIN_NS = 1_000_000_000  # an offer of the same server is sent again after this time
_SENT = 16_384  # servers whose last offer is remembered
_LONGEST = 4096

Key = tuple[str, ...]


class SharedOffers:
    """A history that knows the offers of other processes (an ``OfferMemory``). ``mine``: the socket from which these
    come; ``others``: those to which offers are sent. A message that finds no room is lost."""

    def __init__(self, history: OfferMemory, mine: socket.socket, others: Sequence[socket.socket]) -> None:
        self._history = history
        self._mine = mine
        self._others = others
        self._sent: dict[Key, int] = {}
        self._decode = msgpack.Decoder(tuple[Key, StartTlsOffer]).decode

    def offered(self, key: Key, offer: StartTlsOffer) -> None:
        """See ``OfferMemory``."""
        self._history.offered(key, offer)
        if offer.time_ns - self._sent.get(key, -_AGAIN_NS) < _AGAIN_NS:
            return
        if len(self._sent) >= _SENT:
            self._sent.clear()
        self._sent[key] = offer.time_ns
        message = msgpack.encode((key, offer))
        for other in self._others:
            with suppress(OSError):
                other.send(message, socket.MSG_DONTWAIT)

    def last_offer(self, key: Key, connection: int, time_ns: int) -> StartTlsOffer | None:
        """See ``OfferMemory``."""
        with suppress(OSError, ValidationError):
            while True:
                self._history.offered(*self._decode(self._mine.recv(_LONGEST, socket.MSG_DONTWAIT)))
        return self._history.last_offer(key, connection, time_ns)


def sockets(count: int) -> list[tuple[socket.socket, socket.socket]]:
    """Return for each process the socket that it reads, and the one to write to it."""
    return [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]

"""Offers of STARTTLS, which one connection makes and another one misses (SEC633)."""

# Theory
# ------
# The rule compares connections, which may be in different partitions. So in the first pass nobody remembers an offer:
# `NotedOffers` only writes down who offered STARTTLS and who looked for an offer, and where. If an endpoint has both,
# the connections that looked are judged again, alone, by `KnownOffers`, with all offers in the order of the input.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ..connections.places import Place
from ..exchanges.starttls_history import StartTlsHistory, StartTlsOffer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..connections.places import Places
    from ..limits import Limits

__all__ = ["KnownOffers", "LookUp", "NotedOffers", "Offer"]

Key = tuple[str, ...]


class Offer(Struct, frozen=True, array_like=True):
    """An offer: where in the input, by whom, and the place where the connection got its number."""

    place: Place
    key: Key
    time_ns: int
    frame: int
    number_place: Place


class LookUp(Struct, frozen=True, array_like=True):
    """A connection looked for an offer. ``flow``: the key of its last segment."""

    key: Key
    flow: bytes
    number_place: Place


class NotedOffers:
    """Notes offers and look-ups, and remembers none (an ``OfferMemory``)."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.offers: list[Offer] = []
        self.look_ups: list[LookUp] = []

    def offered(self, key: Key, offer: StartTlsOffer) -> None:
        """See ``OfferMemory``."""
        places = self._places
        self.offers.append(Offer(places.here, key, offer.time_ns, offer.frame, places.numbers[offer.connection]))

    def last_offer(self, key: Key, connection: int, time_ns: int) -> StartTlsOffer | None:
        """See ``OfferMemory``."""
        self.look_ups.append(LookUp(key, self._places.flows[connection], self._places.numbers[connection]))
        return None


class KnownOffers:
    """Knows all offers that matter (an ``OfferMemory``). ``numbers``: of the connections that made them, and of those
    that look, by the places where they got them."""

    def __init__(self, places: Places, offers: Sequence[Offer], numbers: Mapping[Place, int], limits: Limits) -> None:
        self._places = places
        self._history = StartTlsHistory(limits)
        self._left = sorted(offers, key=lambda one: one.place, reverse=True)
        self._numbers = numbers

    def offered(self, key: Key, offer: StartTlsOffer) -> None:
        """See ``OfferMemory``: it is known."""

    def last_offer(self, key: Key, connection: int, time_ns: int) -> StartTlsOffer | None:
        """See ``OfferMemory``."""
        here = self._places.here
        while self._left and self._left[-1].place < here:
            one = self._left.pop()
            number = self._numbers[one.number_place]
            self._history.offered(one.key, StartTlsOffer(number, one.time_ns, one.frame))
        number = self._numbers.get(self._places.numbers[connection], 0)
        return self._history.last_offer(key, number, time_ns)

"""The combine step: order, numbers and totals of what the partitions found."""

from __future__ import annotations

from heapq import merge
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import msgpack

from ..connections.other_traffic import ordered
from ..connections.places import Place
from ..model import Capture, Connection
from ..segments.decode_tally import DecodeTally
from ..streams.flow import reversed_key
from ..streams.housekeeping import Pressure
from .chunks import ChunkFile
from .offers import LookUp, Offer
from .reducing import Ended, Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from ..audit import DecoderCounts
    from ..files.storage import Storage
    from ..limits import Limits
    from ..model import OtherTraffic
    from .mapping import Mapped
    from .reducing import Reduced

__all__ = ["Numbered", "captures_of", "ended", "known_offers", "numbered", "others_of", "with_numbers"]

_Entry = tuple[Place, Place, bytes, str | None]  # `Ended`, with the name of the file if it is a message

_first = itemgetter(0)
_CONNECTION, _FINDING = b'{"type":"connection","id":%d,', b'{"type":"finding","connection":%d,'


class Numbered(NamedTuple):
    """A connection with its number, and the number of the capture in which it ended; or a message of it, in the file of
    reports ``stored``."""

    number: int
    capture: int
    report: bytes
    stored: str | None = None

    def lines(self) -> bytes:
        """Return it as lines of NDJSON, which were made with the number 0."""
        return self.report.replace(_CONNECTION % 0, _CONNECTION % self.number, 1).replace(
            _FINDING % 0, _FINDING % self.number
        )

    def connection(self) -> Connection:
        """Return it as a value."""
        connection = msgpack.decode(self.report, type=Connection)
        connection.id = self.number
        return connection


def numbered(
    spool: Storage, names: Sequence[str], again: Sequence[str], replaced: frozenset[Place]
) -> Iterator[Numbered]:
    """Yield the connections of all partitions in the order of a single process. ``names``: files of the reduce step;
    ``again``: those of its second pass, which replace the connections with their numbers at ``replaced``."""
    streams = (*(ended(spool, name, replaced) for name in names), *(ended(spool, name) for name in again))
    return with_numbers(merge(*streams, key=_first), _numbers(spool, names))


def with_numbers(entries: Iterable[_Entry], numbers: Iterator[tuple[Place, int]]) -> Iterator[Numbered]:
    """Yield ``entries`` with their numbers. ``numbers``: the places where connections got their numbers, with these, in
    order."""
    given: dict[Place, int] = {}
    for place, number_place, report, stored in entries:
        while number_place not in given:
            first, number = next(numbers)
            given[first] = number
        if stored:
            yield Numbered(given[number_place], place[0], report, stored)
        else:
            yield Numbered(given.pop(number_place), place[0], report)


def _numbers(spool: Storage, names: Sequence[str]) -> Iterator[tuple[Place, int]]:
    """Yield the places where connections got their numbers, with these."""
    files = [ChunkFile(spool, name) for name in names]
    places = merge(*(chain.from_iterable(file.chunks("numbered", list[Place])) for file in files))
    return ((place, number) for number, place in enumerate(places, 1))


def ended(spool: Storage, name: str, without: frozenset[Place] = frozenset()) -> Iterator[_Entry]:
    """Yield what ended in one partition, without the connections with their numbers at ``without``; with the name of
    the file if it is a message."""
    for chunk in ChunkFile(spool, name).chunks("ended", list[Ended]):
        for place, number_place, report, is_message in chunk:
            if is_message or number_place not in without:
                yield place, number_place, report, name if is_message else None


def known_offers(spool: Storage, names: Mapping[int, str]) -> dict[int, Known]:
    """Return, by partition, the connections that looked for an offer of STARTTLS that another one may have made, with
    these offers. ``names``: files of the reduce step."""
    files = {partition: ChunkFile(spool, name) for partition, name in names.items()}
    asked: dict[tuple[str, ...], list[tuple[int, LookUp]]] = {}
    for partition, file in files.items():
        for look_up in chain.from_iterable(file.chunks("look-ups", list[LookUp])):
            asked.setdefault(look_up.key, []).append((partition, look_up))
    offers = [
        offer
        for file in files.values()
        for offer in chain.from_iterable(file.chunks("offers", list[Offer]))
        if offer.key in asked
    ]
    looked: dict[int, list[LookUp]] = {}
    for key in {offer.key for offer in offers}:
        for partition, look_up in asked[key]:
            looked.setdefault(partition, []).append(look_up)
    places = {one.number_place for one in chain(offers, *looked.values())}
    numbers = (
        {place: number for place, number in _numbers(spool, list(names.values())) if place in places} if places else {}
    )
    return {partition: _known(look_ups, offers, numbers) for partition, look_ups in looked.items()}


def _known(look_ups: Sequence[LookUp], offers: Sequence[Offer], numbers: Mapping[Place, int]) -> Known:
    flows = frozenset(key for one in look_ups for key in (one.flow, reversed_key(one.flow)))
    return Known(flows, offers, numbers, frozenset(one.number_place for one in look_ups))


def captures_of(
    mapped: Iterable[Mapped],
    joined: Mapping[int, dict[str, Any]],
    partitions: Iterable[Reduced],
    limits: Limits,
) -> tuple[list[Capture], list[tuple[str, str, str]], DecoderCounts]:
    """Return what is known of each capture, the errors of those that cannot be read, and the counts of decoders.
    ``joined``: tallies of `join_fragments`. The last capture may not have been read to its end."""
    captures: list[Capture] = []
    errors: list[tuple[str, str, str]] = []
    counts = 0, 0, 0
    reduced = list(partitions)
    pieces = [piece for one in mapped for piece in one.pieces]
    for number, group in groupby(pieces, key=lambda piece: piece.capture):
        parts = list(group)
        capture = next((part.about for part in reversed(parts) if part.about is not None), None) or Capture(
            parts[0].path
        )
        known = (problem for part in parts if part.about is not None for problem in part.about.problems)
        capture.problems = list(dict.fromkeys(known))
        logs = (name for part in parts if part.about is not None for name in part.about.key_logs)
        capture.key_logs = list(dict.fromkeys(logs))
        tally = DecodeTally.of(joined.get(number, {}))
        for part in parts:
            tally.add(DecodeTally.of(part.tally))
        failed = list(dict.fromkeys(part.error for part in parts if part.error is not None))
        errors += failed
        capture.problems += [f"{what}: {hint}" for what, _, hint in failed]
        if not (failed and len(parts) == 1):
            capture.problems += tally.problems()
            some = tally.decoder_counts
            counts = counts[0] + some[0], counts[1] + some[1], counts[2] + some[2]
        felt = [one.pressure[number] for one in reduced if number in one.pressure]
        capture.problems += Pressure(*map(sum, zip(*felt, strict=True))).problems(limits) if felt else []
        captures.append(capture)
    return captures, errors, counts


def others_of(partitions: Iterable[Reduced]) -> list[OtherTraffic]:
    """Return the counts of connections that are not SMTP."""
    counts: dict[tuple[str, int], int] = {}
    for one in (other for reduced in partitions for other in reduced.others):
        kind = one.protocol, one.port
        counts[kind] = counts.get(kind, 0) + one.connections
    return ordered(counts)

"""The same dialogue again and again, by other ports, sequence numbers and times: what the beaten ways are for.

``compared`` plays segments to a tracker that learns and to one that does not, and says what they report::

    first, second = dialogue(script), dialogue(script, 1)
    known = compared([*first, *second, *dialogue(script, 2)])
    assert known.found == 1  # the third was written from the pattern
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from scripts import CLIENT_PORT, Segment, segments

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts import Script

    from smtpwire.analyzer import model

__all__ = ["MINUTE", "SECOND", "Reports", "again", "compared", "dialogue", "told"]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
_STEP = 1_000_003  # between the initial sequence numbers of two copies


@dataclass(frozen=True, slots=True)
class Reports:
    """What a tracker that learns reports. ``found``: connections that no conversation judged."""

    connections: list[model.Connection]
    found: int
    tracker: Tracker


def again(sent: Iterable[Segment], number: int, apart_ns: int = 2 * 60 * MINUTE) -> list[Segment]:
    """The ``number``-th copy of segments: the higher port of each key, numbers, frames and times are others."""
    copies = []
    for key, seq, ack, flags, payload, missing, frame, time_ns in sent:
        ports = [int.from_bytes(key[at:][:2], "big") for at in (-4, -2)]
        higher = ports.index(max(ports))
        ports[higher] = (ports[higher] + 7 * number) % 0x10000 or 1
        copies.append(
            Segment(
                key[:-4] + b"".join(port.to_bytes(2, "big") for port in ports),
                (seq + _STEP * number) & 0xFFFFFFFF,
                (ack + _STEP * number) & 0xFFFFFFFF if flags & 16 else ack,
                flags,
                payload,
                missing,
                frame + 100_000 * number,
                time_ns + apart_ns * number + 1_234_567 * number,
            )
        )
    return copies


def dialogue(script: Script, number: int = 0, pauses: dict[int, int] | None = None, port: int = 25) -> list[Segment]:
    """A connection of its own for ``script``. ``pauses``: nanoseconds more before its segments, by their places."""
    sent = segments(script, client_port=CLIENT_PORT + number, port=port)
    pauses = pauses or {}
    delays = itertools.accumulate(pauses.get(place, 0) for place in range(len(sent)))
    return [
        one._replace(time_ns=one.time_ns + delay + 10 * MINUTE * number, frame=one.frame + 1000 * number)
        for one, delay in zip(sent, delays, strict=True)
    ]


def told(connections: Iterable[model.Connection]) -> list[bytes]:
    """Reports as they would be written."""
    return [msgspec.json.encode(connection) for connection in connections]


def played(sent: Iterable[Segment], *, learn: bool, select: Sequence[str] = (), profile: str | None = None) -> Reports:
    """What a tracker makes of segments."""
    judged = 0

    class Counting(Tracker):
        """Counts the connections that are judged in full."""

        def begin(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            nonlocal judged
            judged += 1
            return super().begin(*args, **kwargs)  # type: ignore[arg-type]

    tracker = Counting(RuleBook(Options(select=tuple(select)).rules(), DEFAULT_LIMITS), learn=learn, profile=profile)
    for one in sent:
        tracker.segment(*one)
    tracker.close()
    connections = list(tracker.done)
    return Reports(connections, len(connections) - judged, tracker)


def compared(sent: Iterable[Segment], *, select: Sequence[str] = (), profile: str | None = None) -> Reports:
    """The reports of a tracker that learns, which are those of one that does not."""
    sent = list(sent)
    learned, full = (played(sent, learn=learn, select=select, profile=profile) for learn in (True, False))
    assert full.found == 0
    for ours, theirs in zip(told(learned.connections), told(full.connections), strict=True):
        assert ours == theirs
    return learned

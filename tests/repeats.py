"""The same dialogue several times: with other ports, sequence numbers, frames and times."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from scripts import CLIENT_PORT, Segment, segments

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts import Script

    from smtpwire.analyzer import model

__all__ = ["MINUTE", "SECOND", "again", "dialogue", "reported"]

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
_STEP = 1_000_003  # between the initial sequence numbers of two copies


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


def reported(sent: Iterable[Segment]) -> list[model.Connection]:
    """The reports of segments."""
    tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
    for one in sent:
        tracker.segment(*one)
    tracker.close()
    return list(tracker.done)

"""Turn segments into finished connections: connects streams, protocol detection and conversations."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from ..exchanges.connection_report import NO_DETAIL, TimeFormat, TurnDetail
from ..limits import DEFAULT_LIMITS, Limits
from .conversations import PROFILE_OF_PORT, Conversations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .. import model
    from ..exchanges.conversation import ContentTap, Judge
    from ..exchanges.record import ConnectionRecord
    from ..segments.decoder import SegmentSink
    from ..streams.housekeeping import Pressure
    from ..tls.key_log import KeyLog
    from .places import Places

__all__ = ["DEFAULT_PORTS", "PROFILE_OF_PORT", "Tracker"]

DEFAULT_PORTS = frozenset({25, 465, 587, 2525, 24})


class Tracker:
    """Takes segments by ``segment``. Finished connections are in ``ended``, in the order in which they ended."""

    def __init__(
        self,
        judge: Judge,
        *,
        ports: frozenset[int] = DEFAULT_PORTS,
        profile: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        detail: TurnDetail = NO_DETAIL,
        tap: Callable[[ConnectionRecord, TimeFormat], ContentTap] | None = None,
        keys: KeyLog | None = None,
    ) -> None:
        """``tap``: returns the receiver of a new connection's messages."""
        self.conversations = Conversations(
            judge, limits, ports=ports, profile=profile, detail=detail, tap=tap, keys=keys
        )
        self.streams = self.conversations.streams
        self.ended = self.conversations.ended
        self.clock = self.conversations.clock
        self.segment: SegmentSink = self.streams.feed
        self.judge = judge

    @property
    def places(self) -> Places | None:
        """Where connections get their numbers and where they end; None: not noted."""
        return self.conversations.places

    @places.setter
    def places(self, places: Places) -> None:
        self.conversations.places = places

    def begin_capture(self) -> None:
        """The next segments come from another capture."""
        self.streams.capture += 1

    def close(self) -> None:
        """End every connection, because the last source ended."""
        for _ in self.ending():
            pass

    def ending(self) -> Iterator[None]:
        """Do the same step by step, so that code that empties ``ended`` meanwhile needs less memory."""
        streams = self.streams
        left = sorted(streams.table, key=attrgetter("started"), reverse=True)
        while left:
            flow = left.pop()
            if self.places is not None:
                self.places.note_last(flow.started)
            streams.finish(flow)
            yield
        self.conversations.others.add_handshakes(streams.table.handshakes)
        streams.close()

    @property
    def done(self) -> list[model.Connection]:
        """The reports of the connections that ended and were not taken from ``ended`` yet."""
        return [one.report for one in self.ended]

    @property
    def other_traffic(self) -> list[model.OtherTraffic]:
        """The connections so far that are not SMTP, the most frequent kinds first. Those without data are counted at
        the end."""
        return self.conversations.others.ordered()

    def set_digits(self, digits: int) -> None:
        """Set the decimals of a second for the times from now on."""
        self.clock.digits = digits

    @property
    def open(self) -> int:
        """Number of open connections."""
        return len(self.streams.table)

    def sweep(self, *times_ns: int) -> None:
        """Close connections that were idle too long or are too many. ``times_ns``: times of the last frames."""
        for time_ns in times_ns:
            self.streams.clock.tick(time_ns)
        places = self.places
        for reset in self.streams.ends.sweep(self.streams.clock.now_ns):
            if places is not None:
                places.note_reset(reset)
        self.streams.housekeeping.sweep()

    def under_way(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield each open connection, and each SYN without data so far: the key of a direction, and the times of the
        first and the last frame."""
        yield from self.streams.table.waiting()
        for flow in self.streams.table:
            yield flow.key, flow.started_ns, flow.last_ns

    def standing(self) -> Iterator[ConnectionRecord]:
        """Yield the records of the open connections. They will still grow."""
        return self.conversations.standing()

    def pressure(self) -> Pressure:
        """Return what limits for all connections did since the last call."""
        return self.streams.housekeeping.pressure()

    def clock_set(self, by_ns: int) -> None:
        """Shift all times by ``by_ns``, because the clock that stamps the segments was changed by that."""
        self.streams.housekeeping.adjust(by_ns)

"""The loop of a live audit: it reads frames, reports findings, and acts on timers and signals."""

# Theory
# ------
# One thread does everything. The ring is the queue in front of it, so a second thread would gain nothing, and there is
# nothing to lock. An iteration of the loop takes one block of each interface (a few thousand frames, tens of
# milliseconds at most), reports the findings in it, and checks the timers. It waits only if nothing was there. So a
# finding is reported as soon as the kernel has delivered its block and earlier blocks are done.
#
# The end of a run is a moment: when its time is over, or a signal comes. Frames that came before it may still wait in
# the ring, so they are read for some seconds more. Frames that come after it are not read. What is still left then is
# counted and named. A limit of frames ends the run with its last frame, so nothing is read after that.

from __future__ import annotations

import select
import time
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import UsageError, display_path
from ..segments.decoder import SegmentDecoder
from ..timestamps import format_time
from .sinks import Totals
from .wall_clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..audit import Options
    from .interfaces import Source
    from .live_audit import LiveAudit, Update
    from .signals import Signals
    from .sinks import Sink

__all__ = ["EventLoop"]

_TICK_SECONDS = 0.25  # how often the screen is redrawn; a shorter time makes it flicker
_CHECK_SECONDS = 1.0  # how often lost frames, interfaces and the clock are checked
_DELIVERY_SECONDS = 0.2  # the kernel keeps a partly filled block for up to 50 ms, and its frames are wanted too
_DRAIN_SECONDS = 5.0  # how long frames that wait at the end are read
_PATIENCE_SECONDS = 1.0  # after this time, a notice says why the run has not ended


class EventLoop:
    """The loop. ``run`` ends when ``source`` is finished, a signal comes, or a requested limit is reached.

    ``seconds`` and ``frames``: such limits; ``snapshot_seconds``: how often open connections are reported; ``reload``:
    returns the options after SIGHUP.
    """

    def __init__(
        self,
        source: Source,
        audit: LiveAudit,
        sink: Sink,
        signals: Signals,
        *,
        seconds: float | None = None,
        frames: int | None = None,
        snapshot_seconds: float | None = None,
        reload: Callable[[], Options] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._source = source
        self._audit = audit
        self._sink = sink
        self._signals = signals
        self._frames = frames
        self._snapshot_seconds = snapshot_seconds
        self._reload = reload
        self._clock = clock or Clock()
        streams, options = audit.tracker.streams, audit.options
        tracker = audit.tracker
        self._decoder = SegmentDecoder(
            tracker.segment, options.decoder, streams.ignored, options.limits, streams.recent
        )
        self._decoded = 0
        now = monotonic()
        self._name = ""
        self._end = None if seconds is None else now + seconds
        self._tick_at = now
        self._check_at = now + _CHECK_SECONDS
        self._snapshot_at = None if snapshot_seconds is None else now + snapshot_seconds

    def run(self) -> None:
        """Run the audit up to its summary. Raises the exceptions of the sink if its reader has gone."""
        poller = select.poll() if hasattr(select, "poll") else None
        files = [*self._source.files(), self._signals.fileno()]
        if poller is not None:
            for file in files:
                poller.register(file, select.POLLIN | select.POLLERR)
        while not self._over():
            taken = self._take()
            self._on_time()
            if taken:
                continue
            seconds = self._until_next_timer()
            if poller is not None:
                woken = poller.poll(seconds * 1000)
            else:
                woken = [(one, 0) for one in select.select(files, [], [], seconds)[0]]
            if any(event & select.POLLERR for _, event in woken):
                self._check()  # or poll would report it again and again
            self._signals.drain()
        self._signals.acknowledge()
        if self._source.moving and not self._source.finished and not self._enough:
            self._drain()
        for text in self._source.notices():
            self._notice(text)
        self._source.close(self._decoder)
        self._captures()
        self._report(self._audit.last_updates())
        self._sink.finish(self._audit.summary)

    def _notice(self, text: str) -> None:
        """Pass a line to the sink. It may contain names of files and interfaces."""
        self._sink.notice(display_path(text))

    def _over(self) -> bool:
        return (
            self._signals.stop
            or self._source.finished
            or (self._end is not None and monotonic() >= self._end)
            or self._enough
        )

    @property
    def _enough(self) -> bool:
        return self._frames is not None and self._decoded >= self._frames

    def _end_ns(self) -> int:
        """Return the time at which the run ended, by the clock that stamps the frames."""
        if self._end is not None and (passed := monotonic() - self._end) >= 0:
            ended = self._clock.now() - int(passed * 1e9)
            return min(ended, self._signals.stopped_ns) if self._signals.stop else ended
        return self._signals.stopped_ns

    def _take(self) -> int:
        left = None if self._frames is None else self._frames - self._decoded
        self._audit.tracker.clock.digits = self._source.digits
        taken = self._source.take(self._decoder, left)
        self._decoded += taken
        if self._source.name != self._name:
            self._name = self._source.name
            self._sink.reading(self._name)
        if taken:
            self._report(self._audit.updates())
        self._captures()
        return taken

    def _drain(self) -> None:
        """Read the frames that came before the end: those in the ring, and those that the kernel delivers soon."""
        source, signals = self._source, self._signals
        start = monotonic()
        notice_at = start + _PATIENCE_SECONDS
        source.end(self._end_ns())
        while not source.finished and not self._enough:
            passed = monotonic() - start
            if signals.hurry or passed >= _DRAIN_SECONDS:
                time.sleep(max(0.0, _DELIVERY_SECONDS - passed))  # what the kernel delivers late is counted too
                source.leave()
                return
            if self._take():
                if monotonic() >= notice_at:
                    notice_at += _DRAIN_SECONDS
                    self._notice("reading the frames that came before the end; a second signal ends it at once")
                continue
            if passed >= _DELIVERY_SECONDS:
                return
            select.select([*source.files(), signals.fileno()], [], [], _DELIVERY_SECONDS - passed)
            signals.drain()

    def _on_time(self) -> None:
        signals = self._signals
        now = monotonic()
        if now >= self._check_at:
            self._check_at = now + _CHECK_SECONDS
            self._check()
        if signals.snapshot or (self._snapshot_at is not None and now >= self._snapshot_at):
            signals.snapshot = False
            if self._snapshot_seconds is not None:
                self._snapshot_at = now + self._snapshot_seconds
            self._sink.standing(list(self._audit.standing()), format_time(self._clock.now(), 6))
        if signals.reload:
            signals.reload = False
            self._read_again()
        if now >= self._tick_at:
            self._tick_at = now + _TICK_SECONDS
            frames, octets, dropped = self._source.counts()
            self._sink.tick(Totals(frames, octets, dropped, self._audit.tracker.open, self._audit.summary))

    def _check(self) -> None:
        """Do the checks of every second."""
        for text in self._source.notices():
            self._notice(text)
        if not self._source.moving:
            return
        by = self._clock.step()
        if by:
            self._notice(f"the clock was set by {by / 1e9:+.1f} s")
            self._audit.clock_set(by)
        # Idle connections end by the clock, even if no frames come any more.
        streams = self._audit.tracker.streams
        streams.clock.now_ns = max(streams.clock.now_ns, self._clock.now())
        self._report(self._audit.updates())

    def _read_again(self) -> None:
        if self._reload is None:
            return
        try:
            self._audit.change(self._reload())
        except (UsageError, OSError) as error:
            self._notice(f"{error}; the configuration is unchanged")
        else:
            self._notice("the configuration was read again")

    def _until_next_timer(self) -> float:
        """Return the seconds until the next timer."""
        times = [self._tick_at, self._check_at]
        times += [time for time in (self._end, self._snapshot_at) if time is not None]
        return max(0.0, min(times) - monotonic())

    def _report(self, updates: Iterable[Update]) -> None:
        sink = self._sink
        for one in updates:
            for finding in one.findings:
                sink.finding(finding, one.connection)
            if one.ended:
                sink.ended(one.connection)

    def _captures(self) -> None:
        captures = self._source.captures
        while captures:
            self._sink.capture(captures.pop(0))

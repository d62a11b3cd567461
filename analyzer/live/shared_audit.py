"""A live audit in several processes: the kernel divides the frames by connection, and one process reports."""

# Theory
# ------
# The rings of all processes join a group of the kernel (PACKET_FANOUT), which puts each frame into one of them by a
# hash of addresses and ports, the same one for both directions, and joins fragments of IPv4 before. So each process has
# whole connections, and they have nothing in common but offers of STARTTLS (`shared_offers`). Numbers of connections do
# not collide, because process k of n gives the numbers k, k + n, k + 2n ... Frames are numbered in each ring.
#
# Signals: the first process gets them and passes them on.

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from itertools import count as numbers
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..findings.counts import add
from ..model import Capture, Summary
from ..parent_process import end_with_parent
from .line_sinks import JsonLinesSink
from .shared_offers import SharedOffers, sockets
from .shared_sink import ConnectionEnded, Finished, Found, Inbox, Lines, Notice, PipeSink, Read, Standing, Tick
from .signals import Signals
from .sinks import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from socket import socket

    from ..model import Connection
    from ..reports.output import Output
    from .event_loop import EventLoop
    from .interfaces import Source
    from .live_audit import LiveAudit
    from .shared_sink import Message
    from .sinks import Sink

__all__ = ["SharedLiveAudit"]

_SAME_SECONDS = 2.0  # a notice that another process gives within this time is the same one
_WAIT_SECONDS = 0.25


class _Process:
    """A process, as the first one sees it."""

    def __init__(self, pid: int, inbox: Inbox) -> None:
        self.pid = pid
        self.inbox = inbox
        self.totals = Totals(0, 0, 0, 0, Summary())
        self.summary: Summary | None = None
        self.capture: Capture | None = None
        self.standing: list[Connection] | None = None


class SharedLiveAudit:
    """Runs ``loop`` in a process for each of ``sources``, and reports to ``sink``. ``summary``: of all of them;
    ``complete``: none of them has died.
    ``output``: of the sink, if it writes NDJSON."""

    def __init__(
        self,
        sources: Sequence[Source],
        audits: Callable[[], LiveAudit],
        sink: Sink,
        signals: Signals,
        loop: Callable[..., EventLoop],
        output: Output | None,
    ) -> None:
        self.summary = Summary()
        self.complete = True
        self._sources = sources
        self._audits = audits
        self._sink = sink
        self._signals = signals
        self._loop = loop
        self._output = output if isinstance(sink, JsonLinesSink) else None
        self._processes: list[_Process] = []
        self._noticed: dict[str, float] = {}
        self._told = 0  # how many signals to stop were passed on

    def run(self) -> None:
        """Run to the end. Raises the exceptions of the sink if its reader has gone."""
        pairs = sockets(len(self._sources))
        try:
            for number in range(len(self._sources)):
                self._fork(number, pairs)
        except OSError as error:
            self._end()
            raise UsageError(f"no process can start ({error.strerror})", "--jobs", "use fewer") from error
        finally:
            for one in (end for pair in pairs for end in pair):
                one.close()
        try:
            self._sink.reading(self._sources[0].name)
            while any(not process.inbox.closed for process in self._processes):
                self._step()
        except BaseException:
            self._end()
            raise
        self._finish()

    def _fork(self, number: int, pairs: Sequence[tuple[socket, socket]]) -> None:
        ours, theirs = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(theirs)
            self._processes.append(_Process(pid, Inbox(ours)))
            return
        status = 1
        try:
            end_with_parent(parent)
            os.close(ours)
            for process in self._processes:
                os.close(process.inbox.fileno())
            self._work(number, theirs, pairs)
            status = 0
        except (BrokenPipeError, KeyboardInterrupt):
            pass
        finally:
            os._exit(status)  # this process must not flush or clean up anything of its parent

    def _work(self, number: int, pipe: int, pairs: Sequence[tuple[socket, socket]]) -> None:
        """Run the loop of one process."""
        count = len(self._sources)
        audit = self._audits()
        tracker = audit.tracker
        tracker.conversations.ids = numbers(number + 1, count)
        others = [write for place, (_, write) in enumerate(pairs) if place != number]
        tracker.judge.servers = SharedOffers(tracker.judge.servers, pairs[number][0], others)
        with Signals() as signals:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and the first one passes it on
            sink = PipeSink(pipe, as_lines=self._output is not None)
            self._loop(self._sources[number], audit, sink, signals).run()

    def _step(self) -> None:
        """Pass on what has come within a short time."""
        self._pass_on_signals()
        pipes = [process.inbox.fileno() for process in self._processes if not process.inbox.closed]
        ready, _, _ = select.select([*pipes, self._signals.fileno()], [], [], _WAIT_SECONDS)
        if self._signals.fileno() in ready:
            self._signals.drain()
        for process in self._processes:
            if process.inbox.fileno() in ready:
                for message in process.inbox.read():
                    self._take(process, message)
        self._sink.tick(self._totals())

    def _take(self, process: _Process, message: Message) -> None:
        sink = self._sink
        match message:
            case Lines():
                assert self._output is not None
                self._output.write(message.data)
            case Found():
                sink.finding(message.finding, message.connection)
            case ConnectionEnded():
                sink.ended(message.connection)
            case Notice():
                self._notice(message.text)
            case Tick():
                process.totals = Totals(message.frames, message.octets, message.dropped, message.open, message.summary)
            case Standing():
                process.standing = message.connections
                self._stand(message.time)
            case Read():
                process.capture = message.capture
            case Finished():
                process.summary = message.summary

    def _stand(self, time: str) -> None:
        """Report the open connections of all processes, if all have sent them."""
        going = [process for process in self._processes if not process.inbox.closed]
        if any(process.standing is None for process in going):
            return
        found = [one for process in going for one in process.standing or ()]
        for process in going:
            process.standing = None
        self._sink.standing(sorted(found, key=lambda one: one.id), time)

    def _notice(self, text: str) -> None:
        now = monotonic()
        if now - self._noticed.get(text, -_SAME_SECONDS) < _SAME_SECONDS:
            return
        self._noticed = {known: at for known, at in self._noticed.items() if now - at < _SAME_SECONDS} | {text: now}
        self._sink.notice(text)

    def _totals(self) -> Totals:
        totals = [process.totals for process in self._processes]
        summary = Summary()
        for one in totals:
            add(summary, one.summary)
        frames, octets, dropped, are_open = (sum(counts) for counts in zip(*(one[:4] for one in totals), strict=True))
        return Totals(frames, octets, dropped, are_open, summary)

    def _pass_on_signals(self) -> None:
        signals = self._signals
        while self._told < signals.stop + signals.hurry:
            self._told += 1
            signals.acknowledge()
            self._send(signal.SIGTERM)
        if signals.snapshot:
            signals.snapshot = False
            self._send(signal.SIGUSR1)
        if signals.reload:
            signals.reload = False
            self._send(signal.SIGHUP)

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes:
            if not process.inbox.closed:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    def _finish(self) -> None:
        """Report the end of all: one capture, and one summary."""
        lost = [process for process in self._processes if process.summary is None]
        for process in self._processes:
            add(self.summary, process.summary or process.totals.summary)
        captures = [process.capture for process in self._processes if process.capture is not None]
        self.complete = not lost
        for one in lost:
            self._sink.notice(f"process {one.pid} has died: its open connections are missing")
        if captures or lost:
            capture = _joined(captures or [Capture(self._sources[0].name, "live")])
            capture.problems += [
                f"process {process.pid} has died: its open connections are missing" for process in lost
            ]
            self._sink.capture(capture)
        self._sink.finish(self.summary)
        self._end()

    def _end(self) -> None:
        """End the processes that are left."""
        for process in self._processes:
            os.close(process.inbox.fileno())
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            os.waitpid(process.pid, 0)
        self._processes = []


def _joined(captures: Sequence[Capture]) -> Capture:
    """Return the capture whose frames several processes had."""
    first = captures[0]
    return Capture(
        *(first.path, first.format, first.link_types),
        frames=sum(one.frames for one in captures),
        bytes=sum(one.bytes for one in captures),
        first=min(_times(captures, "first"), default=None),
        last=max(_times(captures, "last"), default=None),
        problems=list(dict.fromkeys(problem for one in captures for problem in one.problems)),
    )


def _times(captures: Sequence[Capture], name: str) -> Iterator[str]:
    return (getattr(one, name) for one in captures if getattr(one, name) is not None)

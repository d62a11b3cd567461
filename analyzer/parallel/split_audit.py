"""One audit in two processes: each reads one half of the capture."""

# Theory
# ------
# In `partitioned_audit` each process reads every frame. If one file has all the traffic, it can be split in two instead
# (`connections.split`). Then almost nothing is done twice, for any kind of traffic.
#
# The results of the first process come first and are written as they come. Meanwhile the second one stores its results
# in a file. When the first has reached the cut, both are merged block by block, as long as the first still follows
# connections.
#
# The second process does not know which connections were open at the cut. Of its results these are dropped, with their
# numbers:
# - connections that the first one follows, until their addresses and ports are released for another one;
# - connections without a captured start, between addresses and ports of one that was over before the cut. One process
#   would have treated their segments as late copies, or as part of a connection that is not SMTP.
#
# If it is not certain that the result is that of one process, the audit starts again in one (`NeedsOneProcess`).

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import convert, json

from ..audit import summed
from ..findings.counts import count
from ..model import Capture, Connection
from ..segments.decode_tally import DecodeTally
from .partitioned_audit import SharedAudit, report_progress
from .processes import NeedsOneProcess, WorkerProcess, spool
from .split_workers import PRESSED, REUSED, BlockState, FirstWorker, SecondWorker
from .worker import GIVEN_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..audit import DecoderCounts, Options
    from ..connections.partition import NumberedConnection, Place
    from .processes import Message

__all__ = ["HalvedAudit"]

_FIRST, _SECOND = 0, 1
_DROPPED = 0  # instead of a number


class HalvedAudit(SharedAudit):
    """An audit of one regular file, split after the byte ``cut``."""

    def __init__(self, options: Options, cut: int) -> None:
        super().__init__(options, 2)
        self._cut = cut
        self._own: set[bytes] = set()  # keys of connections that the first process follows
        self._over: set[bytes] = set()  # keys of connections that are over in the first process
        self._long_over: set[bytes] = set()  # of those that were over before the last block
        self._released: dict[bytes, Place] = {}
        self._tally: dict[str, Any] | None = None  # of the first half
        self._remembered = 0  # keys in both processes of connections that are over
        self._first_goes_on = True

    def _fork(self, paths: Sequence[str]) -> None:
        self._workers.append(WorkerProcess(lambda wire: FirstWorker(self.options, paths, self._cut, wire).run(), []))
        self._workers.append(
            WorkerProcess(lambda wire: SecondWorker(self.options, paths, self._cut, wire).run(), self._workers, spool())
        )

    def stop(self) -> Iterator[Capture | Connection]:
        """See ``Audit.stop``."""
        if self._alone is not None:
            yield from super().stop()
            return
        going = [_FIRST, _SECOND] if self._first_goes_on else [_SECOND]
        if self._tally is None:
            going = [_FIRST]  # the results of the second one come after a gap
        for number in going:
            os.kill(self._workers[number].pid, signal.SIGTERM)
        with suppress(NeedsOneProcess):  # nothing more can be had then
            captures: dict[int, Message] = {}
            while going:
                messages = [self._workers[number].next() for number in going]
                if messages[0].kind == "end":
                    self._end_first(messages.pop(0))
                captures.update((message.worker, message) for message in messages if message.kind == "capture")
                going = [message.worker for message in messages if message.kind != "capture"]
                if messages and messages[0].kind == "cut":  # it had come that far before it was asked to stop
                    self._take_cut(messages[0])
                    os.kill(self._workers[_SECOND].pid, signal.SIGTERM)
                    going.append(_SECOND)
                self._put(messages)
            yield self._captured(captures[max(captures)])
            self._put_open([self._left(number) for number in captures])
        self._end()

    def _merged(
        self, progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
    ) -> Iterator[Capture]:
        first, second = self._workers
        while self._tally is None:
            message = first.next()
            self._put([message])
            if message.kind == "cut":
                read = self._take_cut(message)
            elif message.kind != "block":
                raise NeedsOneProcess("the file became shorter while it was read")
            else:
                read = message.more[:2]
            report_progress(read, progress, settled)
        while True:
            messages = [second.next()]
            if self._first_goes_on:
                messages.insert(0, first.next())
                if messages[0].kind == "end":
                    self._end_first(messages.pop(0))
            if len({message.kind for message in messages}) > 1:
                raise NeedsOneProcess("the file grew while it was read")
            self._put(messages)
            if not self._first_goes_on:
                self._long_over |= self._over
            if messages[0].kind == "capture":
                break
            report_progress(messages[-1].more[:2], progress, settled)
        yield self._captured(messages[-1])
        self._put_open([self._left(message.worker) for message in messages])

    def _take_cut(self, message: Message) -> list[Any]:
        """Note what the first process had at the cut. Return how far it had read, and of how much."""
        read, total, own, over, self._tally = message.more
        self._own, self._over, self._long_over = set(own), set(over), set(over)
        return [read, total]

    def _end_first(self, message: Message) -> None:
        """Note that the first process follows no connection any more."""
        self._ended(message)
        self._first_goes_on = False
        self._over |= self._own.difference(self._released)
        self._own = set()

    def _give_numbers(self, messages: Sequence[Message]) -> None:
        if self._tally is not None:
            self._check([(message, BlockState(*message.more)) for message in messages if message.kind == "block"])
        super()._give_numbers(messages)

    def _check(self, blocks: Sequence[tuple[Message, BlockState]]) -> None:
        """Check the states of both halves after a block. Raises ``NeedsOneProcess``."""
        self._remembered = sum(state.remembered for _, state in blocks)
        if sum(state.open for _, state in blocks) > self.options.limits.connections > 0:
            raise NeedsOneProcess(PRESSED)
        for message, state in blocks:
            self._released.update((key, place) for place, key in state.released)
            if len(message.numbered) > state.numbered:
                # They were recognised as SMTP only then: their order depends on all open connections.
                raise NeedsOneProcess(GIVEN_UP)

    def _count(self, worker: int, numbered: NumberedConnection) -> None:
        if worker == _FIRST or self._is_new(*numbered):
            super()._count(worker, numbered)
        else:
            self._workers[worker].numbers.append(_DROPPED)

    def _is_new(self, place: Place, key: bytes, _first_frame: int, handshake: bool) -> bool:
        """Whether a connection that the second process reports is unknown to the first one."""
        if key in self._own:
            released = self._released.get(key)
            return released is not None and place >= released
        if handshake or key not in self._over:
            return True
        if key in self._long_over:  # a late copy of that one, or another one whose start was not captured
            raise NeedsOneProcess(REUSED)
        if self._remembered + len(self._over) > 2 * self.options.limits.closed_connections > 0:
            raise NeedsOneProcess(PRESSED)  # one process may not have remembered it
        return False

    def _write_as(self, given: int, own: bytes, lines: bytes) -> None:
        if given == _DROPPED:
            self._omit(lines)
        else:
            super()._write_as(given, own, lines)

    def _omit(self, lines: bytes) -> None:
        """Subtract a connection from the summary, which will count it."""
        connection, *findings = map(json.decode, lines.splitlines())
        count(self.summary, convert(connection | {"findings": findings}, Connection), by=-1)

    def _ended(self, message: Message) -> None:
        super()._ended(message)
        self.summary.rules = {rule: count for rule, count in self.summary.rules.items() if count}

    def _decoded(self, decoder_counts: DecoderCounts) -> None:
        self.decoder_counts = summed(self.decoder_counts, decoder_counts)

    def _captured(self, message: Message) -> Capture:
        if self._tally is None:
            return super()._captured(message)
        encoded, later = message.more
        capture = json.decode(encoded, type=Capture)
        tally, rest = DecodeTally.of(self._tally), DecodeTally.of(later)
        problems = rest.problems()
        tally.add(rest)
        capture.problems[len(capture.problems) - len(problems) :] = tally.problems()
        self.captures.append(capture)
        return capture

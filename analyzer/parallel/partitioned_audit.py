"""One audit in several processes: each reads the whole capture and judges its share of the connections."""

# Theory
# ------
# In captures that contain mostly mail, the work on each connection takes most of the time, and connections hardly
# depend on each other. So processes are forked, each with the connections of some ports (`partition`). For each block
# of the capture, which is the same block for all of them, they send the lines that they would have written, and where
# in the capture each connection got its number and ended. This process restores the order and the numbers of a single
# process: its output is the same byte for byte.
#
# Some things only one process can decide: a connection whose EHLO reply does not have what another one had offered,
# connections given up because too many are open, inputs that fail. These are rare. A process that meets one reports it,
# and the audit starts again in one process, which omits what was already written.
#
# No run uses a second process unless the user asked for it: a connection was once lost between two (10 in one process,
# 9 in two, without a message), and it could not be reproduced.

from __future__ import annotations

import os
import signal
from contextlib import suppress
from functools import partial
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import json

from ..audit import Audit
from ..connections.other_traffic import ordered
from ..connections.partition import Share
from ..model import Capture, Connection, Summary
from .processes import Channel, Message, NeedsOneProcess, WorkerProcess
from .worker import OFFERS, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..audit import DecoderCounts, Options
    from ..connections.partition import NumberedConnection, Place
    from ..errors import InputError

__all__ = ["Lines", "SharedAudit", "report_progress"]

_BEGIN = b'{"type":"connection","id":'
_FINDING = b'{"type":"finding","connection":'
_place = itemgetter(0)


@runtime_checkable
class Lines(Protocol):
    """A writer that accepts lines made by other processes."""

    def put(self, lines: bytes) -> None:
        """Write lines as they are."""


class SharedAudit:
    """An audit as ``run.run`` uses it, in ``jobs`` processes. Its writer must be one of ``Lines``. ``why_alone``: why
    it started again in one process, empty if it did not."""

    def __init__(self, options: Options, jobs: int) -> None:
        self.options = options
        self.summary = Summary()
        self.captures: list[Capture] = []
        self.unreadable: list[InputError] = []
        self.decoder_counts = (0, 0, 0)
        self.why_alone = ""
        self._jobs = jobs
        self._workers: list[WorkerProcess] = []
        self._alone: Audit | None = None  # the audit in one process, if this one could not continue
        self._writer: Lines | None = None
        self._numbers = 0
        self._written = 0
        # workers that saw a server without STARTTLS, and with it
        self._offers: dict[tuple[str, ...], tuple[set[int], set[int]]] = {}

    def attach(self, writer: object) -> None:
        """Set the writer of this run."""
        assert isinstance(writer, Lines)
        self._writer = writer

    def run(
        self,
        paths: Sequence[str],
        progress: Callable[[int, int | None], None] | None = None,
        settled: Callable[[], None] | None = None,
    ) -> Iterator[Capture | Connection]:
        """See ``Audit.run``; only captures are yielded, connections have been written."""
        try:
            self._begin(paths)
            yield from self._merged(progress, settled)
        except NeedsOneProcess as why:
            self.why_alone = str(why)
            self._end()
            yield from self._again(paths, progress, settled)
        except KeyboardInterrupt:
            raise  # stop() comes next
        except BaseException:
            self._end()
            raise
        self._end()

    def _begin(self, paths: Sequence[str]) -> None:
        """Fork the workers. Raises ``NeedsOneProcess`` if the system cannot fork them."""
        try:
            self._fork(paths)
        except OSError as error:
            raise NeedsOneProcess(f"no process: {error.strerror}") from None

    def _fork(self, paths: Sequence[str]) -> None:
        for number in range(self._jobs):
            share = Share(number, self._jobs)
            self._workers.append(WorkerProcess(partial(_work, self.options, paths, share), self._workers))

    def stop(self) -> Iterator[Capture | Connection]:
        """See ``Audit.stop``."""
        if self._alone is not None:
            yield from self._alone.stop()
            self._take_over(self._alone)
            return
        for worker in self._workers:
            os.kill(worker.pid, signal.SIGTERM)
        with suppress(NeedsOneProcess):  # nothing more can be read then
            rest = [worker.until("capture") for worker in self._workers]
            self._put([message for messages, last in rest for message in (*messages, last)])
            yield self._captured(rest[0][1])
            self._put_open([self._left(worker) for worker in range(len(self._workers))])
        self._end()

    def _merged(
        self, progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
    ) -> Iterator[Capture]:
        """Write the results of the workers in the order of one process. Raises ``NeedsOneProcess``."""
        while True:
            messages = [worker.next() for worker in self._workers]
            kinds = {message.kind for message in messages}
            if kinds <= {"open", "end"}:
                self._put_open([self._left(message.worker, message) for message in messages])
                return
            if len(kinds) > 1:
                raise NeedsOneProcess("a file grew while it was read")
            self._put(messages)
            if kinds == {"capture"}:
                yield self._captured(messages[0])
                continue
            report_progress(messages[0].more, progress, settled)

    def _captured(self, message: Message) -> Capture:
        self.captures.append(json.decode(message.more, type=Capture))
        return self.captures[-1]

    def _put(self, messages: Sequence[Message]) -> None:
        """Write the connections that ended in a block, from one message of each worker."""
        self._compare(messages)
        self._give_numbers(messages)
        ends = [(*one, message.worker) for message in messages for one in message.ends]
        ends.sort(key=_place)
        for _, lines, worker in ends:
            self._write(worker, lines)

    def _give_numbers(self, messages: Sequence[Message]) -> None:
        numbered = [(*one, message.worker) for message in messages for one in message.numbered]
        numbered.sort(key=_place)  # what has one place is in order
        for place, key, first_frame, handshake, worker in numbered:
            self._count(worker, (place, key, first_frame, handshake))

    def _count(self, worker: int, numbered: NumberedConnection) -> None:
        """Give a number to a connection of ``worker``."""
        self._numbers += 1
        self._workers[worker].numbers.append(self._numbers)

    def _put_open(self, left: Sequence[Iterator[tuple[Place, int, bytes]]]) -> None:
        """Write the connections that were open at the end. ``left``: those of each worker, in several messages because
        there may be many."""
        for _, worker, lines in merge(*left):
            self._write(worker, lines)

    def _left(self, number: int, message: Message | None = None) -> Iterator[tuple[Place, int, bytes]]:
        """Return the connections of a worker that were open at the end; ``message`` is the first of its messages."""
        worker = self._workers[number]
        while message is None or message.kind == "open":
            if message is not None:
                yield from self._opened(worker, message)
            message = worker.next()
        yield from self._opened(worker, message)
        self._ended(message)

    def _opened(self, worker: WorkerProcess, message: Message) -> Iterator[tuple[Place, int, bytes]]:
        self._compare([message])
        worker.late += message.numbered
        yield from ((place, message.worker, lines) for place, lines in message.ends)

    def _ended(self, message: Message) -> None:
        """Add the results in the last message of a worker."""
        summary, decoder_counts = message.more
        _add(self.summary, json.decode(summary, type=Summary))
        self._decoded(decoder_counts)

    def _decoded(self, decoder_counts: DecoderCounts) -> None:
        """Take the counts of frames of a worker."""
        self.decoder_counts = decoder_counts  # every worker reads all frames

    def _write(self, worker: int, lines: bytes) -> None:
        """Write the lines of a connection, with its number among all connections."""
        numbers = self._workers[worker].numbers
        own = lines[len(_BEGIN) : lines.index(b",", len(_BEGIN))]
        if int(own) > len(numbers):
            self._count(worker, self._workers[worker].late.popleft())  # it was recognised as SMTP at the very end
        self._write_as(numbers[int(own) - 1], own, lines)

    def _write_as(self, given: int, own: bytes, lines: bytes) -> None:
        number = b"%d" % given
        assert self._writer is not None
        self._written += 1
        if number == own:  # as in the first half of a capture
            self._writer.put(lines)
            return
        rest = lines[len(_BEGIN) + len(own) :]
        if rest.find(b"\n") < len(rest) - 1:
            first, line_end, findings = rest.partition(b"\n")
            rest = first + line_end + findings.replace(_FINDING + own + b",", _FINDING + number + b",")
        self._writer.put(_BEGIN + number)
        self._writer.put(rest)

    def _compare(self, messages: Sequence[Message]) -> None:
        """Raise ``NeedsOneProcess`` if one worker saw an offer of TLS that another one missed."""
        for message in messages:
            for server, offered in message.offers:
                without, with_it = self._offers.setdefault(server, (set(), set()))
                (with_it if offered else without).add(message.worker)
                if without and with_it and len(without | with_it) > 1:
                    raise NeedsOneProcess(OFFERS)

    # -- in one process --------------------------------------------------------------------------------------------

    def _again(
        self,
        paths: Sequence[str],
        progress: Callable[[int, int | None], None] | None,
        settled: Callable[[], None] | None,
    ) -> Iterator[Capture | Connection]:
        """Run the audit again in this process, without what was already written and yielded."""
        audit = self._alone = Audit(self.options)
        captures, connections = len(self.captures), self._written
        for item in audit.run(paths, progress, settled):
            if isinstance(item, Connection):
                if connections:
                    connections -= 1
                else:
                    yield item
            elif captures:
                captures -= 1
            else:
                yield item
        self._take_over(audit)

    def _take_over(self, audit: Audit) -> None:
        self.summary, self.captures, self.unreadable = audit.summary, audit.captures, audit.unreadable
        self.decoder_counts = audit.decoder_counts

    def _end(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.end()


def report_progress(
    read: Sequence[Any], progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
) -> None:
    """Report that a block was written, ``read`` so far."""
    if settled is not None:
        settled()
    if progress is not None:
        progress(*read)


def _work(options: Options, paths: Sequence[str], share: Share, wire: Channel) -> None:
    Worker(options, paths, share, wire).run()


def _add(ours: Summary, summary: Summary) -> None:
    """Add the counts of ``summary`` to ``ours``."""
    for name in ("connections", "messages", "suppressed", "complete", "encrypted", "implicit_tls", "filtered"):
        setattr(ours, name, getattr(ours, name) + getattr(summary, name))
    for severity, count in summary.findings.items():
        ours.findings[severity] += count
    for rule, count in sorted(summary.rules.items()):
        ours.rules[rule] = ours.rules.get(rule, 0) + count
    ours.settings, ours.not_asked, ours.not_loaded = summary.settings, summary.not_asked, summary.not_loaded
    left_out = {(one.by, one.where, one.rule): one for one in ours.left_out}
    for one in summary.left_out:
        if (one.by, one.where, one.rule) in left_out:
            left_out[one.by, one.where, one.rule].findings += one.findings
        else:
            ours.left_out.append(one)
    ours.left_out.sort(key=lambda one: (one.by, one.where, one.rule))
    others = {(one.protocol, one.port): one.connections for one in ours.other_traffic}
    for other in summary.other_traffic:
        others[other.protocol, other.port] = others.get((other.protocol, other.port), 0) + other.connections
    ours.other_traffic = [] if ours.connections else ordered(others)

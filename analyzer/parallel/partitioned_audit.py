"""One audit in several processes: each reads the whole capture and judges its share of the connections."""

# Theory
# ------
# Captures that hold little but mail are bound by the work on each connection, and connections hardly know of each
# other. So processes are forked, each with the connections of some ports (`shares`). Block by block, which are the same
# blocks for all of them, they hand over the lines that they would have written, and where in the capture each
# connection got its number and ended. This process puts all in the order, and gives the numbers, of a single one: what
# it writes is the same byte by byte.
#
# Some things only one process can tell: a connection whose EHLO reply lacks what another one had offered, what is given
# up because too much is open, inputs that fail. These are rare. A process that comes to one says so, and the audit
# begins anew in one process, which is silent about what was written already.
#
# No run uses a second process unless it was asked for: a connection was once lost between two (10 in one process, 9 in
# two, without a message), and it could not be made to happen again.

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
from ..connections.partition import Share
from ..model import Capture, Connection, Summary
from .processes import Channel, Message, NeedsOneProcess, WorkerProcess
from .worker import OFFERS, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..audit import DecoderCounts, Options
    from ..connections.partition import NumberedConnection, Place
    from ..errors import InputError
    from ..fastpath.hit import Repeat
    from ..redact.redactor import Redactor

__all__ = ["Lines", "SharedAudit", "told"]

_BEGIN = b'{"type":"connection","id":'
_FINDING = b'{"type":"finding","connection":'
_place = itemgetter(0)


@runtime_checkable
class Lines(Protocol):
    """A writer whose lines can be made by others."""

    def put(self, lines: bytes) -> None:
        """Write lines as they are."""

    def repeat(self, repeat: Repeat, redactor: Redactor) -> bool:
        """See ``audit.Repeats``."""


class SharedAudit:
    """An audit as ``run.run`` knows it, in ``jobs`` processes. Its writer must be one of ``Lines``. ``why_alone``: why
    it began anew in one, empty if it did not."""

    def __init__(self, options: Options, jobs: int) -> None:
        self.options = options
        self.summary = Summary()
        self.captures: list[Capture] = []
        self.unreadable: list[InputError] = []
        self.decoder_counts = (0, 0, 0)
        self.judged = 0
        self.why_alone = ""
        self._jobs = jobs
        self._hands: list[WorkerProcess] = []
        self._alone: Audit | None = None  # which goes on where this one could not
        self._writer: Lines | None = None
        self._numbers = 0
        self._written = 0
        self._offers: dict[tuple[str, ...], tuple[set[int], set[int]]] = {}  # who saw it without, and with it

    def attach(self, writer: object) -> None:
        """See ``Audit.attach``."""
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
        """Fork the workers. Raises ``NeedsOneProcess`` where the system has no room for them."""
        try:
            self._fork(paths)
        except OSError as error:
            raise NeedsOneProcess(f"no process: {error.strerror}") from None

    def _fork(self, paths: Sequence[str]) -> None:
        for number in range(self._jobs):
            share = Share(number, self._jobs)
            self._hands.append(WorkerProcess(partial(_work, self.options, paths, share), self._hands))

    def stop(self) -> Iterator[Capture | Connection]:
        """See ``Audit.stop``."""
        if self._alone is not None:
            yield from self._alone.stop()
            self._take_over(self._alone)
            return
        for hand in self._hands:
            os.kill(hand.pid, signal.SIGTERM)
        with suppress(NeedsOneProcess):  # nothing more can be had then
            rest = [hand.until("capture") for hand in self._hands]
            self._put([message for messages, last in rest for message in (*messages, last)])
            yield self._captured(rest[0][1])
            self._put_open([self._left(hand) for hand in range(len(self._hands))])
        self._end()

    def _merged(
        self, progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
    ) -> Iterator[Capture]:
        """What the workers send, in the order of one process. Raises ``NeedsOneProcess``."""
        while True:
            messages = [hand.next() for hand in self._hands]
            kinds = {message.kind for message in messages}
            if kinds <= {"open", "end"}:
                self._put_open([self._left(message.hand, message) for message in messages])
                return
            if len(kinds) > 1:
                raise NeedsOneProcess("a file grew while it was read")
            self._put(messages)
            if kinds == {"capture"}:
                yield self._captured(messages[0])
                continue
            told(messages[0].more, progress, settled)

    def _captured(self, message: Message) -> Capture:
        self.captures.append(json.decode(message.more, type=Capture))
        return self.captures[-1]

    def _put(self, messages: Sequence[Message]) -> None:
        """Write what ended in a block, one message of each worker."""
        self._compare(messages)
        self._give_numbers(messages)
        ends = [(*one, message.hand) for message in messages for one in message.ends]
        ends.sort(key=_place)
        for _, lines, hand in ends:
            self._write(hand, lines)

    def _give_numbers(self, messages: Sequence[Message]) -> None:
        numbered = [(*one, message.hand) for message in messages for one in message.numbered]
        numbered.sort(key=_place)  # what has one place is in order
        for place, key, first_frame, handshake, hand in numbered:
            self._count(hand, (place, key, first_frame, handshake))

    def _count(self, hand: int, numbered: NumberedConnection) -> None:
        """Give a number to a connection of ``hand``."""
        self._numbers += 1
        self._hands[hand].numbers.append(self._numbers)

    def _put_open(self, left: Sequence[Iterator[tuple[Place, int, bytes]]]) -> None:
        """Write what was open at the end, of each worker what is ``left``: that may be much, so it comes in many
        messages."""
        for _, hand, lines in merge(*left):
            self._write(hand, lines)

    def _left(self, number: int, message: Message | None = None) -> Iterator[tuple[Place, int, bytes]]:
        """What is open of a worker, of which ``message`` is the first."""
        hand = self._hands[number]
        while message is None or message.kind == "open":
            if message is not None:
                yield from self._opened(hand, message)
            message = hand.next()
        yield from self._opened(hand, message)
        self._ended(message)

    def _opened(self, hand: WorkerProcess, message: Message) -> Iterator[tuple[Place, int, bytes]]:
        self._compare([message])
        hand.late += message.numbered
        yield from ((place, message.hand, lines) for place, lines in message.ends)

    def _ended(self, message: Message) -> None:
        """The last message of a worker."""
        summary, decoder_counts, judged = message.more
        self._add(json.decode(summary, type=Summary))
        self.judged += judged
        self._decoded(decoder_counts)

    def _decoded(self, decoder_counts: DecoderCounts) -> None:
        """Take the counts of the decoders of a worker."""
        self.decoder_counts = decoder_counts  # all of them read all

    def _write(self, hand: int, lines: bytes) -> None:
        """Write the lines of a connection, with the number that it has among all of them."""
        numbers = self._hands[hand].numbers
        own = lines[len(_BEGIN) : lines.index(b",", len(_BEGIN))]
        if int(own) > len(numbers):
            self._count(hand, self._hands[hand].late.popleft())  # it was told to be SMTP at the very end
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
        """Raise ``NeedsOneProcess`` where one worker saw an offer of TLS that another one missed."""
        for message in messages:
            for server, offered in message.offers:
                without, with_it = self._offers.setdefault(server, (set(), set()))
                (with_it if offered else without).add(message.hand)
                if without and with_it and len(without | with_it) > 1:
                    raise NeedsOneProcess(OFFERS)

    def _add(self, summary: Summary) -> None:
        ours = self.summary
        ours.connections += summary.connections
        ours.messages += summary.messages
        ours.suppressed += summary.suppressed
        for severity, count in summary.findings.items():
            ours.findings[severity] += count
        for rule, count in sorted(summary.rules.items()):
            ours.rules[rule] = ours.rules.get(rule, 0) + count

    # -- in one process --------------------------------------------------------------------------------------------

    def _again(
        self,
        paths: Sequence[str],
        progress: Callable[[int, int | None], None] | None,
        settled: Callable[[], None] | None,
    ) -> Iterator[Capture | Connection]:
        """The same in this process, without what was written and yielded already."""
        assert self._writer is not None
        audit = self._alone = Audit(self.options)
        writer = _Rest(self._writer, self._written)
        audit.attach(writer)
        captures = len(self.captures)
        for item in audit.run(paths, progress, settled):
            if isinstance(item, Connection):
                if not writer.skips():
                    yield item
            elif captures:
                captures -= 1
            else:
                yield item
        self._take_over(audit)

    def _take_over(self, audit: Audit) -> None:
        self.summary, self.captures, self.unreadable = audit.summary, audit.captures, audit.unreadable
        self.decoder_counts, self.judged = audit.decoder_counts, audit.judged

    def _end(self) -> None:
        hands, self._hands = self._hands, []
        for hand in hands:
            hand.end()


class _Rest:
    """A writer of what comes behind the first ``left`` connections."""

    def __init__(self, writer: Lines, left: int) -> None:
        self._writer = writer
        self._left = left

    def skips(self) -> bool:
        """Whether the next connection was written before."""
        self._left -= 1
        return self._left >= 0

    def repeat(self, repeat: Repeat, redactor: Redactor) -> bool:
        """See ``audit.Repeats``."""
        if self._left > 0:
            self._left -= 1
            return True
        return self._writer.repeat(repeat, redactor)


def told(
    read: Sequence[Any], progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
) -> None:
    """A block was written, ``read`` so far."""
    if settled is not None:
        settled()
    if progress is not None:
        progress(*read)


def _work(options: Options, paths: Sequence[str], share: Share, wire: Channel) -> None:
    Worker(options, paths, share, wire).run()

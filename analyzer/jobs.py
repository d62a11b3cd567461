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
# Where most frames carry something else, each process would spend its time on reading them; so the beginning of the
# capture is looked at first.

from __future__ import annotations

import gc
import marshal
import os
import signal
import stat
from contextlib import suppress
from functools import partial
from heapq import merge
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, runtime_checkable

from msgspec import json

from .audit import Audit
from .capture import STDIN, Source
from .errors import InputError
from .model import Capture, Connection, Summary
from .reports.machine import NdjsonWriter
from .segments import SegmentDecoder
from .shares import Place, Places, Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from .audit import Options
    from .redact.redactor import Redactor
    from .repeat import Repeat

__all__ = ["SharedAudit", "worth_sharing"]

SMALL = 8 << 20  # bytes of all inputs below which a second process takes longer to start than it saves
DENSE = 0.3  # share of frames on ports of SMTP from which on the work on them is most of it
MANY = 256  # connections open at the end that are handed over at once
MAX_JOBS = 4  # that are worth it without being asked for: this process has to keep up with them

_BEGIN = b'{"type":"connection","id":'
_FINDING = b'{"type":"finding","connection":'
_length = Struct("=Q")
_COMPARES = frozenset({"SEC633"})  # rules whose findings name another connection


@runtime_checkable
class Lines(Protocol):
    """A writer whose lines can be made by others."""

    def put(self, lines: bytes) -> None:
        """Write lines as they are."""

    def repeat(self, repeat: Repeat, redactor: Redactor) -> bool:
        """See ``audit.Repeats``."""


def worth_sharing(options: Options, paths: Sequence[str]) -> int:
    """How many processes these inputs are worth: 1, or as many as there are cores for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores < 2 or not hasattr(os, "fork") or options.decoder != "raw" or options.baseline is not None:
        return 1
    try:
        states = [Path(path).stat() for path in paths if path != STDIN]
    except OSError:
        return 1
    if len(states) < len(paths) or not all(stat.S_ISREG(state.st_mode) for state in states):
        return 1
    if sum(state.st_size for state in states) < SMALL or not _is_dense(paths[0], options.ports):
        return 1
    return min(cores, MAX_JOBS)


def _is_dense(path: str, ports: frozenset[int]) -> bool:
    """Whether most of what the input begins with is mail."""
    found = 0

    def sink(
        key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
    ) -> None:
        nonlocal found
        sides = int.from_bytes(key[-4:-2], "big"), int.from_bytes(key[-2:], "big")
        found += not ports.isdisjoint(sides)

    try:
        with Source(path).open(1 << 18) as opened:
            for _ in opened.reader.run(SegmentDecoder(sink, ports=ports)):
                return found > DENSE * opened.reader.frames
    except InputError:
        pass
    return False


class _Alone(Exception):
    """One process has to do it."""


class _Worker:
    """What a forked process does: an audit whose lines go into a pipe."""

    def __init__(self, options: Options, paths: Sequence[str], share: Share, pipe: int) -> None:
        self._paths = paths
        self._pipe = pipe
        self._audit = Audit(options, share)
        self._places = self._audit.tracker.places = Places()
        self._items: list[bytes] = []
        self._marks = (0, 0)  # how much had begun and ended when the block was read
        self._read: tuple[int, int | None] = 0, None
        self._stop = False

    def run(self) -> None:
        """Send a message for each block and each capture, some for what is open at the end, and a last one."""
        audit, tracker = self._audit, self._audit.tracker
        writer = NdjsonWriter(self)
        audit.attach(writer)
        tracker.servers.asked = set()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # comes to all of them, and is the first process's to hear
        signal.signal(signal.SIGTERM, self._asked_to_stop)

        def take(items: Iterator[Capture | Connection]) -> None:
            for item in items:
                if isinstance(item, Capture):
                    self._send("capture", json.encode(item))
                    continue
                writer.connection(item)
                if any(finding.rule in _COMPARES for finding in item.findings):
                    raise _Alone

        try:
            try:
                take(audit.run(self._paths, self._progress, self._settled))
            except KeyboardInterrupt:
                take(audit.stop())
            if audit.unreadable or tracker.streams.evicted:
                raise _Alone
        except _Alone:
            self._send("alone", None)
        else:
            self._send("end", (json.encode(audit.summary), audit.roads, audit.judged))

    def write(self, data: bytes) -> None:
        """Take the lines of one connection."""
        self._items.append(data)
        if self._places.here[1] and len(self._items) >= MANY:
            self._send("open", None)

    def _asked_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop = True

    def _progress(self, read: int, total: int | None) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._read = read, total
        self._marks = len(self._places.begun), len(self._places.ended)

    def _settled(self) -> None:
        if self._marks != (len(self._places.begun), len(self._places.ended)):
            raise _Alone  # something was given up behind the block: the order of that depends on all that is open
        self._send("block", self._read)

    def _send(self, kind: str, more: Any) -> None:
        places, servers = self._places, self._audit.tracker.servers
        ends = list(zip(places.ended, self._items, strict=True))
        message = marshal.dumps((kind, more, places.begun, ends, list(servers.asked or ())))
        places.begun, places.ended, self._items, servers.asked = [], [], [], set()
        data = memoryview(_length.pack(len(message)) + message)
        while data:
            data = data[os.write(self._pipe, data) :]


class _Message(NamedTuple):
    """From the worker number ``hand``. ``begun``: places at which connections got numbers; ``ends``: where they ended,
    and their lines; ``offers``: servers that were found to offer STARTTLS, or not to."""

    hand: int
    kind: str
    more: Any
    begun: list[Place]
    ends: list[tuple[Place, bytes]]
    offers: list[tuple[tuple[str, ...], bool]]


class _Hand:
    """A worker as this process sees it. ``numbers``: of its connections, by those that it gave them, less one."""

    def __init__(self, run: Callable[[int], None], others: Sequence[_Hand]) -> None:
        self._number = len(others)
        self.pipe: BinaryIO
        source, target = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                os.close(source)
                for other in others:
                    other.pipe.close()
                run(target)
                status = 0
            finally:
                os._exit(status)  # nothing of the first process is this one's to flush or to take down
        os.close(target)
        self.pipe = os.fdopen(source, "rb", 1 << 20)
        self.numbers: list[int] = []

    def next(self) -> _Message:
        """Its next message. Raises ``_Alone`` if it has died."""
        head = self.pipe.read(_length.size)
        body = self.pipe.read(_length.unpack(head)[0]) if len(head) == _length.size else b""
        if not body:
            raise _Alone
        message = _Message(self._number, *marshal.loads(body))
        if message.kind == "alone":
            raise _Alone
        return message

    def until(self, kind: str) -> tuple[list[_Message], _Message]:
        """Its messages up to the first of ``kind``, and that one. Raises ``_Alone``."""
        messages: list[_Message] = []
        while (message := self.next()).kind != kind:
            messages.append(message)
        return messages, message

    def end(self) -> None:
        """It is wanted no longer."""
        self.pipe.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class SharedAudit:
    """An audit as ``run.run`` knows it, in ``jobs`` processes. Its writer must be one of ``Lines``."""

    def __init__(self, options: Options, jobs: int) -> None:
        self.options = options
        self.summary = Summary()
        self.captures: list[Capture] = []
        self.unreadable: list[str] = []
        self.roads = (0, 0, 0)
        self.judged = 0
        self._jobs = jobs
        self._hands: list[_Hand] = []
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
        gc.freeze()  # so that no collection writes to memory that the processes have in common
        try:
            for number in range(self._jobs):
                share = Share(number, self._jobs)
                self._hands.append(_Hand(partial(_work, self.options, paths, share), self._hands))
            yield from self._merged(progress, settled)
        except _Alone:
            self._end()
            yield from self._again(paths, progress, settled)
        except KeyboardInterrupt:
            raise  # stop() comes next
        except BaseException:
            self._end()
            raise
        self._end()

    def stop(self) -> Iterator[Capture | Connection]:
        """See ``Audit.stop``."""
        if self._alone is not None:
            yield from self._alone.stop()
            self._take_over(self._alone)
            return
        for hand in self._hands:
            os.kill(hand.pid, signal.SIGTERM)
        with suppress(_Alone):  # nothing more can be had then
            rest = [hand.until("capture") for hand in self._hands]
            self._put([message for messages, _ in rest for message in messages])
            yield self._captured(rest[0][1])
            self._put_open([None] * len(self._hands))
        self._end()

    def _merged(
        self, progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
    ) -> Iterator[Capture]:
        """What the workers send, in the order of one process. Raises ``_Alone``."""
        while True:
            messages = [hand.next() for hand in self._hands]
            kinds = {message.kind for message in messages}
            if kinds <= {"open", "end"}:
                self._put_open(messages)
                return
            if len(kinds) > 1:
                raise _Alone  # the file grows while it is read
            self._put(messages)
            if kinds == {"capture"}:
                yield self._captured(messages[0])
                continue
            if settled is not None:
                settled()
            if progress is not None:
                progress(*messages[0].more)

    def _captured(self, message: _Message) -> Capture:
        self.captures.append(json.decode(message.more, type=Capture))
        return self.captures[-1]

    def _put(self, messages: Sequence[_Message]) -> None:
        """Write what ended in a block, one message of each worker."""
        self._compare(messages)
        for _, hand in sorted((place, message.hand) for message in messages for place in message.begun):
            self._numbers += 1
            self._hands[hand].numbers.append(self._numbers)
        for _, hand, lines in sorted(
            (place, message.hand, lines) for message in messages for place, lines in message.ends
        ):
            self._write(hand, lines)

    def _put_open(self, first: Sequence[_Message | None]) -> None:
        """Write what was open at the end: of that there may be much, so it comes in many messages."""
        for _, hand, lines in merge(
            *(self._left(hand, message) for hand, message in zip(self._hands, first, strict=True))
        ):
            self._write(hand, lines)

    def _left(self, hand: _Hand, message: _Message | None) -> Iterator[tuple[Place, int, bytes]]:
        while message is None or message.kind == "open":
            if message is not None:
                self._compare([message])
                yield from ((place, message.hand, lines) for place, lines in message.ends)
            message = hand.next()
        self._compare([message])
        yield from ((place, message.hand, lines) for place, lines in message.ends)
        summary, roads, judged = message.more
        self._add(json.decode(summary, type=Summary))
        self.roads = roads
        self.judged += judged

    def _write(self, hand: int, lines: bytes) -> None:
        """Write the lines of a connection, with the number that it has among all of them."""
        numbers = self._hands[hand].numbers
        own = lines[len(_BEGIN) : lines.index(b",", len(_BEGIN))]
        if int(own) > len(numbers):
            self._numbers += 1  # it was told to be SMTP at the very end
            numbers.append(self._numbers)
        number = b"%d" % numbers[int(own) - 1]
        first, line_end, findings = lines[len(_BEGIN) + len(own) :].partition(b"\n")
        findings = findings.replace(_FINDING + own + b",", _FINDING + number + b",")
        assert self._writer is not None
        self._writer.put(_BEGIN + number + first + line_end + findings)
        self._written += 1

    def _compare(self, messages: Sequence[_Message]) -> None:
        """Raise ``_Alone`` where one worker saw an offer of TLS that another one missed."""
        for message in messages:
            for server, offered in message.offers:
                without, with_it = self._offers.setdefault(server, (set(), set()))
                (with_it if offered else without).add(message.hand)
                if without and with_it and len(without | with_it) > 1:
                    raise _Alone

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
        self.roads, self.judged = audit.roads, audit.judged

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


def _work(options: Options, paths: Sequence[str], share: Share, pipe: int) -> None:
    _Worker(options, paths, share, pipe).run()

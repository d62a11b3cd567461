"""One audit in two processes: each reads one half of the capture."""

# Theory
# ------
# What `shared` does costs each process a look at every frame. Where one file has all the traffic, it can be cut in two
# instead (`halves`), and then next to nothing is done twice, whatever the traffic is.
#
# The first process is ahead of all: what it says of its half is written as it comes. Meanwhile the second one leaves
# what it says in a file. When the first has come to the cut, both are put together block by block, for as long as the
# first still follows something.
#
# The second process cannot know what went on at the cut. Of what it says this is thrown away, and its numbers with it:
# * connections that the first one follows, until their addresses and ports are released for another one;
# * those whose beginning was not captured, between addresses and ports of one that was over before the cut. One process
#   would have taken their segments for late copies, or for what carries something else.
#
# Where it is not certain that this comes to what one process says, the audit begins anew in one (`Alone`).

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import json

from ..audit import summed
from ..model import Capture
from ..segments.decoder import DecodeTally
from .partitioned_audit import SharedAudit, told
from .processes import NeedsOneProcess, WorkerProcess, spool
from .split_workers import PRESSED, BlockState, FirstWorker, SecondWorker
from .worker import GIVEN_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..audit import DecoderCounts, Options
    from ..connections.partition import NumberedConnection, Place
    from ..model import Connection
    from .processes import Message

__all__ = ["HalvedAudit"]

_FIRST, _SECOND = 0, 1
_DROPPED = 0  # instead of a number


class HalvedAudit(SharedAudit):
    """An audit of one regular file, cut behind the byte ``cut``."""

    def __init__(self, options: Options, cut: int) -> None:
        super().__init__(options, 2)
        self._cut = cut
        self._own: set[bytes] = set()  # keys of what the first process follows
        self._over: set[bytes] = set()  # of what was over when it stopped to look
        self._released: dict[bytes, Place] = {}
        self._tally: dict[str, Any] | None = None  # of the first half
        self._remembered = 0  # keys of both, of connections that were over then
        self._first_goes_on = True

    def _fork(self, paths: Sequence[str]) -> None:
        self._hands.append(WorkerProcess(lambda wire: FirstWorker(self.options, paths, self._cut, wire).run(), []))
        self._hands.append(
            WorkerProcess(lambda wire: SecondWorker(self.options, paths, self._cut, wire).run(), self._hands, spool())
        )

    def stop(self) -> Iterator[Capture | Connection]:
        """See ``Audit.stop``."""
        if self._alone is not None:
            yield from super().stop()
            return
        going = [_FIRST, _SECOND] if self._first_goes_on else [_SECOND]
        if self._tally is None:
            going = [_FIRST]  # what the second one knows lies behind a gap
        for number in going:
            os.kill(self._hands[number].pid, signal.SIGTERM)
        with suppress(NeedsOneProcess):  # nothing more can be had then
            captures: dict[int, Message] = {}
            while going:
                messages = [self._hands[number].next() for number in going]
                if messages[0].kind == "end":
                    self._let_go(messages.pop(0))
                captures.update((message.hand, message) for message in messages if message.kind == "capture")
                going = [message.hand for message in messages if message.kind != "capture"]
                self._put(messages)
            yield self._captured(captures[max(captures)])
            self._put_open([self._left(number) for number in captures])
        self._end()

    def _merged(
        self, progress: Callable[[int, int | None], None] | None, settled: Callable[[], None] | None
    ) -> Iterator[Capture]:
        first, second = self._hands
        while self._tally is None:
            message = first.next()
            self._put([message])
            if message.kind == "cut":
                *read, own, over, self._tally = message.more
                self._own, self._over = set(own), set(over)
            elif message.kind != "block":
                raise NeedsOneProcess("the file became shorter while it was read")
            else:
                read = message.more[:2]
            told(read, progress, settled)
        while True:
            messages = [second.next()]
            if self._first_goes_on:
                messages.insert(0, first.next())
                if messages[0].kind == "end":
                    self._let_go(messages.pop(0))
            if len({message.kind for message in messages}) > 1:
                raise NeedsOneProcess("the file grew while it was read")
            self._put(messages)
            if messages[0].kind == "capture":
                break
            told(messages[-1].more[:2], progress, settled)
        yield self._captured(messages[-1])
        self._put_open([self._left(message.hand) for message in messages])

    def _let_go(self, message: Message) -> None:
        """The first process follows nothing any more."""
        self._ended(message)
        self._first_goes_on = False
        self._over |= self._own.difference(self._released)
        self._own = set()

    def _give_numbers(self, messages: Sequence[Message]) -> None:
        if self._tally is not None:
            self._check([(message, BlockState(*message.more)) for message in messages if message.kind == "block"])
        super()._give_numbers(messages)

    def _check(self, blocks: Sequence[tuple[Message, BlockState]]) -> None:
        """What is known of both halves behind a block. Raises ``NeedsOneProcess``."""
        self._remembered = sum(state.remembered for _, state in blocks)
        if sum(state.open for _, state in blocks) > self.options.limits.connections > 0:
            raise NeedsOneProcess(PRESSED)
        for message, state in blocks:
            self._released.update((key, place) for place, key in state.released)
            if len(message.numbered) > state.numbered:
                raise NeedsOneProcess(GIVEN_UP)  # and told to be SMTP only then: the order depends on all that is open

    def _count(self, hand: int, numbered: NumberedConnection) -> None:
        if hand == _FIRST or self._is_new(*numbered):
            super()._count(hand, numbered)
        else:
            self._hands[hand].numbers.append(_DROPPED)

    def _is_new(self, place: Place, key: bytes, _first_frame: int, handshake: bool) -> bool:
        """Whether a connection that the second process tells of is nothing that the first one knows."""
        if key in self._own:
            released = self._released.get(key)
            return released is not None and place >= released
        if handshake or key not in self._over:
            return True
        if self._remembered + len(self._over) > 2 * self.options.limits.closed_connections > 0:
            raise NeedsOneProcess(PRESSED)  # one process may not have remembered it
        return False

    def _write_as(self, given: int, own: bytes, lines: bytes) -> None:
        if given == _DROPPED:
            self._leave_out(lines)
        else:
            super()._write_as(given, own, lines)

    def _leave_out(self, lines: bytes) -> None:
        """The summary that is still to come counts it."""
        connection, *findings = map(json.decode, lines.splitlines())
        summary = self.summary
        summary.connections -= 1
        summary.messages -= len(connection["messages"])
        for finding in findings:
            rule = finding["rule"]
            summary.findings[finding["severity"]] -= 1
            summary.rules[rule] = summary.rules.get(rule, 0) - 1

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
        tally, behind = DecodeTally.of(self._tally), DecodeTally.of(later)
        said = behind.problems()
        tally.add(behind)
        capture.problems[len(capture.problems) - len(said) :] = tally.problems()
        self.captures.append(capture)
        return capture

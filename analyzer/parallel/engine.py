"""One audit in several processes: three steps, which know nothing of what runs them."""

# Theory
# ------
# map      A batch of pieces of captures becomes segments of those flows that may carry SMTP, by partition of the flows
#          (`mapping`, `sieve`, `pieces`). Fragmented datagrams are joined between the steps (`fragments`).
# reduce   A partition goes through the same audit as in a single process (`reducing`).
# combine  Order, numbers, totals, and what connections know of each other (`combining`, `offers`).
#
# Tasks are run by a `concurrent.futures.Executor`: of a pool of processes here, or of a cluster (`executors`). They
# pass file names and counts to each other, and everything else through a spool: nothing holds a capture, a partition or
# a report as a whole. A file of the spool appears when it is complete and always has the same bytes, so a task that ran
# twice counts once, and one whose file is there needs not run again.
#
# What cannot be done is left out and named: an input, or a partition of the connections.

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..audit import complete
from ..errors import InputError
from ..files.reading import size_of
from ..findings.baseline import Baseline
from ..findings.counts import add
from ..frames.input_list import open_inputs
from ..frames.key_logs import companions_of
from ..model import Capture, Summary
from ..reports.output import Lines
from ..rules import RULES
from ..rules.plugins import skipped_plugins
from ..streams.flow import reversed_key
from ..tls.key_files import notes_on, read_key_logs
from .chunks import ChunkFile
from .combining import captures_of, known_offers, numbered, others_of
from .fragments import JoinTask, join_fragments
from .mapping import MapTask, map_batch
from .pieces import batches
from .plan import Plan
from .reducing import MappedFiles, PickTask, Reduced, ReduceTask, pick_flows, reduce_partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from os import PathLike

    from ..audit import Options
    from ..extract.envelope import Envelope
    from ..files.storage import Storage
    from ..frames.inputs import Source
    from ..model import Connection
    from .combining import Numbered
    from .executors import Workers
    from .mapping import Mapped
    from .parts import Part
    from .pieces import Batch
    from .reducing import Known

__all__ = ["ParallelAudit"]

_AHEAD = 3  # tasks for each worker that are submitted and not done


def _keep_nothing(envelope: Envelope, octets: Iterator[bytes]) -> None:
    pass


def _show_nothing(done: int, total: int | None) -> None:
    pass


class ParallelAudit:
    """An audit as ``run.run`` uses it, by ``workers``. ``streams``: everything comes at the end. ``spool``: the place
    of intermediate files; ``resume``: it may hold a part of this run.

    What becomes of connections: ``as_lines`` is called with each as lines of NDJSON; or ``parts`` are reports that the
    partitions write; otherwise connections are yielded. ``extract``: messages are extracted, with at most so many
    octets each, 0: all; ``keep`` is called with each. ``spooled``: bytes that were written into the spool."""

    streams = False

    def __init__(self, options: Options, workers: Workers, spool: Storage, *, resume: bool = False) -> None:
        self.options = replace(options, tap=None)  # a function of this process
        self.summary = Summary(settings=options.settings, not_loaded=list(skipped_plugins))
        self.summary.not_asked = sorted(frozenset(RULES) - options.rules())
        self.captures: list[Capture] = []
        self.unreadable: list[InputError] = []
        self.decoder_counts = (0, 0, 0)
        self.as_lines: Callable[[bytes], None] | None = None
        self.parts: tuple[Part, ...] = ()
        self.extract: int | None = None
        self.keep: Callable[[Envelope, Iterator[bytes]], None] = _keep_nothing
        self.spooled = 0
        self.covers = "the input that was read until then"
        self._missing: list[str] = []  # what is not in the report, in sentences
        self.processes = workers.count
        self._workers = workers
        self.spool = spool
        self._resume = resume
        self._plan = Plan()
        self._sources: list[Source] = []
        self._batches: list[Batch] = []
        self._mapped: list[Mapped] = []
        self._reduced: dict[int, Reduced] = {}
        self._tasks: list[ReduceTask] = []
        self._tallies: dict[int, dict[str, Any]] = {}
        self._items: Iterator[Capture | Connection] | None = None
        self._progress: Callable[[int, int | None], None] = _show_nothing
        self._close_bar: Callable[[], None] = lambda: None

    def prepare(self, writer: object, close_bar: Callable[[], None]) -> None:
        """``writer`` will get the report; ``close_bar``: called before it gets anything."""
        if isinstance(writer, Lines):
            self.as_lines = writer.put
        self._close_bar = close_bar

    def run(
        self,
        paths: Sequence[str | PathLike[str]],
        progress: Callable[[int, int | None], None] | None = None,
        settled: Callable[[], None] | None = None,
    ) -> Iterator[Capture | Connection]:
        """See ``Audit.run``. Raises UsageError if the spool cannot be used."""
        if progress is not None:
            self._progress = progress
        self._sources = sources = list(open_inputs(paths))
        read_key_logs(self.options.keylog)  # so that one that cannot be read is reported here
        beside = [os.path.abspath(path) for source in sources for path in companions_of(source)]  # noqa: PTH100
        self.options = replace(self.options, keylog=(*self.options.keylog, *beside))
        self._plan = Plan.of(self.options, sources, self._workers.count, self.spool, resume=self._resume)
        self._map(sources)
        yield from self._judge(settled)

    def stop(self) -> Iterator[Capture | Connection]:
        """Yield what is known when reading stopped: of the captures that were read until then, and of the partitions
        that were judged if that had begun."""
        self._progress = _show_nothing  # it raises KeyboardInterrupt
        if self._items is None and self._tasks:
            self._workers.close()
            judged = f"{len(self._reduced)} of {len(self._tasks)} shares of the connections"
            self.covers = judged
            self._missing.append(f"interrupted: the report has {judged}")
            self._items = self._combine(None)
        yield from self._judge(None) if self._items is None else self._items

    # -- map -----------------------------------------------------------------------------------------------------------

    def _map(self, sources: Sequence[Source]) -> None:
        """Run the map step, until all is read or something fails."""
        results = self._workers.in_order(map_batch, self._map_tasks(sources), _AHEAD * self._workers.count)
        with closing(results):  # cancels what has not begun
            for _, mapped in results:
                if isinstance(mapped, Exception):
                    whole = {piece.capture for one in self._mapped for piece in one.pieces if piece.is_last}
                    for number, source in enumerate(sources, 1):
                        if number not in whole:
                            self._give_up(mapped, source.path)
                    return
                self._mapped.append(mapped)
                self.spooled += mapped.written
                self._show_progress()

    def _show_progress(self) -> None:
        """Report the bytes that are done: each counts half when it is mapped, half when it is judged."""
        read = sum(one.read for one in self._mapped)
        size = sum(size_of(source.name) for source in self._sources)
        judged = size * len(self._reduced) // self._plan.partitions
        self._progress((read + judged) // 2, size or None)

    def _map_tasks(self, sources: Sequence[Source]) -> Iterator[MapTask]:
        for batch in batches(sources, self._plan.share, self.options.limits):
            name = f"map-{len(self._batches)}"
            self._batches.append(batch)
            yield MapTask(name, batch, self.spool, self.options, self._plan.partitions)

    def _give_up(self, error: Exception, what: str) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = f"see to {self.spool.name}, or name another place with --spool"
        self.unreadable.append(InputError(f"not audited: {reason}", what, hint))
        self._missing.append(f"not audited: {reason}: {what}")

    # -- reduce --------------------------------------------------------------------------------------------------------

    def _judge(self, settled: Callable[[], None] | None) -> Iterator[Capture | Connection]:
        """Run the reduce and the combine step over what was mapped."""
        names = [f"map-{number}" for number in range(len(self._mapped))]
        joined = None
        if any(one.has_fragments for one in self._mapped):
            joined = f"fragments-of-{len(names)}"
            task = JoinTask(joined, names, self.spool, self.options, self._plan.partitions)
            for _, tallies in self._workers.in_order(join_fragments, [task], 1):
                if isinstance(tallies, Exception):
                    self._give_up(tallies, "fragmented datagrams")
                    joined = None
                else:
                    self._tallies = tallies
        form = "-lines" if self.as_lines is not None else "" if self.extract is None else f"-messages-{self.extract}"
        self._tasks = [
            ReduceTask(
                *(f"reduce-{number}-of-{len(names)}{form}", number, [MappedFiles(name) for name in names], joined),
                *(self.spool, self.options, self._plan.key, self.as_lines is not None),
                extract=self.extract,
            )
            for number in range(self._plan.partitions)
        ]
        self._reduce()
        self._items = self._combine(settled)
        yield from self._items

    def _reduce(self) -> None:
        """Run the tasks; run those again that need segments which the map step dropped."""
        tasks: Sequence[ReduceTask] = self._tasks
        wanted: dict[int, dict[int, set[bytes]]] = {}  # flows by batch and partition
        for attempt in range(1, 1 << 30):
            short: list[int] = []
            for task, reduced in self._workers.in_order(reduce_partition, tasks, len(tasks)):
                if isinstance(reduced, Exception):
                    share = f"share {task.partition + 1} of {len(self._tasks)} of the connections"
                    self._give_up(reduced, share)
                elif reduced.dropped:
                    short.append(task.partition)
                    for batch, flows in reduced.dropped.items():
                        both = (key for flow in flows for key in (flow, reversed_key(flow)))
                        wanted.setdefault(task.partition, {}).setdefault(batch, set()).update(both)
                else:
                    self._reduced[task.partition] = reduced
                self._show_progress()
            if not short:
                return
            for partition in short:
                self._add_dropped(partition, wanted[partition], attempt)
            tasks = [self._tasks[partition] for partition in short]

    def _add_dropped(self, partition: int, wanted: dict[int, set[bytes]], attempt: int) -> None:
        """Read batches again for the flows that a partition needs of them, and change its task."""
        before = self._tasks[partition]
        names = {batch: f"map-{batch}-for-{before.name}-{attempt}" for batch in wanted}
        again = [
            MapTask(
                *(names[batch], self._batches[batch], self.spool, self.options, self._plan.partitions),
                frozenset(flows),
            )
            for batch, flows in wanted.items()
        ]
        self.spooled += sum(one.written for one in self._workers.all(map_batch, again))
        mapped = [
            MappedFiles(one.name, names.get(batch), frozenset(wanted.get(batch, ())))
            for batch, one in enumerate(before.mapped)
        ]
        self._tasks[partition] = before._replace(name=f"{before.name}-{attempt}", mapped=mapped)

    # -- combine -------------------------------------------------------------------------------------------------------

    def _combine(self, settled: Callable[[], None] | None) -> Iterator[Capture | Connection]:
        """Yield connections in order, and each capture after those that ended in it."""
        reduced = [self._reduced[number] for number in sorted(self._reduced)]
        names = {number: self._tasks[number].name for number in sorted(self._reduced)}
        for one in reduced:
            self._count(one)
        known = known_offers(self.spool, names)
        again = self._judge_again(known)
        replaced = frozenset[Any]().union(*(one.wanted for one in known.values()))
        self.captures, errors, self.decoder_counts = captures_of(
            self._mapped, self._tallies, reduced, self.options.limits
        )
        self.unreadable = [*(InputError(*error) for error in errors), *self.unreadable]
        self._name_missing()
        self._close_bar()
        if self.parts:
            self._write_parts(names, again, replaced)
            yield from self.captures
        else:
            found = numbered(self.spool, list(names.values()), list(again.values()), replaced)
            yield from self._in_order(found, settled)
        complete(self.summary, self.captures, self.unreadable, others_of(reduced))

    def _name_missing(self) -> None:
        """Say in the captures what is not in the report: a saved report must not look like a whole one."""
        known = {capture.path for capture in self.captures}
        for source in self._sources:
            if source.path not in known and self._missing:
                self.captures.append(Capture(source.path))
        for capture in self.captures[-1:]:
            capture.problems += dict.fromkeys(self._missing)

    def notes(self) -> list[str]:
        """See ``Audit.notes``. Key logs in captures are not counted."""
        return notes_on(read_key_logs(self.options.keylog))

    @property
    def judged(self) -> list[int]:
        """The partitions whose connections are in the report."""
        return sorted(self._reduced)

    def _write_parts(self, names: dict[int, str], again: dict[int, str], replaced: frozenset[Any]) -> None:
        """Let each partition write its part of the reports."""
        from .parts import PartTask, write_numbers, write_part  # noqa: PLC0415  it loads the stores

        numbers = write_numbers(self.spool, names, f"by-{len(names)}")
        tasks = [
            PartTask(
                *(number, name, again.get(number), replaced, numbers[number]),
                *(len(self.captures), self.spool, self.parts),
            )
            for number, name in names.items()
        ]
        for task, error in self._workers.in_order(write_part, tasks, len(tasks)):
            if isinstance(error, Exception):
                self._give_up(error, f"share {task.partition + 1} of {len(self._tasks)} of the connections")

    def _judge_again(self, known: dict[int, Known]) -> dict[int, str]:
        """Judge the connections again that miss what others were offered. Return the files of their reports, by
        partition."""
        by = f"by-{len(self._reduced)}"  # partitions that could be judged
        before, after, picks = [], [], []
        for number, one in known.items():
            task = self._tasks[number]
            again = task._replace(name=f"{task.name}-again-{by}", known=one, picked=f"{task.name}-picked-{by}")
            picks.append(PickTask(f"{task.name}-picked-{by}", task, one.flows))
            before.append(again._replace(name=f"{task.name}-before-{by}", known=one._replace(offers=())))
            after.append(again)
        self._workers.all(pick_flows, picks)
        results = self._workers.all(reduce_partition, [*before, *after])
        for number, reduced in enumerate(results):
            self._count(reduced, by=-1 if number < len(before) else 1)
        return {task.partition: task.name for task in after}

    def _count(self, reduced: Reduced, by: int = 1) -> None:
        add(self.summary, reduced.summary, by)
        self.spooled += reduced.written
        if isinstance(self.options.baseline, Baseline):
            self.options.baseline.add(by * reduced.suppressed, reduced.matched)

    def _keep_message(self, one: Numbered, name: str) -> None:
        from .messages import StoredMessage  # noqa: PLC0415  only an extraction needs it

        message = StoredMessage.of(one.report, one.number)
        self.keep(message.envelope, message.octets(ChunkFile(self.spool, name)))

    def _in_order(
        self, connections: Iterable[Numbered], settled: Callable[[], None] | None
    ) -> Iterator[Capture | Connection]:
        left = list(reversed(self.captures))
        passed = 0
        for one in connections:
            while left and passed + 1 < one.capture:
                yield left.pop()
                passed += 1
            if one.stored is not None:
                self._keep_message(one, one.stored)
            elif self.as_lines is not None:
                self.as_lines(one.lines())
            else:
                yield one.connection()
            if settled is not None:
                settled()
        while left:
            yield left.pop()

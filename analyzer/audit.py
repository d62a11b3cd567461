"""The whole pipeline: read captures, return audited connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from .connections.capture_parts import CaptureParts
from .connections.tracker import DEFAULT_PORTS, Tracker
from .enums import Redact
from .errors import InputError, UsageError, display_path
from .exchanges.connection_report import TimeFormat, TurnDetail
from .exchanges.conversation import ContentTap
from .exchanges.record import ConnectionRecord
from .findings.counts import count
from .findings.filters import ConnectionFilter
from .findings.rulebook import RuleBook
from .findings.suppress import KnownFindings, Peer, Suppression, drop
from .frames.input_list import open_inputs
from .frames.inputs import read_capture
from .frames.key_logs import companions_of, last_secrets, note_key_log
from .limits import DEFAULT_LIMITS, Limits
from .model import Capture, Connection, OtherTraffic, Summary
from .redact.finding_texts import without_secrets
from .redact.redactor import Redactor
from .rules import RULES, resolve
from .rules.plugins import skipped_plugins
from .segments.decoder import SegmentDecoder
from .tls.key_files import KeyFiles, decrypts, notes_on, read_key_logs
from .tls.key_log import KeyLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from .exchanges.conversation import Judge
    from .exchanges.secret_context import SecretContext
    from .frames.inputs import Source

__all__ = ["DEFAULT_PORTS", "Audit", "DecoderCounts", "Options", "audit", "complete", "summed"]


DecoderCounts = tuple[int, int, int]
"""Frames decoded by the fast loops, by the raw decoder and by Scapy."""


class Options(Struct, frozen=True):
    """Settings of an audit.

    ``profile``: None chooses one for each connection. ``select`` and ``ignore``: names of rules. ``peers``: rules that
    are not reported between certain hosts. ``known_codes``: reply codes that no RFC defines but that are normal in
    this network. ``baseline``: known findings, which are not reported but counted. ``redact``: what the report must
    not show. ``headers``: whether messages carry more of their header fields. ``tap``: called with each new
    connection, returns the object that receives its messages. ``settings``: the name of the file that these settings
    come from. ``wanted``: the connections to report; None: all of them. ``passed_over``: called with each of the
    others. ``keylog``: files with the secrets of TLS sessions, besides those beside the captures and in them.
    ``keys``: secrets that are already there, instead of these files.
    """

    profile: str | None = None
    ports: frozenset[int] = DEFAULT_PORTS
    select: str | tuple[str, ...] = ()
    ignore: str | tuple[str, ...] = ()
    decoder: Literal["raw", "scapy"] = "raw"
    limits: Limits = DEFAULT_LIMITS
    peers: tuple[Peer, ...] = ()
    known_codes: frozenset[int] = frozenset()
    baseline: KnownFindings | None = None
    redact: Redact = Redact.SECRETS
    headers: bool = False
    tap: Callable[[ConnectionRecord, TimeFormat], ContentTap] | None = None
    settings: str | None = None
    wanted: ConnectionFilter | None = None
    passed_over: Callable[[Connection], None] | None = None
    keylog: tuple[str, ...] = ()
    keys: KeyLog | None = None

    def rules(self) -> frozenset[str]:
        """Return the ids of the active rules. Raises UsageError for an unknown rule name, and if no rule is left."""
        select, ignore = _names(self.select), _names(self.ignore)
        chosen = (resolve(select) if select else frozenset(RULES)) - resolve(ignore)
        if not chosen:
            raise UsageError("no rule is left to ask", f"ignored: {', '.join(ignore)}", "ignore fewer rules")
        return chosen


class Audit:
    """One run over any number of inputs. A connection may continue from one input to the next.

    ``streams``: connections come when they end. ``summary`` and ``captures`` are up to date after each step.
    ``reading``: the input that is being read.
    ``unreadable``: one error for each input that could not be read at all. ``decoder_counts``: frames decoded by
    the fast loops, by the raw decoder and by Scapy. ``decoder``: the decoder of this run.
    """

    streams = True
    covers = "the input that was read until then"  # the report after an interrupt

    def __init__(self, options: Options | None = None, key: bytes | None = None) -> None:
        """``key``: of the pseudonyms; random if None."""
        self.options = options or Options()
        self.keys = read_key_logs(self.options.keylog) if self.options.keys is None else self.options.keys
        self.summary = Summary()
        self.captures: list[Capture] = []
        self.unreadable: list[InputError] = []
        self.decoder_counts = (0, 0, 0)
        self.decoder: SegmentDecoder | None = None
        self.reading: Capture | None = None
        self._capture_parts = CaptureParts()
        limits = self.options.limits
        self._redacted = Redactor(self.options.redact, key)
        self.summary.settings = self.options.settings
        self._suppression = self._suppression_of(self.options)
        wanted = self.options.wanted
        searched = wanted is not None and wanted.needs_headers
        self._drops_headers = searched and not self.options.headers
        self.tracker = Tracker(
            self._judge(),
            ports=self.options.ports,
            profile=self.options.profile,
            limits=limits,
            detail=TurnDetail(secrets=self.options.redact is Redact.NONE, headers=self.options.headers or searched),
            tap=self.options.tap,
            keys=self.keys,
        )

    def _judge(self) -> Judge:
        return self._rule_book(self.options)

    def _rule_book(self, options: Options) -> RuleBook:
        """Return the book with the rules of ``options``, and note in the summary which are not in it."""
        rules = options.rules()
        self.summary.not_asked = sorted(frozenset(RULES) - rules)
        self.summary.not_loaded = list(skipped_plugins)
        return RuleBook(rules, self.options.limits)

    def _suppression_of(self, options: Options) -> Suppression:
        return Suppression(
            *(options.peers, options.known_codes, options.baseline, self.summary),
            anonymous=options.redact is Redact.PII,
        )

    def prepare(self, writer: object, close_bar: Callable[[], None]) -> None:
        """See ``ParallelAudit``: here is nothing to do."""

    def run(
        self,
        paths: Sequence[str | PathLike[str]],
        progress: Callable[[int, int | None], None] | None = None,
        settled: Callable[[], None] | None = None,
    ) -> Iterator[Capture | Connection]:
        """Read ``paths`` in order; yield each connection when it ends and each capture after it was read.

        ``progress`` is called with (bytes read, bytes in total or None). ``settled`` is called after each block of
        input: everything known at that point has been yielded. A connection may continue in the next input.
        """
        tracker, options = self.tracker, self.options
        streams = tracker.streams
        decoder = SegmentDecoder(tracker.segment, options.decoder, streams.ignored, options.limits, streams.recent)
        self.decoder = decoder
        sources = list(open_inputs(paths))
        self.read_companions(*sources)
        for source in sources:
            self.begin_capture(source.capture)
            try:
                take_secrets = self.secrets_of(source)
                for times in read_capture(source, decoder, progress, tracker.set_digits, take_secrets):
                    yield from self.finished(*times)
                    if settled is not None:
                        settled()
            except InputError as error:
                self.unreadable.append(error)
                source.capture.problems = [f"{error.what}: {error.hint}"]
            else:
                self.decoder_counts = summed(self.decoder_counts, decoder.tally.decoder_counts)
            source.capture.problems += tracker.pressure().problems(options.limits)
            self.reading = None
            self.captures.append(source.capture)
            yield source.capture
        yield from self.close()

    def read_companions(self, *sources: Source) -> None:
        """Read the key logs beside the captures. Raises UsageError."""
        for source in sources:
            for path in companions_of(source):
                KeyFiles(self.keys).add(path, found=True)

    def secrets_of(self, source: Source) -> Callable[[bytes], None]:
        """Return what takes the key logs in a capture; those at its end are taken at once."""
        capture = source.capture
        capture.key_logs += map(display_path, companions_of(source))

        def take(key_log: bytes) -> None:
            self.take_secrets(key_log)
            if key_log:
                note_key_log(capture)

        for key_log in last_secrets(source):
            take(key_log)
        return take

    def notes(self) -> list[str]:
        """Return what a person must know of the key logs."""
        return notes_on(self.keys)

    def take_secrets(self, key_log: bytes) -> None:
        """Use a key log in a capture. If it is empty, there may be more of them, after what they open."""
        self.keys.may_grow = self.keys.may_grow or decrypts()
        self.keys.read(key_log)

    def begin_capture(self, capture: Capture) -> None:
        """The next segments come from ``capture``. The times of its blocks are passed to ``finished``."""
        self.reading = capture
        tracker = self.tracker
        tracker.streams.clock.ticks_given = True
        tracker.begin_capture()
        self._capture_parts.begin(capture.path, tracker.under_way(), tracker.clock)

    def stop(self) -> Iterator[Capture | Connection]:
        """Yield the input that was being read when reading stopped, then the connections that are still open."""
        reading, self.reading = self.reading, None
        if reading is not None:
            self.captures.append(reading)
            yield reading
        yield from self.close()

    def close(self) -> Iterator[Connection]:
        """End of all input: yield the connections that are still open."""
        for _ in self.tracker.ending():
            yield from self.finished()
        yield from self.finished()
        complete(self.summary, self.captures, self.unreadable, self.tracker.other_traffic)

    def finished(self, *times_ns: int, block: bool = True) -> Iterator[Connection]:
        """Yield the connections that ended since the last call. ``times_ns``: times of the last frames, if known.
        ``block``: enough input has passed that all open connections should be checked."""
        tracker, options = self.tracker, self.options
        if block:
            tracker.sweep(*times_ns)
        while tracker.ended:
            connection, secrets = tracker.ended.popleft()
            self._redacted.hide(connection, secrets)
            if connection.findings:
                self._suppress(connection, secrets)
            if options.wanted is not None and not options.wanted.matches(connection):
                self._suppression.settle(counts=False)
                self.summary.filtered += 1
                if options.passed_over is not None:
                    options.passed_over(connection)
                continue
            self._suppression.settle()
            if self._drops_headers:
                for message in connection.messages:
                    message.header = None
            count(self.summary, connection)
            connection.captures = self._capture_parts.of(connection)
            yield self._redacted.finish(connection)

    def _suppress(self, connection: Connection, secrets: SecretContext | None) -> None:
        if not self._suppression.idle:
            drop(connection, self._suppression.unwanted(connection, lambda finding: without_secrets(finding, secrets)))


def complete(
    summary: Summary, captures: Sequence[Capture], unreadable: Sequence[InputError], others: list[OtherTraffic]
) -> None:
    """Complete the summary of a run, whose connections have been counted. ``others``: connections that are not SMTP."""
    summary.rules = dict(sorted(summary.rules.items()))
    summary.left_out.sort(key=lambda one: (one.by, one.where, one.rule))
    summary.nothing_read = bool(captures) and len(unreadable) == len(captures)
    if not summary.connections and not summary.filtered:
        summary.other_traffic = others


def summed(some: DecoderCounts, more: DecoderCounts) -> DecoderCounts:
    """Return the sums of both counts."""
    return some[0] + more[0], some[1] + more[1], some[2] + more[2]


def audit(
    *paths: str | PathLike[str],
    profile: str | None = None,
    ports: frozenset[int] = DEFAULT_PORTS,
    select: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    keylog: str | Sequence[str] = (),
) -> Iterator[Connection]:
    """Audit captures (files, directories, "-" for standard input); yield each connection with its findings.

    ``select`` and ``ignore``: rules as the options of the command line name them, one or several. ``keylog``: key logs
    of TLS.

    Raises InputError for the first input that cannot be read at all, UsageError for a rule that does not exist.
    """
    keylog = (keylog,) if isinstance(keylog, str) else tuple(keylog)
    run = Audit(Options(profile, ports, _names(select), _names(ignore), keylog=keylog))
    for item in run.run(paths):
        if isinstance(item, Connection):
            yield item
        elif run.unreadable:
            raise run.unreadable[0]


def _names(rules: str | Sequence[str]) -> tuple[str, ...]:
    """Return names of rules as a tuple. A string is a list with commas, not a list of letters."""
    return tuple(rules.replace(",", " ").split()) if isinstance(rules, str) else tuple(rules)

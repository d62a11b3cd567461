"""The audit of connections that are still open: each finding is reported once, when it is made."""

# Theory
# ------
# The judge reports which connections have new findings (`notifying_judge`). After each block these are processed, and a
# finding takes the same steps as at the end of a connection: unwanted ones are dropped, secrets are hidden. Both may
# depend on other turns, so this happens on a copy. The record itself keeps growing and is filtered as a whole when the
# connection ends; findings that were already reported are not reported again. A connection whose findings become known
# only at its end needs nothing else: none of them has been reported.
#
# A copy has the first and the last turns of a dialogue: names and passwords are at the start, the subject of a finding
# at the end. So in a connection of 200,000 turns with a finding each, a finding costs no more than in a short one.

from __future__ import annotations

from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec.structs import replace

from ..audit import Audit
from ..enums import Redact
from ..errors import UsageError
from ..exchanges.connection_report import render, render_turn
from ..exchanges.secret_context import secret_context
from ..model import Connection, ReplyTurn
from ..redact.credentials import hide_secrets
from ..redact.finding_texts import without_secrets
from ..redact.redactor import Redactor
from .notifying_judge import NotifyingJudge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..audit import Options
    from ..exchanges.connection_report import TimeFormat
    from ..exchanges.conversation import Judge
    from ..exchanges.record import ConnectionRecord
    from ..exchanges.secret_context import SecretContext
    from ..frames.inputs import Source
    from ..model import Finding, Message, Turn

__all__ = ["LiveAudit", "Update"]

_FIRST_TURNS, _LAST_TURNS = 100, 400
_TIMES = "TIM"  # the family of rules that compare times
_NS = 1_000_000_000


class Update(NamedTuple):
    """Findings of ``connection`` that were not reported yet. ``ended``: it is complete, else only a view of it.
    ``known``: all its findings so far, which ``caused_by`` is an index of. They are not redacted: code may show rule
    and frame of a cause, no text."""

    connection: Connection
    findings: list[Finding]
    ended: bool
    known: list[Finding]


class _Reported:
    """The wanted findings of one connection, and how many of them have been reported."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0
        self._places: list[int | None] = []  # for every finding: its index in `kept`, or that of its cause

    def add_new(self, record: Connection | ConnectionRecord, unwanted: Callable[[Finding], bool]) -> None:
        """Add the findings that are new since the last call."""
        places = self._places
        for finding in record.findings[len(places) :]:
            cause = finding.caused_by
            finding.caused_by = places[cause] if cause is not None and cause < len(places) else None
            if unwanted(finding):
                places.append(finding.caused_by)
            else:
                places.append(len(self.kept))
                self.kept.append(finding)


class LiveAudit(Audit):
    """An audit that gives ``updates`` after each block of frames."""

    def __init__(self, options: Options) -> None:
        self._touched: dict[int, ConnectionRecord] = {}
        self._reported: dict[int, _Reported] = {}
        self._unclocked: set[int] = set()
        super().__init__(options)

    def _judge(self) -> Judge:
        book = self._rule_book(self.options)
        self._notifying_judge = NotifyingJudge(book, lambda _, record: self._touched.__setitem__(record.id, record))
        return self._notifying_judge

    def change(self, options: Options) -> None:
        """Continue with other rules and redaction; ports and limits stay. Raises UsageError, and then changes
        nothing."""
        book = self._rule_book(options)
        if options.redact is not self.options.redact:
            self._redacted = Redactor(options.redact)
        self.options = options
        self.summary.settings = options.settings
        self._suppression = self._suppression_of(options)
        self._notifying_judge.change(book)

    def updates(self, *, block: bool = True) -> Iterator[Update]:
        """Return what is new since the last call: connections that ended, then findings of open ones. ``block``: see
        ``finished``."""
        for connection in self.finished(block=block):
            yield self._end(connection)
        touched, self._touched = self._touched, {}
        for record in touched.values():
            reported = self._reported_of(record, secret_context(record, always=True))
            fresh = reported.kept[reported.count :]
            if fresh:
                reported.count = len(reported.kept)
                view = self._view(record, fresh)
                yield Update(view, view.findings, ended=False, known=reported.kept)

    def keys_of(self, source: Source) -> Callable[[bytes], None]:
        """Read the key logs that belong to a capture of a directory; return what takes those in it."""
        with suppress(UsageError):  # one that cannot be read is as if it were not there
            self.read_companions(source)
        return self.secrets_of(source)

    def last_updates(self) -> Iterator[Update]:
        """Return the connections that were still open at the end."""
        for connection in self.close():
            yield self._end(connection)

    def standing(self) -> Iterator[Connection]:
        """Return every open connection in its current state."""
        for record in self.tracker.standing():
            yield self._view(record, self._reported_of(record, secret_context(record, always=True)).kept, whole=True)

    def clock_set(self, by_ns: int) -> None:
        """The clock was set by ``by_ns``: for open connections, findings about times are dropped from now on."""
        self.tracker.clock_set(by_ns)
        for record in self.tracker.standing():
            if record.id in self._unclocked:
                continue
            self._unclocked.add(record.id)
            record.note(f"the clock was set by {by_ns / _NS:+.1f} s during this connection: times are not judged")

    def _end(self, connection: Connection) -> Update:
        reported = self._reported.pop(connection.id, None)
        self._touched.pop(connection.id, None)
        self._unclocked.discard(connection.id)
        fresh = connection.findings[reported.count if reported else 0 :]
        return Update(connection, fresh, ended=True, known=connection.findings)

    def _suppress(self, connection: Connection, secrets: SecretContext | None) -> None:
        connection.findings = self._reported_of(connection, secrets).kept

    def _reported_of(self, record: Connection | ConnectionRecord, secrets: SecretContext | None) -> _Reported:
        reported = self._reported.setdefault(record.id, _Reported())
        reported.add_new(record, self._unwanted(record, secrets))
        self._suppression.settle()
        return reported

    def _unwanted(
        self, record: Connection | ConnectionRecord, secrets: SecretContext | None
    ) -> Callable[[Finding], bool]:
        connection = record if isinstance(record, Connection) else _open_connection(record, self.tracker.clock)
        left_out = self._suppression.unwanted(connection, lambda finding: without_secrets(finding, secrets))
        unclocked = record.id in self._unclocked

        def unwanted(finding: Finding) -> bool:
            return (unclocked and finding.rule.startswith(_TIMES)) or left_out(finding)

        return unwanted

    def _view(self, record: ConnectionRecord, findings: list[Finding], *, whole: bool = False) -> Connection:
        """Return a report of ``record`` so far with copies of ``findings``, redacted; ``whole``: with its messages. Of
        a long dialogue it has the first and the last turns."""
        size = len(record.dialogue)
        omitted = max(0, size - _FIRST_TURNS - _LAST_TURNS)
        view = render(record, self.tracker.clock, skip=slice(_FIRST_TURNS, _FIRST_TURNS + omitted) if omitted else None)
        view.messages = [_copied(message) for message in record.messages] if whole else []
        view.findings = list(map(copy, findings))
        if self.options.redact is not Redact.NONE:
            places = [*range(min(size, _FIRST_TURNS)), *range(_FIRST_TURNS + omitted, size)] if omitted else None
            hide_secrets(view, secret_context(record, always=True), places)
        if omitted:
            for turn in view.dialogue:
                if isinstance(turn, ReplyTurn):
                    turn.answers = _moved(turn.answers, omitted)
        for finding in view.findings:
            finding.turn = _moved(finding.turn, omitted)
        self._redacted.finish(view)
        for finding, original in zip(view.findings, findings, strict=True):
            finding.turn = original.turn
        return view


class _RenderedTurns:
    """The turns of an open connection, each made into words when it is read."""

    def __init__(self, record: ConnectionRecord, clock: TimeFormat) -> None:
        self._dialogue = record.dialogue
        self._clock = clock

    def __getitem__(self, index: int) -> Turn:
        return render_turn(self._dialogue[index], self._clock)


def _open_connection(record: ConnectionRecord, clock: TimeFormat) -> Connection:
    """Return a report of ``record`` whose turns are made only when they are read."""
    connection = render(record, clock, skip=slice(0, len(record.dialogue)))
    connection.dialogue = cast("list[Turn]", _RenderedTurns(record, clock))
    return connection


def _moved(index: int | None, omitted: int) -> int | None:
    """Return the index of a turn after ``omitted`` turns after the first ones were removed; None if it is one of
    them."""
    if index is None or index < _FIRST_TURNS or not omitted:
        return index
    return index - omitted if index >= _FIRST_TURNS + omitted else None


def _copied(message: Message) -> Message:
    return replace(
        message, recipients=list(map(copy, message.recipients)), header=copy(message.header) if message.header else None
    )

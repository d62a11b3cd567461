"""The audit of connections that are still open: findings are told when they are made, each once."""

# Theory
# ------
# The judge says which connections have new findings (`listening`). After each block those are looked at, and a finding
# goes the same way that it would have gone at the end: what the user has said not to want is left out, what must not be
# told is hidden. Both may depend on what was said around it, so it is done on a copy: the record itself goes on growing
# and is filtered as a whole when the connection ends, when the findings that were told are not told again. A connection
# whose findings become known only at its end needs nothing else: none of them has been told.
#
# A copy has the first and the last turns of a dialogue: names and passwords stand at the beginning, what a finding is
# about at the end. So a connection of 200,000 turns with a finding each costs no more per finding than another.

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from ..audit import Audit
from ..findings.rulebook import RuleBook
from ..findings.suppress import agreed
from ..model import ReplyTurn
from ..redact.redactor import Redactor
from .notifying_judge import NotifyingJudge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..audit import Options
    from ..exchanges.conversation import Judge
    from ..model import Connection, Finding, Message, Turn

__all__ = ["LiveAudit", "Update"]

_FIRST_TURNS, _LAST_TURNS = 100, 400
_TIMES = "TIM"  # the family of rules that compare times
_NS = 1_000_000_000


class Update(NamedTuple):
    """Findings of ``connection`` that were not told yet. ``ended``: it is whole, else only a view of it. ``known``: all
    its findings until now, of which ``caused_by`` is the index. They have not been redacted: rule and frame of a cause
    may be told, no text."""

    connection: Connection
    findings: list[Finding]
    ended: bool
    known: list[Finding]


class _Reported:
    """What of one connection's findings is wanted, and how many of these have been told."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.told = 0
        self._places: list[int | None] = []  # of every finding: where it is in `kept`, or where its cause is

    def look(self, record: Connection, unwanted: Callable[[Finding], bool]) -> None:
        """Take in the findings that came since the last time."""
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
    """An audit that is asked for ``news`` after each block of frames."""

    early = True

    def __init__(self, options: Options) -> None:
        self._touched: dict[int, Connection] = {}
        self._sieves: dict[int, _Reported] = {}
        self._unclocked: set[int] = set()
        super().__init__(options)

    def _judge(self) -> Judge:
        book = RuleBook(self.options.rules(), self.options.limits)
        self._listening = NotifyingJudge(book, lambda _, record: self._touched.__setitem__(record.id, record))
        return self._listening

    def change(self, options: Options) -> None:
        """Go on by other rules and redaction; ports and limits stay. Raises UsageError, and changes nothing then."""
        book = RuleBook(options.rules(), self.options.limits)
        if options.redact is not self.options.redact:
            self._redacted = Redactor(options.redact)
        self.options = options
        self._listening.change(book)
        self.tracker.forget_ways()

    def news(self, *, block: bool = True) -> Iterator[Update]:
        """What has become known since the last time: connections that ended, then findings of open ones. ``block``: see
        ``finished``."""
        for connection in self.finished(block=block):
            yield self._end(connection)
        touched, self._touched = self._touched, {}
        for record in touched.values():
            sieve = self._look(record)
            fresh = sieve.kept[sieve.told :]
            if fresh:
                sieve.told = len(sieve.kept)
                view = self._view(record, fresh)
                yield Update(view, view.findings, ended=False, known=sieve.kept)

    def last_news(self) -> Iterator[Update]:
        """No more comes: what was still open."""
        for connection in self.close():
            yield self._end(connection)

    def standing(self) -> Iterator[Connection]:
        """Every connection that is open, as it stands."""
        for record in self.tracker.standing():
            yield self._view(record, self._look(record).kept, whole=True)

    def clock_set(self, by_ns: int) -> None:
        """The clock was set by so much: of connections that are open, nothing is said about times any more."""
        self.tracker.clock_set(by_ns)
        for record in self.tracker.standing():
            if record.id in self._unclocked:
                continue
            self._unclocked.add(record.id)
            record.notes.append(f"the clock was set by {by_ns / _NS:+.1f} s meanwhile: times are not judged")

    def _end(self, connection: Connection) -> Update:
        sieve = self._sieves.pop(connection.id, None)
        self._touched.pop(connection.id, None)
        self._unclocked.discard(connection.id)
        fresh = connection.findings[sieve.told if sieve else 0 :]
        return Update(connection, fresh, ended=True, known=connection.findings)

    def _suppress(self, connection: Connection) -> None:
        connection.findings = self._look(connection).kept

    def _look(self, record: Connection) -> _Reported:
        sieve = self._sieves.setdefault(record.id, _Reported())
        sieve.look(record, self._unwanted(record))
        return sieve

    def _unwanted(self, record: Connection) -> Callable[[Finding], bool]:
        options = self.options
        ignore = frozenset[str]().union(*(peer.ignore for peer in options.peers if peer.fits(record)))
        codes, baseline = options.known_codes, options.baseline
        unclocked = record.id in self._unclocked

        def unwanted(finding: Finding) -> bool:
            if finding.rule in ignore or (codes and agreed(finding, record, codes)):
                return True
            if unclocked and finding.rule.startswith(_TIMES):
                return True
            if baseline is not None and baseline.knows(finding, record):
                self.summary.suppressed += 1
                return True
            return False

        return unwanted

    def _view(self, record: Connection, findings: list[Finding], *, whole: bool = False) -> Connection:
        """A copy of ``record`` with copies of ``findings``, fit to be told; ``whole``: with its messages."""
        view = replace(
            record,
            dialogue=_excerpt(record.dialogue),
            messages=[_copied(message) for message in record.messages] if whole else [],
            findings=list(map(copy, findings)),
            notes=list(record.notes),
            gaps=list(record.gaps),
        )
        left_out = len(record.dialogue) - len(view.dialogue)
        for finding in view.findings:
            finding.turn = _moved(finding.turn, left_out)
        self._redacted(view)
        for finding, original in zip(view.findings, findings, strict=True):
            finding.turn = original.turn
        return view


def _excerpt(dialogue: list[Turn]) -> list[Turn]:
    """Copies of the first and the last turns; they answer each other as before."""
    left_out = max(0, len(dialogue) - _FIRST_TURNS - _LAST_TURNS)
    turns = list(map(copy, dialogue[:_FIRST_TURNS] + dialogue[_FIRST_TURNS + left_out :]))
    if left_out:
        for turn in turns:
            if isinstance(turn, ReplyTurn):
                turn.answers = _moved(turn.answers, left_out)
    return turns


def _moved(index: int | None, left_out: int) -> int | None:
    """Where a turn is after ``left_out`` of them were left out behind the first."""
    if index is None or index < _FIRST_TURNS or not left_out:
        return index
    return index - left_out if index >= _FIRST_TURNS + left_out else None


def _copied(message: Message) -> Message:
    return replace(
        message, recipients=list(map(copy, message.recipients)), header=copy(message.header) if message.header else None
    )

"""One connection as a ladder: rows between the lifelines of client and server, each with the findings about it."""

# The rows are what the template draws, and all that is kept of a connection: a dialogue has up to 200,000 turns of up
# to 64 KB, and the page shows the start, the end, and the turns around findings. Text stays text (it wraps on a phone,
# and can be searched, selected and read aloud); only arrows and marks are drawn.

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import UNSET

from ...findings.counts import decrypted
from ...model import CommandTurn, GapTurn, ReplyTurn, TlsTurn
from ...timestamps import parse_time
from ..capture_quality import limitations
from ..output import plural
from ..tls_wording import insides, key_of, tls_facts, validity
from ..wording import (
    Prediction,
    belongs_to,
    frame,
    kind,
    message_parts,
    part_of,
    place,
    prediction,
    quotation,
    remarks,
    said,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...model import Connection, Endpoint, Severity, Side, Turn

__all__ = ["Ladder", "LadderCertificate", "LadderFinding", "LadderRow", "ladder"]

# Rows of one ladder. Of a longer dialogue, the first and last turns and those around findings.
MAX_ROWS = 100
FIRST_ROWS, LAST_ROWS, ROWS_BEFORE, ROWS_AFTER = 20, 5, 2, 1
# Limits of one turn; an EHLO reply has up to twenty lines, a hostile line 60,000 characters.
MAX_LINES, MAX_CHARACTERS = 24, 1200
# Findings shown for one connection, messages and notes listed below it, frames named in its display filter.
MAX_FINDINGS, MAX_MESSAGES, MAX_NOTES, MAX_FRAMES = 100, 10, 10, 20
# Host names of one certificate, and certificates above it.
NAMED_HOSTS, NAMED_ISSUERS = 8, 4
MAX_TEXT = 400
# Shortest pause that the ladder shows. RFC 5321 §4.5.3.2 counts in minutes; users notice seconds.
PAUSE_NS = 1_000_000_000


@dataclass(slots=True)
class LadderFinding:
    """A finding as the page shows it. ``number``: its index in the connection, for links. ``cause_number``: that of its
    cause, if the page shows it."""

    number: int
    rule: str
    name: str
    severity: Severity
    side: Side
    message: str
    place: str
    remarks: list[str]
    evidence: str
    cause: str
    cause_number: int | None


@dataclass(slots=True)
class LadderRow:
    """One turn, or (``kind`` "left-out") a remark between turns: some are not shown, or another capture starts.

    ``lines``: the text of the turn; ``more``: how much of it is not shown. ``answers``: the command that a reply
    belongs to, if it is not the turn right above. ``group``: position in a pipelined group. ``secured``: inside TLS.
    """

    kind: str
    side: Side
    lines: list[str]
    frame: int = 0
    seconds: str = ""
    more: str = ""
    pause: str = ""
    answers: str = ""
    group: str = ""
    group_size: int = 0
    secured: bool = False
    prediction: Prediction | None = None
    notes: list[LadderFinding] = field(default_factory=list)


@dataclass(slots=True)
class LadderCertificate:
    """A certificate as the page shows it. ``of``: the side that sent it; ``above``: those above it in its chain."""

    of: str
    subject: str
    names: str
    issuer: str
    valid: str
    key: str
    serial: str
    sha256: str
    above: list[str]


@dataclass(slots=True)
class Ladder:
    """One connection. ``notes``: findings about the connection as a whole. ``rules``: all rules that fired in it.
    ``where``: the captures that it is in; ``frames``: those of findings, by the path of their capture. ``session``:
    what is known of TLS; ``decrypted``: how much could be read of what was inside."""

    id: int
    client: Endpoint
    server: Endpoint
    profile: str
    tls: str
    opening: str
    closing: str
    started: str
    client_bytes: int
    server_bytes: int
    limitations: list[str]
    remarks: list[str]
    rows: list[LadderRow]
    notes: list[LadderFinding]
    rules: list[str]
    messages: list[str]
    more_messages: int
    more_findings: int
    where: str
    frames: list[tuple[str, list[int]]]
    session: list[tuple[str, str]]
    certificates: list[LadderCertificate]
    decrypted: str

    def leave_out_rows(self) -> None:
        """Drop the dialogue: the page has no room for it."""
        self.more_findings += sum(len(row.notes) for row in self.rows)
        self.rows = []
        _unlink(self.notes)


def ladder(connection: Connection) -> Ladder:
    """Return the ladder of ``connection`` with as many rows as the page shows."""
    dialogue = connection.dialogue
    findings = connection.findings
    about: dict[int | None, list[LadderFinding]] = {}
    # Causes come before their consequences, so the first findings are the most important ones.
    for number, finding in enumerate(findings[:MAX_FINDINGS]):
        at = finding.turn if finding.turn is not None and 0 <= finding.turn < len(dialogue) else None
        about.setdefault(at, []).append(_note(number, connection, dialogue[at] if at is not None else None))
    rows, notes = list(_rows(connection, about)), about.get(None, [])
    shown = [*notes, *(note for row in rows for note in row.notes)]
    _unlink(shown)
    return Ladder(
        id=connection.id,
        client=connection.client,
        server=connection.server,
        profile=connection.profile,
        tls=connection.tls,
        opening=connection.opening,
        closing=connection.closing,
        started=connection.started,
        client_bytes=connection.client_bytes,
        server_bytes=connection.server_bytes,
        limitations=limitations(connection),
        remarks=[_cut(note) for note in connection.notes[:MAX_NOTES]],
        rows=rows,
        notes=notes,
        rules=sorted({finding.rule for finding in findings}),
        messages=[_cut(", ".join(message_parts(message))) for message in connection.messages[:MAX_MESSAGES]],
        more_messages=max(len(connection.messages) - MAX_MESSAGES, 0),
        more_findings=len(findings) - len(shown),
        where=where(connection.captures),
        frames=_frames(connection),
        session=[(name, _cut(value)) for name, value in _session(connection)],
        certificates=list(_certificates(connection)),
        decrypted=decrypted(connection),
    )


def _session(connection: Connection) -> Iterator[tuple[str, str]]:
    if connection.tls_session is not UNSET:
        yield from tls_facts(connection.tls_session)


def _certificates(connection: Connection) -> Iterator[LadderCertificate]:
    if connection.tls_session is UNSET:
        return
    session = connection.tls_session
    for of, chain in (("server", session.certificates), ("client", session.client_certificates)):
        if not chain:
            continue
        one, *rest = chain
        more = len(one.names) - NAMED_HOSTS
        names = ", ".join(one.names[:NAMED_HOSTS]) + (f" and {more:,} more" if more > 0 else "")
        above = [_cut(f"{each.subject}, {validity(each)}") for each in rest[:NAMED_ISSUERS]]
        subject, issuer = _cut(one.subject), _cut(one.issuer)
        yield LadderCertificate(
            of, subject, _cut(names), issuer, validity(one), key_of(one), one.serial, one.sha256, above
        )


def _unlink(shown: Sequence[LadderFinding]) -> None:
    """Remove links to causes that are not shown: not among ``shown``, which are all findings of a connection that
    are."""
    numbers = {note.number for note in shown}
    for note in shown:
        if note.cause_number not in numbers:
            note.cause_number = None


def _frames(connection: Connection) -> list[tuple[str, list[int]]]:
    found: dict[str, set[int]] = {}
    for finding in connection.findings:
        part = part_of(connection.captures, finding.time)
        found.setdefault(part.path if part is not None else "", set()).add(finding.frame)
    return [(path, sorted(frames)[:MAX_FRAMES]) for path, frames in found.items()]


def _note(number: int, connection: Connection, turn: Turn | None) -> LadderFinding:
    findings, parts = connection.findings, connection.captures
    finding = findings[number]
    cause = finding.caused_by
    known = cause is not None and 0 <= cause < len(findings)
    return LadderFinding(
        number=number,
        rule=finding.rule,
        name=finding.name,
        severity=finding.severity,
        side=finding.side,
        message=_cut(finding.message),
        place=place(finding, parts),
        remarks=remarks(finding),
        evidence=_cut(quotation(finding, turn)),
        cause=f"{findings[cause].rule} in frame {frame(findings[cause], parts)}" if known and cause is not None else "",
        cause_number=cause if known else None,
    )


def _rows(connection: Connection, about: dict[int | None, list[LadderFinding]]) -> Iterator[LadderRow]:
    dialogue = connection.dialogue
    groups = _groups(dialogue) if connection.client_bytes and connection.server_bytes else {}
    start = before = parse_time(connection.started)
    inside = insides(connection)
    shown = _shown(len(dialogue), [at for at in about if at is not None])
    previous = -1
    here = part_of(connection.captures, connection.started)
    for index in shown:
        if index > previous + 1:
            yield LadderRow("left-out", "path", [f"{plural(index - previous - 1, 'turn')} not shown"])
            before = parse_time(dialogue[index - 1].time)
        turn = dialogue[index]
        now = parse_time(turn.time)
        part = part_of(connection.captures, turn.time)
        if part is not None and part is not here:
            here = part
            yield LadderRow("left-out", "path", [f"continues in {part.path}"])
        group, size = groups.get(index, ("", 0))
        row = LadderRow(
            kind(turn), turn.side, [], turn.frame, f"{(now - start) / 1e9:.6f}", group=group, group_size=size
        )
        row.lines, row.more = _bounded(said(turn, connection.tls_session))
        row.pause = f"{(now - before) / 1e9:.1f} s" if now - before >= PAUSE_NS else ""
        row.secured = inside[index]
        row.notes = about.get(index, [])
        if isinstance(turn, ReplyTurn):
            row.prediction = prediction(turn, dialogue)
            row.answers = belongs_to(index, dialogue)
        yield row
        previous, before = index, now
    if previous + 1 < len(dialogue):
        yield LadderRow("left-out", "path", [f"{plural(len(dialogue) - previous - 1, 'turn')} not shown"])


def _shown(turns: int, at: Sequence[int]) -> list[int]:
    if turns <= MAX_ROWS:
        return list(range(turns))
    wanted = {*range(FIRST_ROWS), *range(turns - LAST_ROWS, turns)}
    for index in sorted(at):
        around = range(max(index - ROWS_BEFORE, 0), min(index + ROWS_AFTER + 1, turns))
        if len(wanted | set(around)) > MAX_ROWS:
            break
        wanted |= set(around)
    # Any room left goes to the start of the dialogue: a ladder is read from the top.
    further = (index for index in range(FIRST_ROWS, turns) if index not in wanted)
    return sorted(wanted.union(islice(further, MAX_ROWS - len(wanted))))


def _groups(dialogue: Sequence[Turn]) -> dict[int, tuple[str, int]]:
    """Return the position of each client turn in a pipelined group (RFC 2920): lines sent without waiting for a
    reply."""
    groups: dict[int, tuple[str, int]] = {}
    run: list[int] = []
    for index, turn in enumerate(dialogue):
        if turn.side == "client" and not isinstance(turn, GapTurn | TlsTurn):
            run.append(index)
            continue
        groups.update(_group(run, dialogue))
        run = []
    groups.update(_group(run, dialogue))
    return groups


def _group(run: Sequence[int], dialogue: Sequence[Turn]) -> Iterator[tuple[int, tuple[str, int]]]:
    # A BDAT and its chunk are one command; only further commands make a group.
    commands = sum(isinstance(dialogue[index], CommandTurn) for index in run)
    if commands < 2:
        return
    for index in run:
        place = "first" if index == run[0] else "last" if index == run[-1] else "middle"
        yield index, (place, commands)


def _bounded(lines: Sequence[str]) -> tuple[list[str], str]:
    shown: list[str] = []
    room = MAX_CHARACTERS
    for number, line in enumerate(lines):
        if number == MAX_LINES or room <= 0:
            return shown, f"{plural(len(lines) - number, 'more line')}"
        if len(line) > room:
            left = sum(map(len, lines[number:])) - room
            return [*shown, line[:room]], f"{plural(left, 'more character')}"
        shown.append(line)
        room -= len(line)
    return shown, ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"

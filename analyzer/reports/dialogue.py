"""``smtpwire show``: what the two sides said, frame by frame, with each finding under the line that it is about."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, assert_never

from ..model import (
    AuthTurn,
    Capture,
    CommandTurn,
    Connection,
    Finding,
    GapTurn,
    MalformedTurn,
    Message,
    MessageTurn,
    ReplyTurn,
    Summary,
    TlsTurn,
    Turn,
)
from .output import Output, plural
from .spans import SEVERITY_STYLE, SIDE_STYLE, Line, clip, paint, wrapped
from .text import heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DialogueWriter"]

# Columns in front of what was said: frame, seconds since the start, arrow.
MARGIN = 7 + 1 + 11 + 3
# RFC 5321 §3.3 gives a server that has no recipient the choice; the model names the first.
_PREDICTED_TOO: dict[str | None, tuple[str, ...]] = {"DATA": ("554",), "BDAT": ("554",)}
# A line of command or reply is shown as far as this many lines of text; a hostile one has 60,000 characters.
SHOWN_LINES = 6


class DialogueWriter:
    """Prints each connection as soon as it has ended."""

    streams = True

    def __init__(self, output: Output, only: int | None = None) -> None:
        self._output = output
        self._only = only
        self.found = False

    def capture(self, capture: Capture) -> None:
        """Say what is wrong with it; else nothing."""
        if capture.problems:
            name = capture.path
            paint(self._output, [[("yellow", f"{name}: {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Print it."""
        if self._only in {None, connection.id}:
            self.found = True
            paint(self._output, _dialogue(connection, self._output.width))

    def finish(self, summary: Summary) -> None:
        """Nothing is left to say."""


def _dialogue(connection: Connection, width: int) -> Iterator[Line]:
    yield heading(connection)
    yield [("dim", "  " + _circumstances(connection))]
    for note in connection.notes:
        yield from wrapped(note, width, "    ", "yellow", first="  ! ")
    yield []
    below: dict[int | None, list[Finding]] = {}
    turns = len(connection.dialogue)
    for finding in connection.findings:
        at = finding.turn if finding.turn is not None and finding.turn < turns else None
        below.setdefault(at, []).append(finding)
    start = _nanoseconds(connection.started)
    for index, turn in enumerate(connection.dialogue):
        arrow = "→" if turn.side == "client" else "←"
        seconds = (_nanoseconds(turn.time) - start) / 1e9
        margin = f"{turn.frame:>7} {seconds:>11.6f} {arrow} "
        for text in _said(turn, width - MARGIN):
            yield [("dim", margin), (SIDE_STYLE[turn.side], text)]
            margin = " " * MARGIN
        if isinstance(turn, ReplyTurn):
            yield from _unlike_predicted(turn, connection.dialogue)
        yield from _findings(below.get(index, ()), connection.findings, width, " " * MARGIN)
    yield from _findings(below.get(None, ()), connection.findings, width, "  ")
    for number, message in enumerate(connection.messages, 1):
        yield from wrapped(f"message {number}: {_message(message)}", width, "    ", first="  ")
    yield []


def _circumstances(connection: Connection) -> str:
    opening = {"handshake": "opened in the capture", "midstream": "already open when the capture began"}
    closing = {"fin": "closed", "rst": "reset", "open": "still open when the capture ended"}
    sizes = f"client {plural(connection.client_bytes, 'byte')}, server {plural(connection.server_bytes, 'byte')}"
    return f"{connection.started}, {opening[connection.opening]}, {closing[connection.closing]}, {sizes}"


def _said(turn: Turn, room: int) -> Iterator[str]:
    match turn:
        case ReplyTurn():
            for number, text in enumerate(turn.lines, 1):
                separator = "-" if number < len(turn.lines) else " "
                yield from _broken(f"{turn.code:03}{separator}{text}", room)
            if not turn.lines:
                yield f"{turn.code:03}"
        case CommandTurn():
            words = (turn.verb or "", turn.argument)
            yield from _broken(" ".join(word for word in words if word is not None) or "(an empty line)", room)
        case AuthTurn():
            yield f"(a line of the AUTH exchange, {plural(turn.length, 'byte')}, not shown)"
        case MessageTurn():
            kind = "BDAT chunk" if turn.chunked else "message"
            end = "" if turn.complete else ", incomplete"
            yield f"({kind}: {plural(turn.size, 'byte')}, {plural(turn.lines, 'line')}{end})"
        case TlsTurn():
            yield "(TLS handshake: what follows is encrypted)"
        case GapTurn():
            yield f"({plural(turn.length, 'byte')} not captured)"
        case MalformedTurn():
            yield from _broken(turn.text, room)
        case _:
            assert_never(turn)


def _broken(text: str, room: int) -> Iterator[str]:
    """``text`` in lines of at most ``room`` columns, cut behind blanks where there are any; nothing is left out."""
    room = max(room, 20)
    for _ in range(SHOWN_LINES):
        if len(text) <= room:
            yield text
            return
        cut = text.rfind(" ", 1, room) + 1 or room
        yield text[:cut]
        text = text[cut:]
    yield f"… {len(text):,} more characters"


def _unlike_predicted(reply: ReplyTurn, dialogue: Sequence[Turn]) -> Iterator[Line]:
    """Tell where a server that follows the RFC, in the state that this one was in, would have answered otherwise."""
    command = dialogue[reply.answers] if reply.answers is not None and reply.answers < len(dialogue) else None
    if not isinstance(command, CommandTurn) or command.predicted == "unknown":
        return
    if command.predicted == "accept":
        # A refusal for reasons of its own (a mailbox, a policy, a size) is the server's right; disorder was not there.
        if reply.code in {500, 502, 503}:
            yield [("", " " * MARGIN), ("yellow", f"predicted: accepted, as {command.verb} was in order")]
    elif str(reply.code) not in {command.predicted, *_PREDICTED_TOO.get(command.verb, ())}:
        yield [("", " " * MARGIN), ("yellow", f"predicted: {command.predicted}")]


def _findings(findings: Sequence[Finding], everything: Sequence[Finding], width: int, indent: str) -> Iterator[Line]:
    for finding in findings:
        yield [
            ("", indent),
            (SEVERITY_STYLE[finding.severity], f"{finding.severity} {finding.rule}"),
            ("", f" {finding.name} ("),
            (SIDE_STYLE[finding.side], finding.side),
            ("", ")"),
        ]
        remarks = [finding.message]
        cause = finding.caused_by
        if cause is not None and 0 <= cause < len(everything):
            remarks.append(f"(Follows from {everything[cause].rule} in frame {everything[cause].frame}.)")
        if finding.certainty == "indeterminate":
            remarks.append("(Not certain: the capture leaves it open.)")
        yield from wrapped(" ".join(remarks), width, indent + "  ")
        if finding.turn is None and finding.evidence:
            yield [("dim", f"{indent}  │ "), ("", clip(finding.evidence, width - len(indent) - 4))]


def _message(message: Message) -> str:
    sender = "an unknown sender" if message.from_ is None else f"<{message.from_}>"
    to = ", ".join(f"<{r.address}> ({r.code or 'no reply seen'})" for r in message.recipients[:8])
    more = len(message.recipients) - 8
    fate = "no reply seen" if message.code is None else _fate(message.code)
    parts = [
        f"from {sender} to {to or 'nobody'}" + (f" and {more:,} more" if more > 0 else ""),
        plural(message.size, "byte") + ("" if message.complete else ", incomplete"),
        fate,
    ]
    if message.subject is not None:
        parts.append(f'subject "{message.subject}"')
    return ", ".join(parts)


def _fate(code: int) -> str:
    return f"accepted ({code})" if code < 400 else f"refused ({code})"


def _nanoseconds(time: str) -> int:
    """A time of the model (RFC 3339, UTC, up to nine digits) as nanoseconds, for differences."""
    day, _, clock = time.rstrip("Z").partition("T")
    clock, _, fraction = clock.partition(".")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    whole = ((date.fromisoformat(day).toordinal() * 24 + hours) * 60 + minutes) * 60 + seconds
    return whole * 10**9 + int(f"{fraction:0<9}")

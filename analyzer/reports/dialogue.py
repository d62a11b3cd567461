"""``smtpwire show``: the commands and replies of both sides, frame by frame, each finding under the line it is
about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Capture, Connection, Finding, ReplyTurn, Summary
from ..timestamps import local_time, parse_time
from .scope import remarks_on
from .styled_text import SEVERITY_STYLE, SIDE_STYLE, Line, clip, paint, wrapped
from .text import heading, tls_session
from .tls_wording import insides
from .wording import belongs_to, circumstances, frame, message_parts, part_of, prediction, quotation, said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from ..model import Turn
    from .output import Output

__all__ = ["DialogueWriter"]

# Columns in front of the text: frame, seconds since the start or time of day, arrow.
MARGIN = 7 + 1 + 11 + 3
ZONED_MARGIN = 7 + 1 + 15 + 3
# Lines of text shown for one line of a command or reply; a hostile line has 60,000 characters.
SHOWN_LINES = 6
# In clear text, and inside TLS. The place of a gap on the path has no side of its own.
_ARROWS = {
    False: {"client": "→", "server": "←", "path": "←"},
    True: {"client": "⇒", "server": "⇐", "path": "⇐"},
}


class DialogueWriter:
    """Prints each connection as soon as it has ended. ``several``: more than one capture is read. ``zone``: the zone of
    absolute times; None: seconds since the start of the connection."""

    streams = True

    def __init__(self, output: Output, *, several: bool = False, zone: tzinfo | None = None) -> None:
        self._output = output
        self._several = several
        self._zone = zone
        self.found = False

    def capture(self, capture: Capture) -> None:
        """Print the problems of the capture, if it has any."""
        if capture.problems:
            name = capture.path
            paint(self._output, [[("yellow", f"{name}: {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Print the connection."""
        self.found = True
        paint(self._output, _dialogue(connection, self._output.width, self._zone, several=self._several))

    def finish(self, summary: Summary) -> None:
        """Print what was not looked at."""
        width = self._output.width
        paint(self._output, [line for said in remarks_on(summary) for line in wrapped(said, width, "", "dim")])


def _dialogue(connection: Connection, width: int, zone: tzinfo | None, *, several: bool) -> Iterator[Line]:
    parts = connection.captures
    yield from heading(connection, width, several=several)
    yield from wrapped(circumstances(connection, zone), width, "  ", "dim")
    yield from tls_session(connection, width)
    for note in connection.notes:
        yield from wrapped(note, width, "    ", "yellow", first="  ! ")
    yield []
    below: dict[int | None, list[Finding]] = {}
    turns = len(connection.dialogue)
    for finding in connection.findings:
        at = finding.turn if finding.turn is not None and finding.turn < turns else None
        below.setdefault(at, []).append(finding)
    start, room = parse_time(connection.started), MARGIN if zone is None else ZONED_MARGIN
    here = part_of(parts, connection.started)
    inside = insides(connection)
    for index, turn in enumerate(connection.dialogue):
        part = part_of(parts, turn.time)
        if part is not here and part is not None:
            here = part
            yield from wrapped(f"continues in {part.path}", width, " " * 8, "dim")
        arrow = _ARROWS[inside[index]][turn.side]
        if zone is None:
            time = f"{(parse_time(turn.time) - start) / 1e9:>11.6f}"
        else:
            time = f"{local_time(turn.time, zone):%H:%M:%S.%f}"
        margin = f"{turn.frame:>7} {time} {arrow} "
        texts = [text for line in said(turn, connection.tls_session) for text in _broken_lines(line, width - room)]
        answers = belongs_to(index, connection.dialogue)
        for number, text in enumerate(texts, 1):
            suffix = ("dim", f"  (to {answers})" if answers and number == len(texts) else "")
            yield [("dim", margin), (SIDE_STYLE[turn.side], text), suffix]
            margin = " " * room
        expected = prediction(turn, connection.dialogue) if isinstance(turn, ReplyTurn) else None
        if expected is not None and expected.state == "broken":
            yield [("", " " * room), ("yellow", expected.text)]
        elif expected is not None and expected.text != "as predicted" and expected.state == "kept":
            yield [("", " " * room), ("dim", expected.text)]
        yield from _findings(below.get(index, ()), turn, connection, width, " " * room)
    yield from _findings(below.get(None, ()), None, connection, width, "  ")
    for number, message in enumerate(connection.messages, 1):
        description = ", ".join(message_parts(message))
        yield from wrapped(f"message {number}: {description}", width, "    ", first="  ")
    yield []


def _broken_lines(text: str, room: int) -> Iterator[str]:
    """Return ``text`` in lines of at most ``room`` columns, cut after blanks where there are any. Nothing is
    dropped."""
    room = max(room, 20)
    for _ in range(SHOWN_LINES):
        if len(text) <= room:
            yield text
            return
        cut = text.rfind(" ", 1, room) + 1 or room
        yield text[:cut]
        text = text[cut:]
    yield f"… {len(text):,} more characters"


def _findings(
    findings: Sequence[Finding], turn: Turn | None, connection: Connection, width: int, indent: str
) -> Iterator[Line]:
    for finding in findings:
        yield [
            ("", indent),
            (SEVERITY_STYLE[finding.severity], f"{finding.severity} {finding.rule}"),
            ("", f" {finding.name} ("),
            (SIDE_STYLE[finding.side], finding.side),
            ("", ")"),
        ]
        quoted = quotation(finding, turn)
        if quoted:
            yield [("dim", f"{indent}  │ "), ("", clip(quoted, width - len(indent) - 4))]
        remarks = [finding.message]
        cause = finding.caused_by
        if cause is not None and 0 <= cause < len(connection.findings):
            why = connection.findings[cause]
            remarks.append(f"(Follows from {why.rule} in frame {frame(why, connection.captures)}.)")
        if finding.certainty == "indeterminate":
            remarks.append("(Not certain: the capture does not show enough.)")
        yield from wrapped(" ".join(remarks), width, indent + "  ")

"""``smtpwire show --end-of-data``: where each kind of reader sees the end of a message, and what the server did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import parse_command
from ...dissectors.printable import printable
from ..enums import Redact
from ..exchanges.end_of_data_tap import EndTap
from ..lines.shown_lines import shown_in_text
from ..tls.places import shown_place
from .output import plural
from .scope import remarks_on
from .styled_text import SIDE_STYLE, Line, clip, paint, wrapped
from .text import heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..exchanges.connection_report import TimeFormat
    from ..exchanges.end_of_data_tap import EndView, SeenEnd
    from ..exchanges.record import ConnectionRecord
    from ..model import Capture, Connection, Summary
    from ..tls.facts import Side
    from ..tls.places import RecordPlaces
    from .output import Output

__all__ = ["EndOfDataWriter"]

READER, FRAME, BYTE, MARK = 17, 6, 7, 19  # columns
_NAMES = {0x0D: "<CR>", 0x0A: "<LF>", 0: "<NUL>"}


class EndOfDataWriter:
    """Prints the messages of each connection when it has ended. ``tap`` is for the options of the audit.

    ``everything``: include messages whose end all readers agree on. ``redact``: how much to hide of the lines after a
    mark, which may be text of the message.
    """

    streams = True

    def __init__(self, output: Output, *, everything: bool, redact: Redact, several: bool = False) -> None:
        self.found = False
        self._several = several
        self._redact = redact
        self._output = output
        self._everything = everything
        self._taps: dict[int, tuple[EndTap, ConnectionRecord]] = {}
        self._messages = 0
        self._differing = 0

    def tap(self, record: ConnectionRecord, clock: TimeFormat) -> EndTap:
        """Return the tap that reads the messages of a new connection."""
        tap = EndTap(record, everything=self._everything)
        self._taps[record.id] = tap, record
        return tap

    def passed_over(self, connection: Connection) -> None:
        """Forget a connection that is not wanted."""
        self._taps.pop(connection.id, None)

    def capture(self, capture: Capture) -> None:
        """Print the problems of the capture, if it has any."""
        if capture.problems:
            paint(self._output, [[("yellow", f"{capture.path}: {problem}")] for problem in capture.problems])

    def connection(self, connection: Connection) -> None:
        """Print the messages of the connection."""
        known = self._taps.pop(connection.id, None)
        if known is None:
            return
        tap, record = known
        self.found = True
        views = tap.finish()
        self._messages += tap.messages
        self._differing += sum(view.differs for view in views)
        if views:
            top = heading(connection, self._output.width, several=self._several)
            paint(self._output, [*top, [], *_lines(views, record.places or {}, self._output.width, self._redact)])

    def finish(self, summary: Summary) -> None:
        """Print the number of messages."""
        total = f"{plural(self._messages, 'message')} sent with DATA"
        if not self._messages:
            text = "No message was sent with DATA."
        elif not self._differing:
            text = f"{total}: every reader sees the same end."
        else:
            text = f"{total}: readers disagree about the end of {self._differing:,}."
        texts = [*([text] if summary.connections else []), *remarks_on(summary)]
        paint(self._output, [line for one in texts for line in wrapped(one, self._output.width, "")])


def _lines(views: list[EndView], places: Mapping[Side, RecordPlaces], width: int, redact: Redact) -> Iterator[Line]:
    for view in views:
        offset, inside = shown_place(places, view.offset)
        also = "" if inside is None else f" (inside TLS: byte {inside})"
        yield [("bold", f"  message in frame {view.frame}, from byte {offset}{also} on")]
        byte = "byte" if inside is None else "inside"
        head = f"{'reader':<{READER}}{'frame':>{FRAME}} {byte:>{BYTE}}  {'end':<{MARK}}what follows"
        yield [("dim", f"    {head}")]
        for one in view.seen:
            yield _row(one, 0 if inside is None else view.offset - inside, width, redact)
        yield from _server(view, width)
        if not view.whole:
            yield from wrapped("Bytes of the message are not in the capture.", width, "    ", "yellow")
        yield []


def _row(one: SeenEnd, base: int, width: int, redact: Redact) -> Line:
    ending = one.ending
    name = f"    {ending.reader:<{READER}}"
    if ending.end < 0:
        return [("", name), ("dim", f"{'':>{FRAME + 1 + BYTE}}  sees no end")]
    place = f"{one.frame:>{FRAME}} {one.offset - base:>{BYTE}}  "
    mark = f"{named(ending.before + ending.mark):<{MARK - 2}}  "
    following = _shown(one.line, redact)
    room = width - len(name) - len(place) - len(mark)
    return [("", name), ("dim", place), ("", mark), (SIDE_STYLE["client"], clip(following, room) if following else "")]


def _shown(line: bytes, redact: Redact) -> str:
    """Return the part of a line that ``redact`` allows to show: a line that is not a command is text of the message."""
    if redact is Redact.NONE or not line:
        return printable(line)
    command = parse_command(line)
    if command.spec is None or command.name is None:
        return f"({plural(len(line), 'byte')} of text)"
    return command.name if redact is Redact.PII else shown_in_text(line)


def _server(view: EndView, width: int) -> Iterator[Line]:
    mark = named(view.lookalike)
    text = {
        "ended there": f"treated {mark or 'something else'} as the end, and what follows as commands.",
        "refused": f"refused the message with {view.code}.",
        "unknown": "sent no final reply that the capture contains.",
        "went on": "accepted the message. Nothing shows that it treated a look-alike as the end."
        if view.lookalike
        else "accepted the message.",
    }[view.server_action]
    yield from wrapped(f"The server {text}", width, "    ", SIDE_STYLE["server"])


def named(mark: bytes) -> str:
    """Return the bytes of a mark, the invisible ones by name; a run of equal bytes is shown once with its length."""
    text = ""
    at = 0
    while at < len(mark):
        run = len(mark) - len(mark[at:].lstrip(mark[at : at + 1])) - at
        name = _NAMES.get(mark[at], chr(mark[at]))
        text += name * run if run < 3 else f"{name}×{run}"
        at += run
    return text

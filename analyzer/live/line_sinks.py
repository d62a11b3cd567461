"""Updates as lines: for people, one line for each finding; for programs, one JSON object for each line."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from ..console import notice
from ..model import Connection
from ..reports.capture_quality import CaptureQuality
from ..reports.concise import summed_up
from ..reports.output import plural
from ..reports.styled_text import SEVERITY_STYLE, SIDE_STYLE, paint
from ..reports.text import address
from .sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Capture, Finding, Summary
    from ..reports.output import Output
    from ..reports.styled_text import Line

__all__ = ["JsonLinesSink", "TextLinesSink", "one_line"]


def one_line(finding: Finding, connection: Connection, name: str) -> Line:
    """Return ``eth0:9: error SEQ103 client: …``, as --concise prints it, with the connection, because the line stands
    alone."""
    ends = f"#{connection.id} {address(connection.client)} → {address(connection.server)}"
    return [
        ("dim", f"{finding.time[11:23]} "),
        ("bold", f"{name}:{finding.frame}: "),
        (SEVERITY_STYLE[finding.severity], f"{finding.severity} {finding.rule}"),
        ("", " "),
        (SIDE_STYLE[finding.side], finding.side),
        ("", f": {finding.message} "),
        ("dim", f"({ends})"),
    ]


class TextLinesSink(Sink):
    """Prints a line for each finding at once, and a summary at the end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._name = "-"
        self._quality = CaptureQuality()

    def reading(self, name: str) -> None:
        """See ``Sink``."""
        self._name = name

    def finding(self, finding: Finding, connection: Connection) -> None:
        """See ``Sink``."""
        paint(self._output, [one_line(finding, connection, self._name)])

    def ended(self, connection: Connection) -> None:
        """Count the connection."""
        self._quality.count(connection)

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """See ``Sink``."""
        lines: list[Line] = [[("bold", f"{time[11:19]} {plural(len(connections), 'open connection')}")]]
        for one in connections:
            ends = f"#{one.id} {address(one.client)} → {address(one.server)} {one.profile}"
            times = f"since {one.started[11:19]}, last segment at {one.ended[11:19]}"
            octets = f"{one.client_bytes:,} and {one.server_bytes:,} bytes"
            counts = f"{plural(len(one.messages), 'message')}, {plural(len(one.findings), 'finding')}"
            lines.append([("", f"  {ends}: "), ("dim", f"{times}, {octets}, {counts}")])
        paint(self._output, lines)

    def notice(self, text: str) -> None:
        """Print the notice on standard error, where it does not disturb a program that reads the output."""
        notice(text)

    def capture(self, capture: Capture) -> None:
        """Print what was read, and the problems of the capture."""
        read = f": {plural(capture.frames, 'frame')}, {plural(capture.bytes, 'byte')}"
        paint(self._output, [[("bold", capture.path), ("", read)]])
        paint(self._output, [[("bold", capture.path), ("yellow", f": {problem}")] for problem in capture.problems])

    def finish(self, summary: Summary) -> None:
        """See ``Sink``."""
        paint(self._output, summed_up(self._quality, summary))
        self._output.flush()


_BARE_FIELDS = tuple(name for name in Connection.__struct_fields__ if name != "findings")
_bare_values = attrgetter(*_BARE_FIELDS)
_Bare: Any = msgspec.defstruct("_Bare", _BARE_FIELDS)


class JsonLinesSink(Sink):
    """Writes the lines of ``audit --format ndjson``, findings before their connection.

    A finding also has both ends, because the line of its connection comes only when that ends. Open connections are
    lines of the type ``open``, with the number of findings reported.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._encode = msgspec.json.Encoder().encode

    def finding(self, finding: Finding, connection: Connection) -> None:
        """See ``Sink``."""
        encode = self._encode
        ends = b'"client":%b,"server":%b,' % (encode(connection.client), encode(connection.server))
        start = b'{"type":"finding","connection":%d,' % connection.id
        self._output.write(start + ends + encode(finding)[1:] + b"\n")

    def ended(self, connection: Connection) -> None:
        """See ``Sink``."""
        self._output.write(self._line(connection))

    def _line(self, connection: Connection) -> bytes:
        bare = self._encode(_Bare(*_bare_values(connection)))
        return b'{"type":"connection",' + bare[1:] + b"\n"

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """See ``Sink``."""
        start = b'{"type":"open","at":%b,"findings":%%d,' % self._encode(time)
        lines = [start % len(one.findings) + self._encode(_Bare(*_bare_values(one)))[1:] + b"\n" for one in connections]
        self._output.write(b"".join(lines))

    def notice(self, text: str) -> None:
        """Print the notice on standard error."""
        notice(text)

    def capture(self, capture: Capture) -> None:
        """See ``Sink``."""
        self._output.write(b'{"type":"capture",' + self._encode(capture)[1:] + b"\n")

    def finish(self, summary: Summary) -> None:
        """See ``Sink``."""
        self._output.write(b'{"type":"summary",' + self._encode(summary)[1:] + b"\n")
        self._output.flush()

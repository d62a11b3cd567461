"""What a report may not contain in its format: markup, links, commands and formulas that came from the wire."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from smtpwire.analyzer.enums import ReportFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SARIF_LINK", "SARIF_PLACEHOLDER", "check_markup", "sarif_messages"]

SARIF_LINK = re.compile(r"(?<!\\)(?:\\\\)*\[[^\]]*?(?<!\\)(?:\\\\)*\]\(")
SARIF_PLACEHOLDER = re.compile(r"(?<!\{)(?:\{\{)*\{[0-9]+\}")
_ATTACHMENT = re.compile(r"\[\[\s*attachment", re.IGNORECASE)
_COMMAND = re.compile(r"::(?:error|warning|notice) [^\n]*::")


def check_markup(form: ReportFormat, text: str) -> None:
    """Raise if a reader of the format would do more with ``text`` than show it."""
    check = _CHECKS.get(form)
    if check is not None:
        check(text)


def _markdown(text: str) -> None:
    # cmark knows no code span with more backticks than 80.
    assert max(map(len, re.findall("`+", text)), default=0) <= 80


def sarif_messages(value: Any) -> Iterator[str]:
    """Return the text of every message object in a SARIF document."""
    if isinstance(value, dict):
        if isinstance(value.get("message"), dict):
            yield value["message"]["text"]
        for inner in value.values():
            yield from sarif_messages(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sarif_messages(inner)


def _sarif(text: str) -> None:
    for message in sarif_messages(json.loads(text)):
        assert not SARIF_LINK.search(message), message
        assert not SARIF_PLACEHOLDER.search(message), message


def _junit(text: str) -> None:
    for element in ElementTree.fromstring(text).iter():
        assert not _ATTACHMENT.search(element.text or "")


def _github(text: str) -> None:
    *commands, last = text.removesuffix("\n").split("\n")
    assert all(map(_COMMAND.match, commands))
    assert not last.lstrip().startswith("::")


def _csv(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
            assert not cell.startswith("-") or re.fullmatch(r"-[0-9]+", cell), cell


def _json_lines(text: str) -> None:
    for line in text.removesuffix("\n").split("\n"):
        if line:
            json.loads(line)


def _zeek(text: str) -> None:
    assert len({line.count("\t") for line in text.split("\n") if line and line[0] != "#"}) <= 1


_CHECKS: dict[ReportFormat, Callable[[str], None]] = {
    ReportFormat.MARKDOWN: _markdown,
    ReportFormat.SARIF: _sarif,
    ReportFormat.JUNIT: _junit,
    ReportFormat.GITHUB: _github,
    ReportFormat.CSV: _csv,
    ReportFormat.JSON: _json_lines,
    ReportFormat.NDJSON: _json_lines,
    ReportFormat.EVE: _json_lines,
    ReportFormat.ECS: _json_lines,
    ReportFormat.ZEEK: _zeek,
}

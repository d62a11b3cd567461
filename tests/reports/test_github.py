"""Workflow commands of GitHub Actions, parsed as its runner parses them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from handmade import capture, connection, finding, output, summary_of
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.reports.github import MAX_SHOWN, GithubWriter

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Connection

# The parser of the runner: `::name key=value,key=value::data`, each part unescaped.
_COMMAND = re.compile(r"::(?P<name>[a-z]+)(?: (?P<properties>[^:]*))?::(?P<data>.*)")


def text_of(*connections: Connection) -> str:
    out, stream = output()
    writer = GithubWriter(out)
    for one in connections:
        writer.connection(one)
    writer.capture(capture())
    writer.finish(summary_of(*connections))
    return stream.getvalue().decode()


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    found = []
    for line in text.split("\n"):
        command = _COMMAND.fullmatch(line)
        if command:
            pairs = (pair.partition("=") for pair in (command["properties"] or "").split(","))
            properties = {name: _plain(value) for name, _, value in pairs}
            found.append((command["name"], properties, _plain(command["data"])))
    return found


def _plain(text: str) -> str:
    for escape, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, char)
    return text


def test_the_worst_come_first_with_location_and_reason() -> None:
    found = commands(text_of(connection(findings=[finding("MSG701", name="d", severity="warning"), finding()])))
    assert [name for name, _, _ in found] == ["error", "warning"]
    _, properties, data = found[0]
    assert properties == {"file": "a.pcap", "title": "SEQ101 mail-before-hello"}
    assert "frame 6, byte 0" in data
    assert "MAIL FROM:<a@a.example>" in data


def test_a_finding_that_follows_from_another_is_not_annotated() -> None:
    assert len(commands(text_of(connection(findings=[finding(), finding("SEQ120", caused_by=0)])))) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_ends_a_command_or_starts_another(text: str) -> None:
    found = commands(text_of(connection(findings=[finding(message=text)])))
    assert len(found) == 1
    assert found[0][2].startswith(text)


def test_a_path_with_colon_and_comma() -> None:
    ((_, properties, _),) = commands(text_of(connection(findings=[finding()], paths=("a,b:c%.pcap",))))
    assert properties["file"] == "a,b:c%.pcap"


def test_without_a_capture_none_is_named() -> None:
    ((_, properties, _),) = commands(text_of(connection(findings=[finding()], paths=())))
    assert "file" not in properties


def test_the_limit_is_reported() -> None:
    text = text_of(connection(findings=[finding(frame=n) for n in range(MAX_SHOWN + 5)]))
    found = commands(text)
    assert len(found) == MAX_SHOWN + 1
    assert "5 more findings" in found[-1][2]
    assert text.splitlines()[-1] == f"{MAX_SHOWN + 5} errors, 0 warnings, 0 info in 1 connection and 1 message"

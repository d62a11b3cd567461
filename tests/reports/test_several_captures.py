"""With two captures, each format names the capture of a finding; with one, the formats for people do not."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from captures import pcap
from scripts import hello, lines, records, segments

if TYPE_CHECKING:
    from pathlib import Path

    from scripts import Script

pytestmark = pytest.mark.slow

WRONG: Script = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 MAIL first")]
WORSE: Script = [*WRONG, *lines("C DATA", "S 250 yes")]
END: Script = lines("C QUIT", "S 221 bye", "FS ", "FC ")
PEOPLE = ["text", "markdown", "html", "junit"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``a.pcap`` contains a connection and the start of a second one, ``b.pcap`` the rest, ``c.pcap`` a third one."""
    first, second, third = (
        records(segments([*script, *END], client_port=port))
        for port, script in ((1111, WRONG), (2222, WORSE), (3333, WORSE))
    )
    (tmp_path / "a.pcap").write_bytes(pcap([*first, *second[:11]]))
    (tmp_path / "b.pcap").write_bytes(pcap(second[11:]))
    (tmp_path / "c.pcap").write_bytes(pcap(third))
    return tmp_path


def output(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "smtpwire", *words]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode in {0, 1}
    assert run.stderr == ""
    return run.stdout


def test_text_names_the_captures_of_a_connection_and_of_a_frame(folder: Path) -> None:
    text = output(folder, "audit", "a.pcap", "b.pcap", "--select", "SEQ")
    assert re.search(r"^#1 .* rfc5321\n  in a\.pcap$", text, re.MULTILINE)
    assert re.search(r"SEQ103 .*  frame 10, byte 21$", text, re.MULTILINE)
    assert re.search(r"^#2 .* rfc5321\n  in a\.pcap, then b\.pcap$", text, re.MULTILINE)
    assert re.search(r"SEQ103 .*  frame 29 of a\.pcap, byte 21$", text, re.MULTILINE)
    assert re.search(r"SEQ120 .*  frame 5 of b\.pcap, byte 54$", text, re.MULTILINE)


def test_the_dialogue_shows_where_another_capture_starts(folder: Path) -> None:
    text = output(folder, "show", "a.pcap", "b.pcap")
    first, second = text.split("#2 ")
    assert first.startswith("#1 ")
    assert "in a.pcap\n" in first
    assert "goes on" not in first
    assert second.count("continues in b.pcap") == 1
    before, after = second.split("continues in b.pcap")
    assert "→ RCPT TO:<b@mx.example>" in before
    assert "← 503 MAIL first" in after
    assert "(Follows from SEQ103 in frame 29 of a.pcap.)" in " ".join(after.split())


@pytest.mark.parametrize("form", PEOPLE)
def test_formats_for_people_name_both_captures_of_a_connection(folder: Path, form: str) -> None:
    text = output(folder, "audit", "a.pcap", "b.pcap", "--select", "SEQ", "--format", form)
    assert "in a.pcap, then b.pcap" in text
    assert re.search(r"frame \d of b\.pcap, byte", text)


@pytest.mark.parametrize("words", [("audit", "--format", form) for form in PEOPLE] + [("show",)])
def test_a_single_capture_is_not_named_at_each_connection(folder: Path, words: tuple[str, ...]) -> None:
    text = output(folder, *words, "c.pcap")
    assert not re.search(r"\bin c\.pcap|of c\.pcap", text)


def test_the_page_has_a_display_filter_for_each_capture(folder: Path) -> None:
    page = output(folder, "audit", "a.pcap", "b.pcap", "--select", "SEQ", "--format", "html")
    assert re.search(r"In Wireshark, a\.pcap: <code>frame\.number", page)
    assert re.search(r"In Wireshark, b\.pcap: <code>frame\.number", page)
    assert page.count("continues in b.pcap") == 1


def test_a_line_for_each_finding_starts_with_its_capture(folder: Path) -> None:
    text = output(folder, "audit", "a.pcap", "b.pcap", "--select", "SEQ", "--concise")
    places = [line.split(": ")[0] for line in text.splitlines() if " SEQ" in line]
    assert places == ["a.pcap:10", "a.pcap:29", "b.pcap:3", "b.pcap:5"]


def test_annotations_name_their_own_capture(folder: Path) -> None:
    text = output(folder, "audit", "a.pcap", "b.pcap", "--select", "RPL,SEQ103", "--format", "github")
    assert re.findall(r"file=([^,]*),title=([A-Z0-9]*)", text) == [
        *(("a.pcap", "SEQ103"), ("a.pcap", "SEQ103"), ("b.pcap", "RPL410")),
    ]


def test_formats_for_programs_name_the_capture_of_each_finding(folder: Path) -> None:
    audit = ("audit", "a.pcap", "b.pcap", "--select", "SEQ", "--format")
    rows = list(csv.DictReader(output(folder, *audit, "csv").splitlines()))
    places = [(row["capture"], int(row["frame"])) for row in rows]
    assert places == [("a.pcap", 10), ("a.pcap", 29), ("b.pcap", 3), ("b.pcap", 5)]
    results = json.loads(output(folder, *audit, "sarif"))["runs"][0]["results"]
    assert [(one["properties"]["capture"], one["properties"]["frame"]) for one in results] == places
    captures = [connection["captures"] for connection in json.loads(output(folder, *audit, "json"))["connections"]]
    assert [[(part["capture"], part["path"]) for part in parts] for parts in captures] == [
        [(0, "a.pcap")],
        [(0, "a.pcap"), (1, "b.pcap")],
    ]

"""One line for each finding, with the capture that contains its frame."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import pcap
from handmade import capture, connection, finding, lines_of, output, summary_of

from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.model import Capture
from smtpwire.analyzer.reports.concise import ConciseWriter

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Connection


def printed(*items: Capture | Connection) -> list[str]:
    out, stream = output()
    writer = ConciseWriter(out)
    connections = []
    for item in items:
        if isinstance(item, Capture):
            writer.capture(item)
        else:
            writer.connection(item)
            connections.append(item)
    writer.finish(summary_of(*connections))
    return lines_of(stream)


def test_a_line_has_capture_frame_rule_side_and_message() -> None:
    lines = printed(connection(1, [finding(frame=13)]), capture())
    assert lines[0] == "a.pcap:13: error SEQ101 client: MAIL came before any EHLO or HELO was accepted"
    assert lines[1] == "1 error, 0 warnings, 0 info in 1 connection and 1 message."
    assert len(lines) == 2


def test_each_line_names_the_capture_that_contains_its_frame() -> None:
    over = connection(2, [finding(frame=50), finding(frame=150)], paths=("1.pcap", "2.pcap"))
    lines = printed(connection(1, [finding(frame=7)], paths=("1.pcap",)), over)
    assert [line.split(" ")[0] for line in lines[:3]] == ["1.pcap:7:", "1.pcap:50:", "2.pcap:150:"]


def test_without_a_capture_the_line_has_a_dash() -> None:
    assert printed(connection(1, paths=()))[0].startswith("-:6: error SEQ101")


def test_the_limitations_of_the_captures_are_reported() -> None:
    lines = printed(connection(1, [], server_bytes=0), capture(problems=["cut short at byte 7"]))
    assert lines == [
        "a.pcap: cut short at byte 7",
        "No findings in 1 connection and 1 message.",
        "Not all connections are complete and in clear text: 1 with one side only.",
    ]


def test_no_smtp_is_not_reported_as_clean() -> None:
    assert printed(capture()) == ["No SMTP seen. TCP: no connections."]


@pytest.mark.slow
@pytest.mark.tree
def test_the_documentation_shows_what_is_printed() -> None:
    root = Path(__file__).parents[2]
    (block,) = re.findall(r"^```console\n(.*?)^```$", (root / "docs/report.md").read_text("utf-8"), re.DOTALL | re.M)
    command, _, expected = block.removeprefix("$ smtpwire ").partition("\n")
    main = [sys.executable, "-c", "from smtpwire.analyzer.cli import main; main()"]
    done = subprocess.run([*main, *command.split()], cwd=root, capture_output=True, check=False)
    assert done.stdout.decode("utf-8") == expected
    assert done.returncode == 1


def test_it_is_an_option_of_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    command_line(["audit", str(path), "--no-config", "--concise"], standalone_mode=False)
    assert capsys.readouterr().out == "No SMTP seen. TCP: no connections.\n"
    with pytest.raises(UsageError, match="--concise needs text: --format json"):
        command_line(["audit", str(path), "--no-config", "--concise", "--format", "json"], standalone_mode=False)

"""The text report: quality of the capture first, causes before consequences, and no line wider than the page."""

from __future__ import annotations

import pytest
from handmade import capture, connection, finding, lines_of, output, summary_of

from smtpwire.analyzer.model import Capture, Connection, Gap
from smtpwire.analyzer.reports.text import TextWriter


def printed(
    *connections: Connection, captures: list[Capture] | None = None, width: int = 100, encoding: str = "utf-8"
) -> list[str]:
    out, stream = output(width, encoding)
    writer = TextWriter(out)
    for one in captures if captures is not None else [capture()]:
        writer.capture(one)
    for number in connections:
        writer.connection(number)
    writer.finish(summary_of(*connections))
    return lines_of(stream, encoding)


def test_a_finding_has_everything_that_is_needed_to_find_it() -> None:
    text = "\n".join(printed(connection(1, [finding(frame=13, offset=1023)])))
    assert "error SEQ101 mail-before-hello (client)  frame 13, byte 1,023" in text
    assert "│ MAIL FROM:<a@a.example>" in text
    assert "MAIL came before any EHLO or HELO was accepted" in text
    assert "RFC 5321 §4.1.4" in text
    assert "#1 192.0.2.1:43211 → [2001:db8::2]:25" in text


def test_the_quality_of_the_capture_is_above_the_findings() -> None:
    gap = Gap("client", 100, 1460, 17)
    lines = printed(
        connection(1, gaps=[gap]),
        connection(2, [], server_bytes=0),
        connection(3, []),
        captures=[capture(problems=["the last record is cut short at byte 45678"])],
    )
    top = lines[: lines.index("")]
    assert "a.pcap: pcap EN10MB, 1,234 frames, 45,678 bytes" in top
    assert "  ! the last record is cut short at byte 45678" in top
    assert "  1 complete and in clear text" in top
    assert "  1 with one side only" in top
    assert "  1 with gaps (1,460 bytes not captured)" in top


def test_a_consequence_is_folded_under_its_cause() -> None:
    lines = printed(
        connection(
            1,
            [
                finding(frame=6),
                finding("BIT201", name="eight-bit-in-command", frame=7),
                finding("SEQ120", name="out-of-order-accepted", side="server", frame=8, caused_by=0),
            ],
        )
    )
    labels = [line.strip() for line in lines if "frame" in line and "(" in line]
    assert [label.split()[:3] for label in labels] == [
        ["error", "SEQ101", "mail-before-hello"],
        ["└", "error", "SEQ120"],
        ["error", "BIT201", "eight-bit-in-command"],
    ]


def test_equal_findings_are_counted_with_their_frames() -> None:
    text = "\n".join(printed(connection(1, [finding(frame=n) for n in range(10, 30)])))
    assert "The same 19 times more: frames 11, 12, 13, 14, 15, 16, 17, 18 and 11 more" in text


def test_alike_connections_are_shown_once() -> None:
    lines = printed(*(connection(number) for number in range(1, 1001)))
    assert sum("SEQ101" in line for line in lines) == 2
    text = " ".join(line.strip() for line in lines)
    assert "999 more connections have the same findings (in all 1 client and 1 server): #2, #3, #4, #5, #6, #7" in text
    assert "and 993 more" in text
    assert any(line.split() == ["SEQ101", "mail-before-hello", "1,000"] for line in lines)


def test_uncertainty_is_reported() -> None:
    text = "\n".join(printed(connection(1, [finding(certain=False)])))
    assert "not certain" in text


def test_no_findings_is_reported_with_what_was_read() -> None:
    assert printed(connection(1, []))[-1] == "No findings in 1 connection and 1 message."


def test_no_smtp_is_reported_and_not_as_clean() -> None:
    assert "No SMTP seen. TCP: no connections." in printed()


def test_the_summary_counts_by_severity_and_rule() -> None:
    lines = printed(
        connection(1, [finding(), finding("RPL408", severity="warning"), finding("RPL408", severity="warning")])
    )
    assert "1 error, 2 warnings and 0 info in 1 connection and 1 message:" in lines
    assert lines[-2].split()[0] == "RPL408"


@pytest.mark.parametrize("width", [72, 80, 120])
def test_lines_are_not_longer_than_the_width(width: int) -> None:
    long = finding(evidence="RCPT TO:<" + "a" * 3000, message="a word " * 40, name="a")
    lines = printed(
        connection(1, [long, finding("SEQ120", name="b", message="more words " * 30, caused_by=0)]), width=width
    )
    over = [
        line
        for line in lines
        if len(line) > width and "#1" not in line and "a.pcap" not in line and "frame" not in line
    ]
    assert not over


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_without_these_characters_gets_ascii(encoding: str) -> None:
    lines = printed(connection(1), encoding=encoding)
    assert "#1 192.0.2.1:43211 > [2001:db8::2]:25 rfc5321" in lines
    assert any("RFC 5321 section 4.1.4" in line for line in lines)


def test_if_nothing_was_read_nothing_is_reported_as_clean() -> None:
    unread = Capture("a.pcap", problems=["no such file: check the path"])
    assert printed(captures=[unread]) == ["a.pcap: not read", "  ! no such file: check the path"]
    assert "No SMTP seen. TCP: no connections." in printed(captures=[unread, capture()])

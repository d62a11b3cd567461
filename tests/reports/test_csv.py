"""CSV: Python's reader gets the findings back, and no spreadsheet finds a formula."""

from __future__ import annotations

import csv
import io
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import connections, hello, lines, segments

from smtpwire.analyzer.model import Summary
from smtpwire.analyzer.reports.csv_ import COLUMNS, CsvWriter
from smtpwire.analyzer.reports.output import Output
from smtpwire.analyzer.reports.table_cells import csv_lines, screen_lines, table_lines

SCRIPT = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no", 'S =cmd|"x", y', "C QUIT", "S 221 bye")]


def test_every_finding_comes_back_through_pythons_reader() -> None:
    (connection,) = connections(segments(SCRIPT))
    stream = BytesIO()
    writer = CsvWriter(Output(stream))
    writer.connection(connection)
    writer.finish(Summary())
    data = stream.getvalue().decode()
    assert data.count("\r\n") == data.count("\n") == len(connection.findings) + 1
    rows = list(csv.DictReader(io.StringIO(data), strict=True))
    assert [(row["rule"], int(row["frame"]), int(row["offset"]), row["side"]) for row in rows] == [
        (f.rule, f.frame, f.offset, f.side) for f in connection.findings
    ]
    assert {row["connection"] for row in rows} == {"1"}
    assert any(row["evidence"].startswith("'=") for row in rows)


def test_without_findings_the_header_row_is_written() -> None:
    stream = BytesIO()
    CsvWriter(Output(stream)).finish(Summary())
    assert stream.getvalue().decode().rstrip("\r\n").split(",") == list(COLUMNS)


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=5))
def test_texts_are_unchanged_except_for_the_apostrophe(rows: list[list[str]]) -> None:
    text = "".join(csv_lines(rows))
    back = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [[cell.removeprefix("'") for cell in row] for row in back] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_text_starts_like_a_formula(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO("".join(csv_lines([[text]])), newline=""))
    assert cell == "'" + text


def test_numbers_stay_numbers() -> None:
    assert "".join(csv_lines([[-1, None, 2.5]])) == "-1,,2.5\r\n"


def test_a_table_is_aligned_and_harmless() -> None:
    lines = list(table_lines(["n", "text"], iter([(1, "a\x1b[2J\nb"), (20, "x" * 100), (None, b"\xff")])))
    assert lines[0].rstrip() == " n  text"
    assert lines[2] == " 1  a\\x1b[2J\\nb\n"
    assert lines[3].endswith("…\n")
    assert lines[4] == "    ff\n"


def test_a_screen_gets_a_table_as_long_as_every_row_fits() -> None:
    columns, rows = ["n", "text"], [(1, "x" * 20), (2, None)]
    fits = list(screen_lines(columns, iter(rows), 23))
    assert fits == list(table_lines(columns, iter(rows)))
    assert list(screen_lines(columns, iter(rows), 22)) == [
        "── 1 ───────────\n",
        "n     1\n",
        f"text  {'x' * 20}\n",
        "── 2 ───────────\n",
        "n     2\n",
        "text\n",
    ]


def test_upright_rows_are_whole_and_visible() -> None:
    lines = list(screen_lines(["a\x1b", "message"], iter([("\x1b[2J\nb", "y" * 500)]), 80))
    assert lines[1:] == ["a\\x1b    \\x1b[2J\\nb\n", f"message  {'y' * 500}\n"]


def test_no_row_is_lost_between_the_measured_ones_and_the_rest() -> None:
    lines = list(screen_lines(["n"], iter([(n,) for n in range(3000)]), 80))
    assert [int(line) for line in lines[2:]] == list(range(3000))
    upright = list(screen_lines(["n", "text"], iter([(n, "z" * 90) for n in range(1500)]), 80))
    assert [int(line.split()[1]) for line in upright if line.startswith("n ")] == list(range(1500))


def test_a_screen_that_is_wide_enough_shows_the_whole_text() -> None:
    rows = [("x" * 90,)]
    assert list(screen_lines(["text"], iter(rows), 120))[2:] == ["x" * 90 + "\n"]
    assert list(table_lines(["text"], iter(rows)))[2:] == ["x" * 59 + "…\n"]


def test_a_number_is_never_cut() -> None:
    lines = list(table_lines(["n"], iter([(n,) for n in range(1500)])))
    assert lines[-1] == "1499\n"


def test_an_empty_result_has_its_headings() -> None:
    assert list(screen_lines(["n"], iter([]), 80)) == ["n\n", "─\n"]

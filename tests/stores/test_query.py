"""``smtpwire query``: results in each format, nothing changed, a one-line error for an invalid query."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from captures import pcap
from scripts import hello, lines, records, segments

from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.commands.settings import output_to
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.stores.query import ask, temporary
from smtpwire.analyzer.stores.sqlite import opened

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer.reports.output import Output

SCRIPT = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no", "C QUIT", "S 221 bye")]
RULES = "SELECT rule, count(*) AS times FROM findings GROUP BY rule"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records(segments(SCRIPT))))
    return path


@pytest.fixture
def database(tmp_path: Path, capture: Path) -> Path:
    path = tmp_path / "audit.db"
    command_line(["audit", str(capture), "-o", str(path), "--no-config"], standalone_mode=False)
    return path


def query(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    capfd.readouterr()
    assert command_line(["query", *words, "--no-config"], standalone_mode=False) == 0
    return capfd.readouterr().out


def test_captures_can_be_queried_directly(capfd: pytest.CaptureFixture[str], capture: Path) -> None:
    assert query(capfd, RULES, str(capture)) == "rule,times\r\nSEQ103,1\r\n"


def test_a_store_gives_the_same_result(capfd: pytest.CaptureFixture[str], capture: Path, database: Path) -> None:
    assert query(capfd, RULES, "--db", str(database)) == query(capfd, RULES, str(capture))


def test_the_formats_have_the_same_content(capfd: pytest.CaptureFixture[str], capture: Path) -> None:
    sql = "SELECT verb, frame, enhanced FROM turns WHERE kind = 'command' ORDER BY turn"
    as_csv = list(csv.DictReader(io.StringIO(query(capfd, sql, str(capture), "--format", "csv"))))
    as_json = json.loads(query(capfd, sql, str(capture), "--format", "json"))
    as_lines = [json.loads(line) for line in query(capfd, sql, str(capture), "--format", "ndjson").splitlines()]
    assert [row["verb"] for row in as_json] == ["EHLO", "RCPT", "QUIT"]
    assert as_json == as_lines
    assert [{**row, "frame": int(row["frame"]), "enhanced": row["enhanced"] or None} for row in as_csv] == as_json
    table = query(capfd, sql, str(capture), "--format", "table").splitlines()
    assert table[0].split() == ["verb", "frame", "enhanced"]
    assert len(table) == 2 + 3


def test_an_empty_result_is_valid_in_each_format(capfd: pytest.CaptureFixture[str], capture: Path) -> None:
    sql = "SELECT rule FROM findings WHERE rule = 'none'"
    assert query(capfd, sql, str(capture), "--format", "csv") == "rule\r\n"
    assert json.loads(query(capfd, sql, str(capture), "--format", "json")) == []
    assert query(capfd, sql, str(capture), "--format", "ndjson") == ""


def test_values_that_json_does_not_have_are_converted(capfd: pytest.CaptureFixture[str], capture: Path) -> None:
    sql = "SELECT 9e999 AS big, x'00ff' AS raw, NULL AS none"
    assert json.loads(query(capfd, sql, str(capture), "--format", "json")) == [
        {"big": None, "raw": "00ff", "none": None}
    ]


def test_sqlite_can_create_the_tables_of_the_schema(capfd: pytest.CaptureFixture[str]) -> None:
    fresh = sqlite3.connect(":memory:")
    fresh.executescript(query(capfd, "--schema"))
    names = {name for (name,) in fresh.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    of_mail = {"runs", "captures", "connections", "turns", "messages", "recipients", "findings"}
    assert names == of_mail | {"tls", "certificates"}
    fresh.close()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM findings",
        "DROP TABLE findings",
        "INSERT INTO runs (run) VALUES (9)",
        "ATTACH 'x.db' AS x",
        "PRAGMA user_version = 5",
        "VACUUM INTO 'x.db'",
        "CREATE TEMP TABLE t (x)",
        "SELECT load_extension('x')",
        "BEGIN",
    ],
)
def test_only_select_is_executed(sql: str, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = database.read_bytes()
    with pytest.raises(UsageError):
        command_line(["query", sql, "--db", str(database), "--no-config"], standalone_mode=False)
    assert database.read_bytes() == before
    assert not (tmp_path / "x.db").exists()
    fresh = temporary()
    with pytest.raises(UsageError):
        ask(fresh, sql)
    fresh.close()


def test_a_read_only_database_can_be_queried(capfd: pytest.CaptureFixture[str], database: Path) -> None:
    database.chmod(0o400)
    assert "SEQ103" in query(capfd, RULES, "--db", str(database))


def test_a_reader_cannot_write(database: Path) -> None:
    reading = opened(database)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reading.execute("DELETE FROM runs")
    reading.close()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["SELECT no_such FROM findings", "--db", "DB"], "no such column: no_such"),
        (["SELECT 1; SELECT 2", "--db", "DB"], "one statement at a time"),
        (["", "--db", "DB"], "not a query"),
        (["SELECT 1"], "no store and no PATH"),
        (["SELECT 1", "c.pcap", "--db", "DB"], "a store and captures"),
        ([], "SELECT is missing"),
        (["SELECT 1", "--db", "missing.db"], "missing.db"),
        (["SELECT 1", "DB"], "a database, not a capture: .*: name it with --db"),
    ],
)
def test_an_invalid_query_is_a_one_line_error(words: list[str], what: str, database: Path) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        command_line(
            ["query", *(word.replace("DB", str(database)) for word in words), "--no-config"], standalone_mode=False
        )
    assert "\n" not in str(caught.value)


def test_secrets_are_in_no_temporary_store(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "auth.pcap"
    script = [*hello("AUTH PLAIN"), *lines("C AUTH PLAIN AGhhbnMAZ2VoZWlt", "S 235 ok", "C QUIT", "S 221 bye")]
    path.write_bytes(pcap(records(segments(script))))
    everything = query(capfd, "SELECT * FROM turns", str(path)) + query(capfd, "SELECT * FROM findings", str(path))
    assert "AGhhbnMAZ2VoZWlt" not in everything
    assert "AUTH" in everything


BUSY = """
import os
from smtpwire.analyzer import cli
from smtpwire.analyzer.stores import query
class Busy:
    def __init__(self, database): self.database = database
    def __getattr__(self, name): return getattr(self.database, name)
    def set_progress_handler(self, handler, steps):
        self.database.set_progress_handler(lambda: os.write(1, b"+") and handler(), steps)
ask = query.ask
query.ask = lambda database, sql: ask(Busy(database), sql)
cli.main()
"""
"""The command. It writes a byte each time that SQLite has done some work."""


@pytest.mark.slow
def test_ctrl_c_ends_an_endless_query(database: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    command = [sys.executable, "-c", BUSY, "query", endless, "--db", str(database), "--no-config"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process, ExitStack() as stack:
        stack.callback(process.kill)  # else a query that does not end is waited for
        assert process.stdout is not None
        assert process.stdout.read(1) == b"+"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in errors


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson"])
def test_what_somebody_put_into_a_store_is_safe_to_show(
    capfd: pytest.CaptureFixture[str], database: Path, form: str
) -> None:
    with closing(sqlite3.connect(database)) as changed:
        changed.execute("UPDATE runs SET version = char(27) || '[2J' || char(8238, 8203, 7, 12644)")
        changed.commit()
    sql = 'select version as "\x1b]0;x\x07" from runs'
    assert command_line(["query", sql, "--db", str(database), "--format", form], standalone_mode=False) == 0
    out = capfd.readouterr().out
    assert "[2J" in out
    assert not set("\x1b\x07\u202e\u200b\u3164") & set(out)


def test_a_terminal_shows_rows_that_are_too_wide_upright(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, capture: Path
) -> None:
    def terminal() -> Output:
        out = output_to()
        out.terminal = True
        return out

    monkeypatch.setattr("smtpwire.analyzer.commands.query.output_to", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    assert query(capfd, "select rule, side from findings limit 1", str(capture)).startswith("rule    side\n──────  ")
    wide = query(capfd, "select rule, message from findings limit 1", str(capture)).splitlines()
    assert wide[0].startswith("── 1 ─")
    assert wide[1].startswith("rule     ")
    assert wide[2].startswith("message  ")

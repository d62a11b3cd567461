"""The SQLite store: Python's sqlite3 reads there what the report contains, and no run is left half written."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from captures import pcap
from scripts import MESSAGE, connections, envelope, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.errors import OutputError, UsageError
from smtpwire.analyzer.model import Capture, Connection
from smtpwire.analyzer.stores import sqlite
from smtpwire.analyzer.stores.sqlite import SqliteWriter, opened, written
from smtpwire.analyzer.stores.tables import TABLES, connection_rows

SCRIPT = [
    *hello("SIZE"),
    *lines("C RCPT TO:<early@mx.example>", "S 503 no"),
    *envelope(),
    *lines("C RCPT TO:<c@mx.example>", "S 550-no", "S 550 such user", "C DATA", "S 354 go"),
    ("C", MESSAGE + ".\r\n"),
    *lines("S 250 ok", "C QUIT", "S 221 bye"),
    ("FC", ""),
    ("FS", ""),
]


def rows(path: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql)]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(records(segments(SCRIPT))))
    return path


def audited(*paths: Path) -> tuple[Audit, list[Capture | Connection]]:
    audit = Audit()
    return audit, list(audit.run([str(path) for path in paths]))


def store(path: Path, *captures: Path) -> list[Connection]:
    audit, items = audited(*captures)
    with written(path) as writer:
        for item in items:
            writer.capture(item) if isinstance(item, Capture) else writer.connection(item)
        writer.finish(audit.summary)
    return [item for item in items if isinstance(item, Connection)]


def test_each_part_of_the_report_is_in_its_table(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "a.db"
    (connection,) = store(path, capture)
    (stored,) = rows(path, "SELECT * FROM connections")
    assert (stored["client_address"], stored["server_port"], stored["closing"]) == ("192.0.2.1", 25, connection.closing)
    assert stored["client_bytes"] == connection.client_bytes
    found = rows(path, "SELECT * FROM findings ORDER BY finding")
    assert len(found) == len(connection.findings) > 0
    for row, finding in zip(found, connection.findings, strict=True):
        expected = msgspec.to_builtins(finding)
        del expected["values"]  # the message contains them
        assert {name: row[name] for name in expected} == expected
    (message,) = rows(path, "SELECT * FROM messages")
    assert (message["sender"], message["sha256"]) == ("a@client.example", connection.messages[0].sha256)
    assert [(row["address"], row["code"]) for row in rows(path, "SELECT * FROM recipients ORDER BY recipient")] == [
        ("b@mx.example", 250),
        ("c@mx.example", 550),
    ]


def test_turns_have_the_fields_of_their_kind(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "a.db"
    (connection,) = store(path, capture)
    turns = rows(path, "SELECT * FROM turns ORDER BY turn")
    names = {"verb", "argument", "predicted", "code", "enhanced", "answers", "length", "size", "lines", "chunked"}
    for row, turn in zip(turns, connection.dialogue, strict=True):
        stored = msgspec.to_builtins(turn)
        assert row["kind"] == stored["kind"]
        if row["kind"] == "reply":
            assert row["text"] == "\n".join(stored.pop("lines"))
        assert {name: row[name] for name in names if name in stored} == {n: stored[n] for n in names if n in stored}
        assert {row[name] for name in names if name not in stored} <= {None}
        assert (row["frame"], row["time"], row["offset"]) == (stored["frame"], stored["time"], stored["offset"])


def test_every_kind_of_turn_fills_its_row() -> None:
    script = [
        *hello("AUTH LOGIN", "CHUNKING"),
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C YQ==", "S 334 UGFzc3dvcmQ6", "C Yg==", "S 235 ok"),
        *envelope(),
        *lines("C BDAT 5 LAST"),
        ("C", "a: b\r"),
        *lines("S 250 ok"),
        ("S", "what?\r\n"),
        ("GC", "10"),
        *lines("C STARTTLS", "S 220 go"),
        ("C", b"\x16\x03\x01\x00\x01x"),
    ]
    (connection,) = connections(segments(script))
    kinds = {type(turn).__name__ for turn in connection.dialogue}
    assert len(kinds) == 7, kinds
    width = len(TABLES["turns"].columns)
    for row in connection_rows(1, 1, connection)["turns"]:
        assert len(row) == width


def test_runs_are_added_one_after_another(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "a.db"
    store(path, capture)
    store(path, capture)
    runs = rows(path, "SELECT * FROM runs")
    assert [run["run"] for run in runs] == [1, 2]
    assert all(run["finished"] and run["connections"] == 1 for run in runs)
    assert rows(path, "SELECT count(*) n FROM findings GROUP BY run")[0]["n"] > 0
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA journal_mode").fetchall() == [("delete",)]


def test_a_connection_belongs_to_the_capture_in_which_it_ended(tmp_path: Path, capture: Path) -> None:
    other = tmp_path / "open.pcap"
    other.write_bytes(pcap(records(segments(hello(), port=2525))))
    path = tmp_path / "a.db"
    store(path, capture, other)
    stored = rows(path, "SELECT path, server_port FROM connections JOIN captures USING (run, capture)")
    assert {(Path(row["path"]).name, row["server_port"]) for row in stored} == {("c.pcap", 25), ("open.pcap", 2525)}


def test_a_run_that_fails_is_removed(tmp_path: Path, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "COMMIT_EVERY", 1)
    path = tmp_path / "a.db"
    store(path, capture)
    before = {name: rows(path, f"SELECT * FROM {name}") for name in TABLES}
    _, items = audited(capture)

    def broken(writer: SqliteWriter) -> None:
        for item in items:
            writer.capture(item) if isinstance(item, Capture) else writer.connection(item)
        raise KeyError("ours")

    with pytest.raises(KeyError), written(path) as writer:
        broken(writer)
    assert {name: rows(path, f"SELECT * FROM {name}") for name in TABLES} == before


def test_rows_can_be_read_during_the_run(tmp_path: Path, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "COMMIT_EVERY", 1)
    path = tmp_path / "a.db"
    _, items = audited(capture)
    with written(path) as writer:
        for item in items:
            if isinstance(item, Connection):
                writer.connection(item)
        assert rows(path, "SELECT count(*) n FROM connections") == [{"n": 1}]
        assert rows(path, "SELECT finished FROM runs") == [{"finished": None}]


def test_a_file_that_is_not_such_a_database_is_not_changed(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text.db", tmp_path / "other.db", tmp_path / "newer.db"
    text.write_text("a text, and not a database, of more than a hundred bytes " * 4)
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE mine (x)")
        database.commit()
    with closing(opened(newer, new=True)) as database:
        database.execute("PRAGMA user_version = 99")
        database.commit()
    before = [path.read_bytes() for path in (text, other, newer)]
    for path, why in ((text, "not a database"), (other, "not a database of smtpwire"), (newer, "version 99")):
        with pytest.raises(UsageError, match=why):
            opened(path, new=True)
    assert [path.read_bytes() for path in (text, other, newer)] == before
    with pytest.raises(UsageError, match=r"cannot open|not to be used"):
        opened(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_audit_writes_it(tmp_path: Path, capture: Path) -> None:
    path = tmp_path / "audit.db"
    assert command_line(["audit", str(capture), "-o", str(path), "--no-config"], standalone_mode=False) == 1
    assert rows(path, "SELECT rule FROM findings")
    assert path.read_bytes()[68:72] == b"SMTW"


def test_an_unwritable_path_is_a_one_line_error(tmp_path: Path, capture: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot open the database|not to be used"):
        command_line(
            ["audit", str(capture), "-o", f"sqlite:{tmp_path}/no/such/a.db", "--no-config"], standalone_mode=False
        )


@pytest.mark.parametrize("size", ["9223372036854775807", "99999999999999999999999", "4294967296"])
def test_numbers_of_any_size_are_stored_or_none(tmp_path: Path, size: str) -> None:
    path, capture = tmp_path / "a.db", tmp_path / "c.pcap"
    script = [*hello("CHUNKING"), *envelope(), *lines(f"C BDAT {size} LAST"), ("C", "abc"), ("RC", "")]
    capture.write_bytes(pcap(records(segments(script))))
    store(path, capture)
    (row,) = rows(path, "SELECT argument FROM turns WHERE verb = 'BDAT'")
    assert row["argument"] == f"{size} LAST"


def test_a_locked_database_is_a_one_line_error(tmp_path: Path, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    store(path, capture)
    monkeypatch.setattr(sqlite, "PATIENCE_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="another program writes to the database"):
            opened(path, new=True)


ODD = [
    "UPDATE runs SET run = 'x'",
    "UPDATE runs SET run = 9223372036854775807",
    "UPDATE runs SET run = -5",
    "UPDATE runs SET run = x'00ff'",
    "UPDATE runs SET run = 1.5",
    "DROP TABLE turns",
    "ALTER TABLE turns ADD COLUMN more",
    "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
    "DROP TABLE findings; CREATE VIEW findings AS SELECT 1 AS run",
    "DROP TABLE findings; CREATE TABLE findings (run, connection AS (1))",
]


@pytest.mark.parametrize("change", ODD)
def test_a_database_that_is_not_as_it_was_made_is_a_one_line_error(
    tmp_path: Path, capture: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    path = tmp_path / "a.db"
    store(path, capture)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(change)
    before = path.read_bytes()
    with pytest.raises((UsageError, OutputError), match=r"a run in it has no number|is not as smtpwire makes it"):
        store(path, capture)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_not_a_file_is_a_one_line_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.db"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/null")
    for new in (False, True):
        with pytest.raises(UsageError, match=f"a {kind}, not a database"):
            opened(path, new=new)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can plant files")
@pytest.mark.parametrize("name", ["a.db", "a.db-journal", "a.db-wal", "a.db-shm"])
def test_a_database_that_another_user_planted_is_not_used(tmp_path: Path, name: str) -> None:
    place = tmp_path / "pub"
    place.mkdir()
    place.chmod(0o1777)
    (place / name).symlink_to(tmp_path / "elsewhere")
    os.lchown(place / name, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to another user"):
        opened(place / "a.db", new=True)
    assert not (tmp_path / "elsewhere").exists()

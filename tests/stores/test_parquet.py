"""The Parquet store, read by pyarrow."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from captures import pcap
from scripts import hello, lines, records, segments

from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.reports.formats import FORMATS, Format
from smtpwire.analyzer.stores import parquet as store
from smtpwire.analyzer.stores.query import loaded
from smtpwire.analyzer.stores.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SCRIPT = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no", "C QUIT", "S 221 bye"), ("FC", ""), ("FS", "")]


def table(directory: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(directory / name).to_pylist()
    return rows


def audit(tmp_path: Path, target: Path, *scripts: Any) -> None:
    paths = []
    for number, script in enumerate(scripts or (SCRIPT,)):
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(pcap(records(segments(script, port=25 + 2500 * number))))
        paths.append(str(path))
    status = command_line(["audit", *paths, "-o", f"parquet:{target}", "--no-config"], standalone_mode=False)
    assert status in {0, 1}


def test_pyarrow_reads_each_table_with_its_types(tmp_path: Path) -> None:
    target = tmp_path / "store"
    audit(tmp_path, target)
    assert {path.name for path in target.iterdir()} == set(TABLES)
    (connection,) = table(target, "connections")
    assert (connection["client_address"], connection["server_port"]) == ("192.0.2.1", 25)
    assert isinstance(connection["started"], datetime)
    assert connection["started"].tzinfo is not None
    assert connection["started"].astimezone(UTC).isoformat().startswith("2026-01-02T03:04:05")
    assert [row["rule"] for row in table(target, "findings")] == ["SEQ103"]
    assert [row["verb"] for row in table(target, "turns") if row["kind"] == "command"] == ["EHLO", "RCPT", "QUIT"]
    (run,) = table(target, "runs")
    assert run["connections"] == 1


def test_runs_are_added_as_files_and_leave_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "store"
    audit(tmp_path, target)
    audit(tmp_path, target)
    names = [path.name for path in (target / "turns").iterdir()]
    assert len(names) == 2
    assert all(re.fullmatch(r"[0-9TZ]+-[0-9a-f]{6}\.parquet", name) for name in names)
    assert len({row["run"] for row in table(target, "connections")}) == 2


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "GROUP_ROWS", 4)
    target = tmp_path / "store"
    audit(tmp_path, target, SCRIPT, SCRIPT)
    (path,) = (target / "turns").iterdir()
    groups = parquet.ParquetFile(path).metadata
    assert groups.num_row_groups > 2
    assert all(groups.row_group(n).num_rows <= 4 for n in range(groups.num_row_groups))


def test_a_connection_open_at_the_end_belongs_to_the_last_capture(tmp_path: Path) -> None:
    target = tmp_path / "store"
    audit(tmp_path, target, SCRIPT, hello())
    stored = {(row["server_port"], row["capture"]) for row in table(target, "connections")}
    assert stored == {(25, 1), (2525, 2)}


def test_a_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "store"

    def fail() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError), store.written(target):
        fail()
    assert not [path for path in target.rglob("*") if path.is_file()]


def test_the_store_can_be_queried_like_the_database(tmp_path: Path) -> None:
    target = tmp_path / "store"
    audit(tmp_path, target)
    database = loaded(target)
    assert database.execute("SELECT rule FROM findings").fetchall() == [("SEQ103",)]
    (started,) = database.execute("SELECT started FROM connections").fetchone()
    assert re.fullmatch(r"2026-01-02T03:04:05\.[0-9]{6}Z", started)
    database.close()


def test_no_row_is_lost_between_two_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpwire.analyzer.stores.query._LOAD", 2)
    target = tmp_path / "store"
    audit(tmp_path, target)
    written = [row["turn"] for row in table(target, "turns")]
    database = loaded(target)
    assert len(written) > 4
    assert database.execute("SELECT turn FROM turns ORDER BY turn").fetchall() == [(turn,) for turn in sorted(written)]
    database.close()


def test_a_directory_that_is_not_a_store_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a store of smtpwire"):
        loaded(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x.parquet").write_text("no parquet at all")
    with pytest.raises(UsageError, match="not a Parquet file"):
        loaded(tmp_path)


def test_without_pyarrow_the_error_says_what_to_install() -> None:
    known = next(one for form, one in FORMATS.items() if form.value == "parquet")
    absent = Format(known.form, known.suffixes, place=known.place, module="pyarrow_is_not_here")
    with pytest.raises(UsageError, match="pip install pyarrow_is_not_here"):
        absent.check()


def replaced(directory: Path, name: str, column: str, values: list[Any]) -> None:
    (path,) = (directory / name).iterdir()
    old = parquet.read_table(path)
    new = old.set_column(old.schema.get_field_index(column), column, pyarrow.array(values * len(old)))
    parquet.write_table(new, path)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        *(("findings", "message", [1, 2]), ("findings", "frame", {"a": 1}), ("connections", "started", "no time")),
        *(("runs", "run", None), ("runs", "run", Decimal("1.5")), ("runs", "started", float("nan"))),
    ],
)
def test_columns_of_other_types_are_a_one_line_error(tmp_path: Path, name: str, column: str, value: Any) -> None:
    target = tmp_path / "store"
    audit(tmp_path, target)
    replaced(target, name, column, [value])
    with pytest.raises(UsageError, match=r"cannot read the store|not a Parquet file of a store"):
        loaded(target)


@pytest.mark.parametrize("kind", ["pipe", "folder", "rubbish", "link"])
def test_what_is_no_table_in_a_store_is_a_one_line_error(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "store"
    audit(tmp_path, target)
    place = target / "runs" / "x.parquet"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "rubbish":
        place.write_bytes(bytes(range(256)))
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=r"cannot read the store|not a Parquet file of a store"):
        loaded(target)


@pytest.mark.parametrize("name", ["", "runs", "turns"])
def test_a_file_in_the_place_of_a_folder_is_a_one_line_error_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    target = tmp_path / "store"
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("x")
    with pytest.raises(UsageError, match=r"cannot write \(Not a directory\)"), store.written(target):
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target / name]

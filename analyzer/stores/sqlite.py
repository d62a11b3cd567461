"""The store in one file: a SQLite database to which each run is added."""

# Theory
# ------
# Rows are committed after every COMMIT_EVERY connections, so that a long run can be queried before its end; a run that
# has not finished has no `finished`. A run that fails is removed. The journal is SQLite's default one: a database in a
# single file can be copied and mailed, and there is one writer.

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..._version import __version__
from ..errors import OutputError, UsageError, display_path
from ..files.folders import NEW, locate, planted
from ..files.ownership import was_planted
from ..files.reading import kind_of, open_input
from .tables import TABLES, capture_row, connection_rows, run_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..model import Capture, Connection, Summary
    from .tables import Row, Table

__all__ = [
    "APPLICATION",
    "VERSION",
    "PartDatabase",
    "SqliteWriter",
    "create",
    "insert",
    "is_database",
    "opened",
    "statements",
    "written",
]

APPLICATION = 0x534D5457  # "SMTW", which file(1) and SQLite's tools show
VERSION = 2  # of the tables
COMMIT_EVERY = 500  # connections
PATIENCE_SECONDS = 5.0  # wait for another program that writes
_MAX_RUN = 1 << 53  # what every reader of JSON can count to

_MAGIC = b"SQLite format 3\0"
_OF_CONNECTIONS = ("connections", "turns", "messages", "recipients", "tls", "certificates", "findings")
_TYPES = {"text": "TEXT", "integer": "INTEGER", "boolean": "INTEGER", "time": "TEXT"}


class SqliteWriter:
    """Adds one run to a database that has the tables. Its methods raise sqlite3.Error."""

    streams = False

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._insert = {name: insert(table) for name, table in TABLES.items()}
        (last,) = database.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
        if not isinstance(last, int) or not 0 <= last < _MAX_RUN:
            raise sqlite3.DataError("a run in it has no number")
        self.run: int = last + 1
        self._started = _now()
        self._captures = 0
        self._uncommitted = 0
        self._add("runs", [run_row(self.run, __version__, self._started, None, None)])
        database.commit()

    def capture(self, capture: Capture) -> None:
        """Add the row of a capture that was read to its end."""
        self._captures += 1
        self._add("captures", [capture_row(self.run, self._captures, capture)])

    def connection(self, connection: Connection) -> None:
        """Add the rows of the connection."""
        for name, rows in connection_rows(self.run, self._captures + 1, connection).items():
            self._add(name, rows)
        self._uncommitted += 1
        if self._uncommitted >= COMMIT_EVERY:
            self._uncommitted = 0
            self._database.commit()

    def finish(self, summary: Summary) -> None:
        """Complete the run."""
        # A connection that was open when the last capture ended belongs to that capture.
        change = "UPDATE connections SET capture = ? WHERE run = ? AND capture > ?"
        self._database.execute(change, (self._captures or None, self.run, self._captures))
        self._database.execute("DELETE FROM runs WHERE run = ?", (self.run,))
        self._add("runs", [run_row(self.run, __version__, self._started, _now(), summary)])
        self._database.commit()

    def absorb(self, path: str) -> None:
        """Add the rows that a ``PartDatabase`` holds."""
        self._database.commit()
        self._database.execute("ATTACH ? AS part", (path,))
        for name in _OF_CONNECTIONS:
            self._database.execute(f"INSERT INTO main.{name} SELECT * FROM part.{name}")
        self._database.commit()
        self._database.execute("DETACH part")

    def undo(self) -> None:
        """Remove the run."""
        self._database.rollback()
        for name in TABLES:
            self._database.execute(f"DELETE FROM {name} WHERE run = ?", (self.run,))
        self._database.commit()

    def _add(self, name: str, rows: Sequence[Row]) -> None:
        self._database.executemany(self._insert[name], rows)


class PartDatabase:
    """Rows of some connections of the run with this number, in a file ``path`` of its own, without keys and indexes.
    Its methods raise sqlite3.Error."""

    def __init__(self, path: str, run: int) -> None:
        self._run = run
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA synchronous = OFF")  # it is complete when it is closed, or made again
        for name in _OF_CONNECTIONS:
            columns = ", ".join(column.name for column in TABLES[name].columns)
            self._database.execute(f"CREATE TABLE {name} ({columns})")

    def add(self, capture: int, connection: Connection) -> None:
        """Add the rows of a connection that ended in this capture."""
        for name, rows in connection_rows(self._run, capture, connection).items():
            self._database.executemany(insert(TABLES[name]), rows)

    def close(self) -> None:
        """Complete the file."""
        self._database.commit()
        self._database.close()


def statements() -> Iterator[str]:
    """Return the statements that create the tables."""
    for table in TABLES.values():
        yield _create(table)
        for name in table.indexed:
            yield f"CREATE INDEX {table.name}_{name} ON {table.name} ({name})"


def _create(table: Table) -> str:
    columns = [f"  {column.name} {_TYPES[column.kind]}" for column in table.columns]
    keys = ", ".join(column.name for column in table.columns[: table.key])
    columns.append(f"  PRIMARY KEY ({keys})")
    columns.extend(
        f"  FOREIGN KEY ({columns_of}) REFERENCES {other} ({columns_of})"
        for other, columns_of in _REFERENCES.get(table.name, ())
    )
    return f"CREATE TABLE {table.name} (\n" + ",\n".join(columns) + "\n) WITHOUT ROWID"


_OF_CONNECTION = ("connections", "run, connection")
_REFERENCES = {
    "captures": (("runs", "run"),),
    "connections": (("runs", "run"),),
    "turns": (_OF_CONNECTION,),
    "messages": (_OF_CONNECTION,),
    "recipients": (("messages", "run, connection, message"),),
    "tls": (_OF_CONNECTION,),
    "certificates": (_OF_CONNECTION,),
    "findings": (_OF_CONNECTION,),
}


def insert(table: Table) -> str:
    """Return the statement that adds a row to ``table``."""
    return f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.columns))})"


def create(database: sqlite3.Connection) -> None:
    """Create the tables in an empty database."""
    for statement in statements():
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION}")
    database.execute(f"PRAGMA user_version = {VERSION}")
    database.commit()


def opened(path: Path, *, new: bool = False) -> sqlite3.Connection:
    """Open the database ``path``, for reading only; with ``new`` for writing, and it is created if it does not exist.

    Raises UsageError if it is not a database of smtpwire, or has another version.
    """
    where = display_path(path)
    try:
        real = _prepared(path) if new else path.absolute()
        kind = kind_of(real.stat())
        if kind is not None:
            raise UsageError(f"{kind}, not a database", where, "name another file")
        mode = "rw" if new else "ro"
        database = sqlite3.connect(f"{real.as_uri()}?mode={mode}", uri=True, timeout=PATIENCE_SECONDS)
    except (sqlite3.Error, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot open the database ({reason})", where, "name another file") from error
    try:
        database.execute("PRAGMA trusted_schema = OFF")  # views in it may call no function that has effects
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if new and not tables:
            create(database)
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        database.close()
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise UsageError("another program writes to the database", where, "try again when it is done") from error
        raise UsageError(f"cannot be used as a database ({error})", where, "name another file") from error
    if application != APPLICATION:
        database.close()
        raise UsageError("not a database of smtpwire", where, "name another file")
    if version != VERSION:
        database.close()
        hint = "audit into a new file, or use the smtpwire that made it"
        raise UsageError(f"a database of version {version}, this smtpwire has {VERSION}", where, hint)
    if new and (odd := _odd_table(database)) is not None:
        database.close()
        raise UsageError(f"the table {odd} is not as smtpwire makes it", where, "audit into a new file")
    return database


def _prepared(path: Path) -> Path:
    """Return ``path`` without links; an empty file is made if there is none. Raises OSError, also if another user may
    have planted the database or one of the files that SQLite reads beside it."""
    folder, name = locate(path)
    with folder:
        for suffix in ("", "-journal", "-wal", "-shm"):
            there = folder.status(name + suffix)
            if there is not None and was_planted(folder.own_status(), there):
                raise planted("file")
        if folder.status(name) is None:
            os.close(folder.open(name, os.O_RDWR | NEW, 0o666))
        return Path(folder.path, name).absolute()


def _odd_table(database: sqlite3.Connection) -> str | None:
    """Return the name of the first table that has other columns, or that runs statements of its own; None if all are
    as they were made."""
    for name, table in TABLES.items():
        rows = database.execute("SELECT type FROM sqlite_master WHERE tbl_name = ? AND type <> 'index'", (name,))
        found = [(column[1], column[2]) for column in database.execute(f"PRAGMA table_xinfo({name})")]
        wanted = [(column.name, _TYPES[column.kind]) for column in table.columns]
        if found != wanted or rows.fetchall() != [("table",)]:
            return name
    return None


def is_database(path: Path) -> bool:
    """Whether the file ``path`` starts like a SQLite database."""
    try:
        with os.fdopen(open_input(path, found=True), "rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False


@contextmanager
def written(path: Path) -> Iterator[SqliteWriter]:
    """Open a writer that adds its run to the database ``path``; after an exception the database is as it was before.

    Raises UsageError if the file cannot be such a database, OutputError if it cannot be written.
    """
    database = opened(path, new=True)
    writer = None
    try:
        writer = SqliteWriter(database)
        yield writer
        database.commit()
    except BaseException as error:
        if writer is not None:
            _undo(writer)
        if isinstance(error, sqlite3.Error):
            raise OutputError(f"cannot write ({error}): {display_path(path)}: name another file with -o") from error
        raise
    finally:
        database.close()


def _undo(writer: SqliteWriter) -> None:
    try:
        writer.undo()
    except sqlite3.Error:
        # The disk is full, or the file is gone: committed rows stay, as a run that has not finished.
        return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

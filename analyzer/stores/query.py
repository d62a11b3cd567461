"""One SELECT over a store: it can change nothing, and Ctrl-C can interrupt a long one."""

from __future__ import annotations

import sqlite3
from itertools import islice
from typing import TYPE_CHECKING

from ..errors import UsageError, display_path
from .sqlite import create, insert
from .tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["QueryResult", "ask", "loaded", "temporary"]

# Reading, calculating, and WITH RECURSIVE; no ATTACH, no PRAGMA, nothing that writes.
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_STEPS = 100_000  # SQLite instructions between two checks for Ctrl-C: a few milliseconds
_LOAD = 10_000  # rows at once
_HINT = "smtpwire query --schema lists the tables"

Value = str | int | float | bytes | None


class QueryResult:
    """The names of the columns, and the rows as they are requested. The iteration raises UsageError."""

    def __init__(self, cursor: sqlite3.Cursor, sql: str) -> None:
        self.columns: list[str] = [column[0] for column in cursor.description]
        self._cursor = cursor
        self._sql = sql

    def rows(self) -> Iterator[tuple[Value, ...]]:
        """Return each row once."""
        try:
            yield from self._cursor
        except sqlite3.Error as error:
            _check_interrupted(error)
            raise _failed(error, self._sql) from error


def ask(database: sqlite3.Connection, sql: str) -> QueryResult:
    """Return the result of ``sql``. Raises UsageError if it is not a SELECT, or SQLite cannot run it."""
    database.set_authorizer(_authorize)
    # SQLite calls it while it executes; it lets Python see Ctrl-C, which then ends the statement.
    database.set_progress_handler(lambda: 0, _STEPS)
    try:
        cursor = database.execute(sql)
    except (sqlite3.Error, sqlite3.Warning) as error:
        _check_interrupted(error)
        raise _failed(error, sql) from error
    if cursor.description is None:
        raise UsageError("not a query", display_path(sql), "write a SELECT")
    return QueryResult(cursor, sql)


def temporary() -> sqlite3.Connection:
    """Return an empty store that is deleted when it is closed: in memory while it is small, then on disk."""
    database = sqlite3.connect("")
    create(database)
    return database


def loaded(directory: Path) -> sqlite3.Connection:
    """Return a temporary store with the contents of a directory of Parquet files. Raises UsageError."""
    from .parquet import read_rows  # noqa: PLC0415

    if not (directory / "runs").is_dir():
        raise UsageError(
            "not a store of smtpwire", display_path(directory), "name a directory that audit --output parquet:DIR made"
        )
    database = temporary()
    try:
        for table in TABLES.values():
            statement = insert(table)
            rows = read_rows(directory, table)
            while batch := list(islice(rows, _LOAD)):
                database.executemany(statement, batch)
        database.commit()
    except (OSError, OverflowError, sqlite3.Error) as error:
        database.close()
        raise UsageError(f"cannot read the store ({error})", display_path(directory), "audit into a new one") from error
    except BaseException:
        database.close()
        raise
    return database


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    allowed = action in _ALLOWED and not (action == sqlite3.SQLITE_FUNCTION and second == "load_extension")
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _check_interrupted(error: Exception) -> None:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        raise KeyboardInterrupt from error  # SQLite replaced the KeyboardInterrupt by its own error


def _failed(error: Exception, sql: str) -> UsageError:
    what = str(error)
    if "not authorized" in what or "prohibited" in what:
        return UsageError("only SELECT is allowed", display_path(sql), _HINT)
    return UsageError(f"the query fails ({display_path(what)})", display_path(sql), _HINT)

"""``smtpwire query``: SQL over a store, or over captures directly."""

from __future__ import annotations

import json
import os
from contextlib import closing
from enum import StrEnum
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import OutputError, UsageError, display_path
from ..run import FailOn, Status
from .option_types import PATH, EnumChoice
from .options import (
    config_option,
    decoder_option,
    keylog_option,
    no_config_option,
    port_option,
    profile_option,
    redact_option,
)
from .settings import configured, options_of, output_to

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from ..audit import Options
    from ..enums import Decoder, Profile, Redact
    from ..stores.query import QueryResult

__all__ = ["query"]


class ResultFormat(StrEnum):
    """Formats of a result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"


@click.command(short_help="Ask a store, or captures, in SQL.")
@click.argument("sql", metavar="[SELECT]", required=False)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=PATH)
@click.option(
    "--db",
    metavar="STORE",
    type=PATH,
    help="A database that `smtpwire audit -o audit.db` wrote, or a directory of Parquet files.",
)
@click.option(
    "--format",
    "format_",
    type=EnumChoice(ResultFormat),
    show_default="for a terminal a table, or one line for each column if that is too wide; else csv",
    help="Format of the result.",
)
@click.option("--schema", is_flag=True, help="Print the tables and their columns.")
@profile_option
@port_option
@decoder_option
@keylog_option
@redact_option
@config_option
@no_config_option
def query(
    sql: str | None,
    paths: Sequence[str],
    db: str | None,
    format_: ResultFormat | None,
    schema: bool,
    profile: Profile | None,
    port: Sequence[str],
    decoder: Decoder,
    keylog: Sequence[str],
    redact: Redact | None,
    config: str | None,
    no_config: bool,
) -> int:
    """Ask a store, or captures, in SQL. A query changes nothing.

    SELECT is one statement of SQLite's SQL. PATH is a capture that is audited for this query.

    The exit status is 0 whatever the result is.
    """
    from ..stores.query import ask, loaded, temporary  # noqa: PLC0415
    from ..stores.sqlite import is_database, opened, statements  # noqa: PLC0415

    out = output_to()
    if schema:
        out.text("".join(f"{statement};\n" for statement in statements()))
        return Status.CLEAN
    if sql is None or (db is None) == (not paths):
        what = "SELECT is missing" if sql is None else "no store and no PATH" if db is None else "a store and captures"
        raise UsageError(what, "smtpwire query", 'write smtpwire query "select ..." PATH, or --db STORE for PATH')
    if db is not None:
        database = loaded(Path(db)) if os.path.isdir(db) else opened(Path(db))  # noqa: PTH112
        status = Status.CLEAN
    else:
        for path in paths:
            if is_database(Path(path)):
                raise UsageError("a database, not a capture", display_path(path), "name it with --db")
        options = options_of(
            configured(config, no_config), profile=profile, port=port, decoder=decoder, redact=redact, keylog=keylog
        )
        database = temporary()
        status = _audited(database, options, paths)
    with closing(database):
        if status is Status.INTERRUPTED:
            return status  # a result from half of the captures would be misleading
        result = ask(database, sql)
        try:
            on_screen = format_ is None and out.terminal
            for text in _on_screen(result) if on_screen else _lines(result, format_ or ResultFormat.CSV):
                out.text(text)
            out.flush()
        except BrokenPipeError:
            return status
    return status


def _audited(database: sqlite3.Connection, options: Options, paths: Sequence[str]) -> Status:
    """Audit captures into ``database``."""
    from sqlite3 import Error as SqliteError  # noqa: PLC0415

    from ..audit import Audit  # noqa: PLC0415
    from ..reports.output import Output  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415
    from ..stores.sqlite import SqliteWriter  # noqa: PLC0415

    nothing = Output(BytesIO(), name="nothing")
    try:
        return run(Audit(options), paths, SqliteWriter(database), nothing, FailOn.NEVER)
    except SqliteError as error:
        raise OutputError(f"cannot write ({error}): temporary files: set SQLITE_TMPDIR to a larger folder") from error


def _on_screen(result: QueryResult) -> Iterator[str]:
    """Return the result for a terminal, in pieces."""
    from shutil import get_terminal_size  # noqa: PLC0415

    from ..reports.table_cells import screen_lines  # noqa: PLC0415

    return screen_lines(result.columns, result.rows(), get_terminal_size().columns)


def _lines(result: QueryResult, wanted: ResultFormat) -> Iterator[str]:
    """Yield the result in pieces, each row as soon as it is known."""
    from ..reports.table_cells import csv_lines, table_lines, visible  # noqa: PLC0415

    if wanted is ResultFormat.TABLE:
        yield from table_lines(result.columns, result.rows())
    elif wanted is ResultFormat.CSV:
        yield from csv_lines(map(visible, [result.columns]))
        yield from csv_lines(map(visible, result.rows()))
    else:
        objects = (json.dumps(dict(zip(result.columns, map(_plain, row), strict=True))) for row in result.rows())
        if wanted is ResultFormat.NDJSON:
            yield from (f"{one}\n" for one in objects)
        else:
            before = "["
            for one in objects:
                yield f"{before}\n{one}"
                before = ","
            yield "[]\n" if before == "[" else "\n]\n"


def _plain(value: object) -> object:
    """Return ``value`` as a value that JSON has."""
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not isfinite(value) else value

"""``smtpwire query``: questions in SQL over a store, or over captures directly."""

from __future__ import annotations

import json
from contextlib import closing
from enum import StrEnum
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..enums import Decoder
from ..errors import OutputError, UsageError, display_path
from ..run import FailOn, Status
from .options import (
    ConfigOption,
    DecoderOption,
    NoConfigOption,
    Ports,
    ProfileOption,
    RedactOption,
    configured,
    options_of,
    output_to,
)
from .plain_parser import Argument, Option

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from ..audit import Options
    from ..stores.query import QueryResult

__all__ = ["query"]


class Shape(StrEnum):
    """Forms of an answer."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"


def query(
    sql: Annotated[str | None, Argument(metavar="SELECT", help="One statement of SQLite's SQL.")] = None,
    paths: Annotated[
        list[str] | None, Argument(metavar="PATH...", help="Captures to audit for this one question.")
    ] = None,
    db: Annotated[
        str | None,
        Option(metavar="STORE", help="What audit -o audit.db has made, or a directory of Parquet files."),
    ] = None,
    format_: Annotated[
        Shape | None, Option("--format", show_default="table on a terminal, else csv", help="Form of the answer.")
    ] = None,
    schema: Annotated[bool, Option("--schema", help="Print the tables and their columns.")] = False,
    profile: ProfileOption = None,
    port: Ports = None,
    decoder: DecoderOption = Decoder.RAW,
    redact: RedactOption = None,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Ask a store, or captures, in SQL. Nothing can be changed by it.

    The exit status is 0 whatever the answer is.
    """
    from ..stores.query import ask, loaded, temporary  # noqa: PLC0415
    from ..stores.sqlite import is_database, opened, statements  # noqa: PLC0415

    out = output_to()
    if schema:
        out.text("".join(f"{statement};\n" for statement in statements()))
        return Status.CLEAN
    if sql is None or (db is None) == (not paths):
        what = "no question" if sql is None else "nothing to ask" if db is None else "a store and captures"
        raise UsageError(what, "smtpwire query", 'write smtpwire query "select ..." PATH, or --db STORE for PATH')
    if db is not None:
        database, status = (loaded(Path(db)) if Path(db).is_dir() else opened(Path(db))), Status.CLEAN
    else:
        for path in paths or ():
            if is_database(Path(path)):
                raise UsageError("a database, and no capture", display_path(path), "name it with --db")
        options = options_of(configured(config, no_config), profile=profile, port=port, decoder=decoder, redact=redact)
        database = temporary()
        status = _audited(database, options, paths or [])
    with closing(database):
        if status is Status.INTERRUPTED:
            return status  # half of the captures would give an answer to another question
        shape = format_ or (Shape.TABLE if out.terminal else Shape.CSV)
        try:
            for text in _told(ask(database, sql), shape):
                out.text(text)
            out.flush()
        except BrokenPipeError:
            return status
    return status


def _audited(database: sqlite3.Connection, options: Options, paths: list[str]) -> Status:
    """Fill ``database`` from captures."""
    from sqlite3 import Error as SqliteError  # noqa: PLC0415

    from ..audit import Audit  # noqa: PLC0415
    from ..reports.output import Output  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415
    from ..stores.sqlite import SqliteWriter  # noqa: PLC0415

    nothing = Output(BytesIO(), name="nothing")
    try:
        return run(Audit(options), paths, SqliteWriter(database), nothing, FailOn.NEVER)
    except SqliteError as error:
        raise OutputError(f"cannot write ({error}): temporary files: set SQLITE_TMPDIR to a larger place") from error


def _told(answer: QueryResult, shape: Shape) -> Iterator[str]:
    """The answer in pieces, each row as soon as it is there."""
    from ..reports.table_cells import csv_lines, table_lines  # noqa: PLC0415

    if shape is Shape.TABLE:
        yield from table_lines(answer.columns, answer.rows())
    elif shape is Shape.CSV:
        yield from csv_lines([answer.columns])
        yield from csv_lines(answer.rows())
    else:
        objects = (json.dumps(dict(zip(answer.columns, map(_plain, row), strict=True))) for row in answer.rows())
        if shape is Shape.NDJSON:
            yield from (f"{one}\n" for one in objects)
        else:
            before = "["
            for one in objects:
                yield f"{before}\n{one}"
                before = ","
            yield "[]\n" if before == "[" else "\n]\n"


def _plain(value: object) -> object:
    """A value that JSON has."""
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not isfinite(value) else value

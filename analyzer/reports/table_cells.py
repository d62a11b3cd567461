"""Rows of cells as text: CSV that is safe to open in a spreadsheet, and tables for the terminal."""

from __future__ import annotations

import csv
import io
from itertools import chain, islice
from typing import TYPE_CHECKING

from ..errors import display_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["csv_lines", "screen_lines", "table_lines", "visible"]

# Characters that make a spreadsheet read a text as a formula, and characters that it strips first.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MEASURED = 1000  # rows from which the widths of a table are computed
WIDEST = 60  # columns of one cell at most

Value = object


def csv_lines(rows: Iterable[Sequence[Value]]) -> Iterator[str]:
    """Return lines of RFC 4180. A text that a spreadsheet would calculate gets an apostrophe in front."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
        yield stream.getvalue()
        stream.seek(0)
        stream.truncate()


def _harmless(cell: Value) -> Value:
    if isinstance(cell, bytes):
        cell = cell.hex()
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def visible(row: Sequence[Value]) -> list[Value]:
    """Return a row of which every character is seen. A store may hold what nobody of us has put there."""
    return ["\n".join(map(display_path, cell.split("\n"))) if isinstance(cell, str) else cell for cell in row]


def table_lines(columns: Sequence[str], rows: Iterator[Sequence[Value]], widest: int = WIDEST) -> Iterator[str]:
    """Return a table with its headings; as wide as its first rows need, and no text wider than ``widest``."""
    head = [_shown(name) for name in columns]
    first = list(islice(rows, MEASURED))
    numbers = [all(isinstance(row[n], int | float | None) for row in first) for n in range(len(head))]
    shown = [[_shown(cell) for cell in row] for row in first]
    widths = [min(widest, max(map(len, column))) for column in zip(head, *shown, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if number else _clip(cell, width).ljust(width)
            for cell, width, number in zip(cells, widths, numbers, strict=True)
        )
        return "  ".join(aligned).rstrip() + "\n"

    yield line(head)
    yield line(["─" * width for width in widths])
    yield from map(line, shown)
    yield from (line([_shown(cell) for cell in row]) for row in rows)


def screen_lines(columns: Sequence[str], rows: Iterator[Sequence[Value]], width: int) -> Iterator[str]:
    """Return a table if the first rows fit into ``width`` columns, else each row upright: one line for each cell."""
    first = list(islice(rows, MEASURED))
    cells = [[_shown(name) for name in columns], *([_shown(cell) for cell in row] for row in first)]
    needed = sum(max(map(len, column)) for column in zip(*cells, strict=True)) + 2 * (len(columns) - 1)
    every = chain(first, rows)
    yield from table_lines(columns, every, width) if needed <= width else _upright_lines(columns, every)


def _upright_lines(columns: Sequence[str], rows: Iterator[Sequence[Value]]) -> Iterator[str]:
    names = [_shown(name) for name in columns]
    widest = max(map(len, names))
    for number, row in enumerate(rows, 1):
        yield f"{f'── {number:,} ':─<{widest + 12}}\n"
        yield from (f"{name:{widest}}  {_shown(cell)}".rstrip() + "\n" for name, cell in zip(names, row, strict=True))


def _shown(cell: Value) -> str:
    if cell is None:
        return ""
    return cell.hex() if isinstance(cell, bytes) else display_path(str(cell).replace("\n", "\\n"))


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

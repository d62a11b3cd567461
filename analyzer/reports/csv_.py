"""Findings as CSV, one for each row, for spreadsheets and data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from .table_cells import csv_lines
from .wording import part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Capture, Connection, Summary
    from .output import Output

__all__ = ["COLUMNS", "CsvWriter"]

COLUMNS = (
    *("connection", "client_address", "client_port", "server_address", "server_port", "protocol", "rule", "name"),
    *("severity", "side", "certainty", "frame", "time", "offset", "length", "count", "message", "reference"),
    *("evidence", "finding", "caused_by", "capture", "inside"),
)


class CsvWriter:
    """Writes the findings of each connection as soon as it has ended, after a header row."""

    streams = True

    def __init__(self, output: Output) -> None:
        self._output = output
        self._write([COLUMNS])

    def capture(self, capture: Capture) -> None:
        """Write nothing: captures have no row."""

    def connection(self, connection: Connection) -> None:
        """Write the findings of the connection."""
        if connection.findings:
            self._write(list(_rows(connection)))

    def finish(self, summary: Summary) -> None:
        """Write nothing more."""

    def _write(self, rows: list[tuple[object, ...]]) -> None:
        self._output.write("".join(csv_lines(rows)).encode())


def _rows(connection: Connection) -> Iterator[tuple[object, ...]]:
    client, server = connection.client, connection.server
    ends = (client.address, client.port, server.address, server.port)
    for number, f in enumerate(connection.findings):
        part = part_of(connection.captures, f.time)
        yield (
            *(connection.id, *ends, connection.protocol, f.rule, f.name, f.severity, f.side, f.certainty, f.frame),
            *(f.time, f.offset, f.length, f.count, f.message, f.reference, f.evidence, number, f.caused_by),
            part.path if part is not None else None,
            None if f.inside is UNSET else f.inside,
        )

"""A log as Zeek writes it: columns of given types, as tab-separated text with Zeek's header lines, or as JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...timestamps import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..output import Output

__all__ = ["LogColumn", "ZeekLog"]

Value = str | int | bool | list[str] | None

UNSET, EMPTY, SET_SEPARATOR = "-", "(empty)", ","
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class LogColumn(NamedTuple):
    """A column. ``kind`` is Zeek's type: time, string, addr, port, count, bool, set[string], vector[addr]."""

    name: str
    kind: str


class ZeekLog:
    """One log. ``path`` is its name in Zeek. The header is written before the first row, or by ``close``."""

    def __init__(self, output: Output, path: str, columns: Sequence[LogColumn], *, as_json: bool) -> None:
        self._output = output
        self._path = path
        self._columns = columns
        self._json = as_json
        self._started = False
        self._encode = msgspec.json.Encoder().encode

    def begin(self) -> None:
        """Write the header, once."""
        if self._started or self._json:
            return
        self._started = True
        lines = (
            "#separator \\x09",
            f"#set_separator\t{SET_SEPARATOR}",
            f"#empty_field\t{EMPTY}",
            f"#unset_field\t{UNSET}",
            f"#path\t{self._path}",
            f"#open\t{_now()}",
            "\t".join(("#fields", *(column.name for column in self._columns))),
            "\t".join(("#types", *(column.kind for column in self._columns))),
        )
        self._output.write(("\n".join(lines) + "\n").encode())

    def rows(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Write rows, in one piece. A column that is missing in a row is unset. Times are RFC 3339, as in the model."""
        self.begin()
        if self._json:
            self._output.write(b"".join([self._object(row) + b"\n" for row in rows]))
        else:
            self._output.write("".join([self._line(row) + "\n" for row in rows]).encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Write the last line."""
        self.begin()
        if not self._json:
            self._output.write(f"#close\t{_now()}\n".encode())

    def _line(self, row: Mapping[str, Value]) -> str:
        return "\t".join([_written(row.get(column.name), column.kind) for column in self._columns])

    def _object(self, row: Mapping[str, Value]) -> bytes:
        found: dict[str, object] = {"_path": self._path}
        for column in self._columns:
            value = row.get(column.name)
            if value is not None:
                found[column.name] = parse_time(str(value)) / 1e9 if column.kind == "time" else value
        return self._encode(found)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S")


def _written(value: Value, kind: str) -> str:
    if value is None:
        return UNSET
    if kind == "time":
        seconds, nanoseconds = divmod(parse_time(str(value)), 1_000_000_000)
        return f"{seconds}.{nanoseconds // 1000:06d}"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, list):
        return SET_SEPARATOR.join(_text(one).replace(SET_SEPARATOR, "\\x2c") for one in value) or EMPTY
    return _text(value) if isinstance(value, str) else str(value)


def _text(value: str) -> str:
    """Escape a text that would be read as unset or empty. Bytes from the wire are already escaped, in the same form."""
    if not value:
        return EMPTY
    if value in {UNSET, EMPTY}:
        return f"\\x{ord(value[0]):02x}{value[1:]}"
    return _CONTROL.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), value)

"""The report for programs: one JSON document, or one JSON object for each line as soon as it is known."""

# A run may have 20,000 connections of 13 turns, so each connection is encoded by one call of msgspec. The first field
# `type` of its line is the tag of a struct that is built from the model's fields; for a finding it is inserted at the
# start. So there is no second set of types that could differ from the model. JSON keeps every connection in its encoded
# form (a tenth of the size of the objects), because its lists are written one after another; NDJSON keeps nothing.

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ..model import SCHEMA, Capture, Connection, Generator, Summary

if TYPE_CHECKING:
    from .output import Output

__all__ = ["JsonWriter", "NdjsonWriter"]

_BARE_FIELDS = tuple(f for f in Connection.__struct_fields__ if f != "findings")
_bare_values = attrgetter(*_BARE_FIELDS)
_BareConnection: Any = msgspec.defstruct("_BareConnection", _BARE_FIELDS, tag_field="type", tag="connection", gc=False)


class _Document(msgspec.Struct):
    """``model.Report`` with its connections already encoded."""

    schema: int
    generator: Generator
    captures: list[Capture]
    connections: list[msgspec.Raw]
    summary: Summary


class JsonWriter:
    """Writes one document at the end of the run: captures in reading order, connections in order of their ids."""

    streams = False

    def __init__(self, output: Output, version: str) -> None:
        self._output = output
        self._generator = Generator(version=version)
        self._encode = msgspec.json.Encoder().encode
        self._captures: list[Capture] = []
        self._connections: list[tuple[int, bytes]] = []

    def capture(self, capture: Capture) -> None:
        """Keep the capture."""
        self._captures.append(capture)

    def connection(self, connection: Connection) -> None:
        """Keep the connection in its encoded form."""
        self._connections.append((connection.id, self._encode(connection)))

    def finish(self, summary: Summary) -> None:
        """Write the document."""
        self._connections.sort()
        connections = [msgspec.Raw(encoded) for _, encoded in self._connections]
        document = _Document(SCHEMA, self._generator, self._captures, connections, summary)
        self._output.write(self._encode(document) + b"\n")


class _Target(Protocol):
    def write(self, data: bytes, /) -> object: ...


class NdjsonWriter:
    """Writes a line for each capture, connection (without findings) and finding at once, and the summary at the end."""

    streams = True

    def __init__(self, output: _Target) -> None:
        self._output = output
        self._encode = msgspec.json.Encoder().encode

    def capture(self, capture: Capture) -> None:
        """Write the line of the capture."""
        self._output.write(b'{"type":"capture",' + self._encode(capture)[1:] + b"\n")

    def connection(self, connection: Connection) -> None:
        """Write the line of the connection and those of its findings, in one piece."""
        encode = self._encode
        parts = [encode(_BareConnection(*_bare_values(connection))), b"\n"]
        if connection.findings:
            start = b'{"type":"finding","connection":%d,' % connection.id
            for finding in connection.findings:
                parts += start, encode(finding)[1:], b"\n"
        self._output.write(b"".join(parts))

    def put(self, lines: bytes) -> None:
        """Write lines that another writer of this class made."""
        self._output.write(lines)

    def finish(self, summary: Summary) -> None:
        """Write the line of the summary."""
        self._output.write(b'{"type":"summary",' + self._encode(summary)[1:] + b"\n")

"""JSON and NDJSON are the contract: the same objects, in one document or line by line."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from handmade import capture, connection, finding, output, summary_of

from smtpwire.analyzer.model import Report
from smtpwire.analyzer.reports.json_ import JsonWriter, NdjsonWriter

TWO = [connection(1, [finding(), finding("SEQ120", caused_by=0)]), connection(2, [])]


def document() -> bytes:
    out, stream = output()
    writer = JsonWriter(out, "9.9")
    writer.connection(TWO[1])
    writer.capture(capture())
    writer.connection(TWO[0])
    writer.finish(summary_of(*TWO))
    return stream.getvalue()


def ndjson() -> list[dict[str, Any]]:
    out, stream = output()
    writer = NdjsonWriter(out)
    writer.connection(TWO[0])
    writer.connection(TWO[1])
    writer.capture(capture())
    writer.finish(summary_of(*TWO))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_document_decodes_to_the_model() -> None:
    report = msgspec.json.decode(document(), type=Report)
    assert report.connections == TWO
    assert report.captures == [capture()]
    assert report.summary == summary_of(*TWO)
    assert (report.schema, report.generator.name, report.generator.version) == (1, "smtpwire", "9.9")


def test_the_document_has_the_field_names_of_the_contract() -> None:
    report = json.loads(document())
    assert list(report) == ["schema", "generator", "captures", "connections", "summary"]
    one = report["connections"][0]
    assert one["dialogue"][1]["kind"] == "command"
    assert one["dialogue"][1]["predicted"] == "503"
    assert one["dialogue"][2]["answers"] == 1
    assert one["dialogue"][0]["enhanced"] is None
    assert one["messages"][0]["from"] == "a@a.example"
    assert one["messages"][0]["recipients"][1] == {"address": "c@b.example", "code": None}
    assert one["findings"][1]["caused_by"] == 0
    assert one["findings"][0]["reference"] == "RFC 5321 §4.1.4"
    assert report["summary"]["rules"] == {"SEQ101": 1, "SEQ120": 1}


def test_connections_are_in_order_of_their_ids() -> None:
    assert [one["id"] for one in json.loads(document())["connections"]] == [1, 2]


def test_every_line_starts_with_its_type() -> None:
    lines = ndjson()
    assert [next(iter(line)) for line in lines] == ["type"] * 6
    kinds = [line["type"] for line in lines]
    assert kinds == ["connection", "finding", "finding", "connection", "capture", "summary"]


def test_all_lines_together_equal_the_document() -> None:
    report = json.loads(document())
    lines = ndjson()
    found = [line for line in lines if line["type"] == "finding"]
    assert [line.pop("connection") for line in found] == [1, 1]
    assert [line | {"type": "finding"} for line in report["connections"][0]["findings"]] == found
    for one, line in zip(report["connections"], (line for line in lines if line["type"] == "connection"), strict=True):
        assert "findings" not in line
        assert {**line, "findings": one["findings"]} == {**one, "type": "connection"}
    assert {**report["captures"][0], "type": "capture"} in lines
    assert lines[-1] == {**report["summary"], "type": "summary"}


def test_a_line_is_written_as_soon_as_it_is_known() -> None:
    out, stream = output()
    writer = NdjsonWriter(out)
    writer.connection(TWO[0])
    assert stream.getvalue().count(b"\n") == 3

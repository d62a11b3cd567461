"""The published schema is that of the types, and reports conform to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from handmade import capture, connection, finding, output, summary_of

from smtpwire.analyzer.reports.json_ import JsonWriter
from smtpwire.analyzer.reports.json_schema import report_schema, schema_text

PUBLISHED = Path(__file__).parents[2] / "docs" / "report.schema.json"


def report() -> dict[str, Any]:
    one = connection(1, [finding(), finding("SEQ120", caused_by=0, turn=None)])
    out, stream = output()
    writer = JsonWriter(out, "9.9")
    writer.capture(capture())
    writer.connection(one)
    writer.finish(summary_of(one))
    made: dict[str, Any] = json.loads(stream.getvalue())
    return made


@pytest.mark.tree
def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text("utf-8") == schema_text(), (
        "python -m smtpwire.analyzer.reports.json_schema > docs/report.schema.json"
    )


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(report_schema())


def test_a_report_with_every_kind_of_turn_is_valid() -> None:
    jsonschema.validate(report(), report_schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("connections", 0, "dialogue", 1, "predicted"), "sometimes"),
        (("connections", 0, "findings", 0, "side"), "nobody"),
        (("connections", 0, "dialogue", 0, "code"), "220"),
        (("summary", "connections"), None),
        (("captures", 0), {"path": "a.pcap"}),
    ],
)
def test_a_report_that_breaks_the_contract_is_invalid(path: tuple[str | int, ...], value: object) -> None:
    broken: Any = report()
    *way, last = path
    place = broken
    for step in way:
        place = place[step]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, report_schema())

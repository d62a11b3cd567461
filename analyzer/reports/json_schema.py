"""The JSON Schema of the report, derived from the types: ``python -m smtpwire.analyzer.reports.json_schema``."""

from __future__ import annotations

import sys
from inspect import cleandoc

import msgspec

from .. import model
from ..model import SCHEMA, Report

__all__ = ["report_schema", "schema_text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, object]:
    """Return the schema of ``--format json``. Within one ``SCHEMA`` fields may be added; none changes its meaning."""
    (root,), definitions = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for title, definition in definitions.items():
        # msgspec describes its input, in which a field with a default may be missing; a report contains all fields.
        properties = definition["properties"]
        if "description" in definition:  # some versions of msgspec leave the indentation of the source in it
            definition["description"] = cleandoc(definition["description"])
        optional = _optional(title)
        definition["required"] = [name for name in properties if name not in optional]
        for value in properties.values():
            value.pop("default", None)
    return {"$schema": DIALECT, "title": f"smtpwire report, schema {SCHEMA}", **root, "$defs": definitions}


def _optional(title: str) -> set[str]:
    """Return the fields of a type of the model that are there only if there is something to say."""
    fields = msgspec.structs.fields(getattr(model, title))
    return {field.encode_name for field in fields if field.default is msgspec.UNSET}


def schema_text() -> str:
    """Return the schema as docs/report.schema.json contains it."""
    return msgspec.json.format(msgspec.json.encode(report_schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())

"""The output of every registered writer for a capture, as one searchable text."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from captures import pcap
from scripts import Script, records, segments

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.commands.outputs import Destination, opened
from smtpwire.analyzer.enums import Redact, ReportFormat
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.reports.formats import FORMATS, Style
from smtpwire.analyzer.run import FailOn, run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STYLES", "capture_of", "everything", "forms_of_secret", "written"]

DEFAULT = Style()
STYLES: list[tuple[ReportFormat, Style]] = [
    *((form, Style()) for form in FORMATS),
    (ReportFormat.TEXT, Style(concise=True)),
    (ReportFormat.ZEEK, Style(zeek_json=True)),
    (ReportFormat.JUNIT, Style(failing=("error", "warning", "info"))),
]
"""Every format, and the other styles of the formats that have several."""


def capture_of(path: Path, script: Script, *, port: int = 25, midstream: bool = False) -> Path:
    """Write the script as a capture file."""
    path.write_bytes(pcap(records(segments(script, port=port, midstream=midstream))))
    return path


def written(
    capture: Path, form: ReportFormat, where: Path, *, style: Style = DEFAULT, redact: Redact = Redact.SECRETS
) -> str:
    """Return the output of the writer of ``form``, from all its files."""
    try:
        FORMATS[form].check()
    except UsageError as error:
        pytest.skip(str(error))
    suffix = "" if FORMATS[form].place is not None else FORMATS[form].suffixes[0]
    target = where / f"report-{form.value}{suffix}"
    audit = Audit(Options(redact=redact, headers=FORMATS[form].headers))
    with opened([Destination(form, str(target))], [str(capture)], style) as (writer, output):
        run(audit, [str(capture)], writer, output, FailOn.NEVER)
    files = sorted(target.rglob("*")) if target.is_dir() else [target]
    return "\n".join(_text(file) for file in files if file.is_file())


def _text(file: Path) -> str:
    if file.suffix == ".parquet":
        import pyarrow.parquet  # noqa: PLC0415

        table = pyarrow.parquet.read_table(file)
        for number, column in enumerate(table.schema):
            if pyarrow.types.is_timestamp(column.type):  # values with nanoseconds are only for pandas
                table = table.set_column(number, column.name, table.column(number).cast(pyarrow.int64()))
        return json.dumps(table.to_pylist(), default=str)
    if file.suffix == ".sarif":
        # The rules are declared with their examples, which contain documentation addresses.
        document: dict[str, Any] = json.loads(file.read_bytes())
        del document["runs"][0]["tool"]["driver"]["rules"]
        return json.dumps(document)
    return file.read_bytes().decode("utf-8", "backslashreplace")


def everything(capture: Path, where: Path, redact: Redact) -> dict[str, str]:
    """Return the output of each style of each format."""
    return {
        f"{form.value} {style}": written(capture, form, where, style=style, redact=redact) for form, style in STYLES
    }


def forms_of_secret(secret: str) -> set[str]:
    """Return ``secret`` in each encoding that a report could contain, in lower case."""
    raw = secret.encode()
    forms = {
        secret,
        quote(secret),
        raw.hex(),
        " ".join(f"{byte:02x}" for byte in raw),
        "".join(f"\\x{byte:02x}" for byte in raw),
        "".join(f"%{byte:02x}" for byte in raw),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        html.escape(secret),
        "".join(f"\\u{byte:04x}" for byte in raw),
        secret.swapcase(),
        secret[::-1],
    }
    for shift in range(3):  # at any position in other text that is encoded together with it
        coded = base64.b64encode(b"\0" * shift + raw).decode()
        forms.add(coded[(0, 2, 3)[shift] : len(coded) - (4 if coded.endswith("=") else 0)])
    return {form.lower() for form in forms if len(form) >= 5}

"""The registry of formats: how each is written, and where it can go."""

# `--format`, `--output`, the configuration and the help all read this table. A format is written to a stream (standard
# output, or a file that appears when it is complete) or to a place: a database to which each run is added, or a
# directory of several files. A place is a context manager, because its contents must be complete or as they were
# before, however the run ends. Each writer is imported when it is created: a run loads one format, `--help` none.

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from ..._version import __version__
from ..enums import ReportFormat
from ..errors import UsageError, how_to_install

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .output import Output, Writer

    Stream = Callable[[Output, "Style"], Writer]
    Place = Callable[[Path, "Style"], AbstractContextManager[Writer]]

__all__ = ["FORMATS", "Format", "Style", "guessed"]


class Style(NamedTuple):
    """Options of the formats that have a choice. ``concise``: text with one line for each finding; ``zeek_json``:
    Zeek's logs as JSON; ``failing``: the severities that make the run fail; ``several``: more than one capture may be
    read."""

    concise: bool = False
    zeek_json: bool = False
    failing: tuple[str, ...] = ("error",)
    several: bool = False


class Format(NamedTuple):
    """One report format. ``stream`` writes it to an output, ``place`` to a path; it has one of them, or both.

    ``suffixes``: those of its files; the first is the usual one. ``module``: a module it needs that is not always
    installed, from a package of the same name. ``headers``: it shows more fields of the headers of messages.
    ``states_scope``: it says what the audit did not look at.
    """

    form: ReportFormat
    suffixes: tuple[str, ...]
    stream: Stream | None = None
    place: Place | None = None
    module: str | None = None
    headers: bool = False
    states_scope: bool = False

    def check(self) -> None:
        """Raise UsageError if something that the format needs is not installed."""
        if self.module is not None and find_spec(self.module) is None:
            where = f"--format {self.form.value}"
            raise UsageError(f"{self.module} is not installed", where, how_to_install(self.module))


# -- one function for each format, so that each is imported only when it is used -------------------------------------


def _text(output: Output, style: Style) -> Writer:
    if style.concise:
        from .concise import ConciseWriter  # noqa: PLC0415

        return ConciseWriter(output)
    from .text import TextWriter  # noqa: PLC0415

    return TextWriter(output)


def _json(output: Output, style: Style) -> Writer:
    from .json_ import JsonWriter  # noqa: PLC0415

    return JsonWriter(output, __version__)


def _ndjson(output: Output, style: Style) -> Writer:
    from .json_ import NdjsonWriter  # noqa: PLC0415

    return NdjsonWriter(output)


def _html(output: Output, style: Style) -> Writer:
    from .html.writer import HtmlWriter  # noqa: PLC0415

    return HtmlWriter(output, __version__)


def _markdown(output: Output, style: Style) -> Writer:
    from .markdown import MarkdownWriter  # noqa: PLC0415

    return MarkdownWriter(output)


def _sarif(output: Output, style: Style) -> Writer:
    from .sarif import SarifWriter  # noqa: PLC0415

    return SarifWriter(output, __version__)


def _junit(output: Output, style: Style) -> Writer:
    from .junit import JunitWriter  # noqa: PLC0415

    return JunitWriter(output, style.failing, several=style.several)


def _github(output: Output, style: Style) -> Writer:
    from .github import GithubWriter  # noqa: PLC0415

    return GithubWriter(output)


def _eve(output: Output, style: Style) -> Writer:
    from .siem.eve import EveWriter  # noqa: PLC0415

    return EveWriter(output)


def _ecs(output: Output, style: Style) -> Writer:
    from .siem.ecs import EcsWriter  # noqa: PLC0415

    return EcsWriter(output, __version__)


def _zeek(output: Output, style: Style) -> Writer:
    from .siem.zeek import ZeekWriter  # noqa: PLC0415

    return ZeekWriter(output, (lambda _: output) if style.zeek_json else None, as_json=style.zeek_json)


def _zeek_logs(path: Path, style: Style) -> AbstractContextManager[Writer]:
    from .siem.zeek import zeek_directory  # noqa: PLC0415

    return zeek_directory(path, as_json=style.zeek_json)


def _csv(output: Output, style: Style) -> Writer:
    from .csv_ import CsvWriter  # noqa: PLC0415

    return CsvWriter(output)


def _sqlite(path: Path, style: Style) -> AbstractContextManager[Writer]:
    from ..stores.sqlite import written  # noqa: PLC0415

    return written(path)


def _parquet(path: Path, style: Style) -> AbstractContextManager[Writer]:
    from ..stores.parquet import written  # noqa: PLC0415

    return written(path)


_ALL = (
    Format(ReportFormat.TEXT, (".txt", ".log"), _text, states_scope=True),
    Format(ReportFormat.JSON, (".json",), _json, states_scope=True),
    Format(ReportFormat.NDJSON, (".ndjson", ".jsonl", ".json"), _ndjson, states_scope=True),
    Format(ReportFormat.HTML, (".html", ".htm"), _html, states_scope=True),
    Format(ReportFormat.MARKDOWN, (".md", ".markdown"), _markdown, states_scope=True),
    Format(ReportFormat.SARIF, (".sarif", ".json"), _sarif, states_scope=True),
    Format(ReportFormat.JUNIT, (".xml",), _junit, states_scope=True),
    Format(ReportFormat.GITHUB, (".txt",), _github, states_scope=True),
    Format(ReportFormat.EVE, (".json", ".ndjson", ".jsonl", ".log"), _eve, headers=True),
    Format(ReportFormat.ECS, (".json", ".ndjson", ".jsonl", ".log"), _ecs, headers=True),
    Format(ReportFormat.ZEEK, (".log", ".json", ".ndjson", ".jsonl"), _zeek, _zeek_logs, headers=True),
    Format(ReportFormat.CSV, (".csv",), _csv),
    Format(ReportFormat.SQLITE, (".db", ".sqlite", ".sqlite3"), place=_sqlite),
    Format(ReportFormat.PARQUET, (".parquet",), place=_parquet, module="pyarrow"),
)

FORMATS: dict[ReportFormat, Format] = {one.form: one for one in _ALL}
"""Every format by its name."""

# What a file name means by itself. Other suffixes (.json for SARIF, for example) need the format to be given too.
_GUESSES = {suffix: one.form for one in reversed(_ALL) for suffix in one.suffixes if suffix not in {".txt", ".log"}}


def guessed(path: Path) -> ReportFormat | None:
    """Return the format for the name of a file; None if the name fits no format or several."""
    return _GUESSES.get(path.suffix.lower())

"""Where reports go: ``--format`` and ``--output`` together, opened before anything is read."""

# Theory
# ------
# Each -o is one report. FORMAT:PATH names its format; for a PATH alone, --format or the suffix decides. Standard output
# gets a report too, in the format of --format, unless -o is given without --format, or a PATH alone took the format of
# --format. So `-o r.html` writes a page and prints nothing, `--format json -o r.json` does the same with JSON, and
# `--format github -o sarif:r.sarif` writes two reports.
#
# Every mistake is reported before the first byte is read, because a run may take hours.

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..enums import ReportFormat
from ..errors import InputError, UsageError, display_path, nearest
from ..files.atomic_files import replacing, same_file
from ..files.urls import is_url
from ..reports.fan_out import FanOut, JoinedOutputs
from ..reports.formats import FORMATS, Format, Style, guessed
from ..reports.output import Output, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from ..model import Summary
    from ..reports.formats import Place
    from ..reports.output import Writer

__all__ = ["Destination", "destinations", "opened", "written"]

STDOUT = "-"
DEFAULT_STYLE = Style()
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_]+):(.*)", re.DOTALL)  # one letter is a drive of Windows


class Destination(NamedTuple):
    """One report: its format, and its path; None is standard output."""

    form: ReportFormat
    path: str | None


def destinations(outputs: Sequence[str], given: ReportFormat | None, default: ReportFormat) -> list[Destination]:
    """Return the reports to write. ``outputs``: the values of -o; ``given``: --format; ``default``: the format without
    it.

    Raises UsageError for an unknown format, and for two reports in one place.
    """
    found: list[Destination] = []
    served = False
    for value in outputs:
        named = None if is_url(value) else _NAMED.fullmatch(value)
        if named:
            form, path = _form(named[1], value), named[2]
        else:
            form, path = _form_of(value, given, default), value
            served = served or form is given
        if not path:
            raise UsageError("the file name is missing", f"-o {display_path(value)}", "write -o FORMAT:PATH")
        found.append(Destination(form, None if path == STDOUT else path))
    if not outputs or (given is not None and not served):
        found.append(Destination(given or default, None))
    _check_apart(found)
    return found


def _form(name: str, value: str) -> ReportFormat:
    try:
        return ReportFormat(name.lower())
    except ValueError:
        near = nearest(name.lower(), [form.value for form in ReportFormat])
        hint = (
            f"did you mean {near}?"
            if near
            else f"use {', '.join(ReportFormat)}; for a file with this name write ./{value}"
        )
        raise UsageError("no such format", display_path(name), display_path(hint)) from None


def _form_of(path: str, given: ReportFormat | None, default: ReportFormat) -> ReportFormat:
    """Return the format for a path that was given without one: that of its suffix, or --format where the suffix fits
    it or means nothing. Raises UsageError for a suffix that means nothing if there is no --format."""
    guess = guessed(Path(path)) if path != STDOUT else None
    suffix = Path(path).suffix.lower()
    if given is not None:
        return given if guess is None or suffix in FORMATS[given].suffixes else guess
    usual = {"", *FORMATS[ReportFormat.TEXT].suffixes, *FORMATS[default].suffixes}
    special = os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113  Path raises for some names
    if guess is None and suffix not in usual and not special:  # a pipe or a terminal may have any name
        known = " ".join(sorted({one for form in FORMATS.values() for one in form.suffixes}))
        hint = display_path(f"add --format, write -o FORMAT:{path}, or use one of {known}")
        raise UsageError(f"no format has the suffix {display_path(suffix)}", display_path(path), hint)
    return guess or default


def _check_apart(found: Sequence[Destination]) -> None:
    names = [
        STDOUT if one.path is None else one.path if is_url(one.path) else os.path.realpath(one.path) for one in found
    ]
    for number, name in enumerate(names):
        if name in names[:number]:
            where = "standard output" if name == STDOUT else display_path(found[number].path or "")
            raise UsageError("two reports in one place", where, "give each a file of its own with -o FORMAT:PATH")


@contextmanager
def opened(
    found: Sequence[Destination], inputs: Sequence[str], style: Style = DEFAULT_STYLE
) -> Iterator[tuple[Writer, JoinedOutputs]]:
    """Open all reports: their common writer, and their outputs. Files appear when the block ends without an exception.

    Raises UsageError for a file that cannot be written, for a missing extra, for a report that would overwrite an
    input, and for an option of a format that was not requested.
    """
    _check_style(found, style)
    for one in found:
        FORMATS[one.form].check()
        if one.path is not None and any(_overwrites(one.path, name) for name in inputs):
            where = display_path(one.path)
            raise UsageError("the report would overwrite a capture", where, "name another file with -o")
    with ExitStack() as stack:
        writers: list[Writer] = []
        outputs: list[Output] = []
        on_terminal = False
        for form, path in found:
            chosen = FORMATS[form]
            place = None if path is None else _place(chosen, path, style)
            if place is not None:
                writers.append(stack.enter_context(place))
                continue
            output = _output(chosen, path, stack)
            assert chosen.stream is not None
            writers.append(chosen.stream(output, style))
            outputs.append(output)
            on_terminal = on_terminal or (output.terminal and writers[-1].streams)
        writer = writers[0] if len(writers) == 1 else FanOut(writers, streams=on_terminal)
        yield writer, JoinedOutputs(outputs)


def written(found: Sequence[Destination], summary: Summary) -> str:
    """Return one line: which files were written, and what they report."""
    from ..reports.styled_text import SEVERITIES  # noqa: PLC0415  only a terminal gets the line

    files = ", ".join(f"{display_path(one.path)} ({one.form.value})" for one in found if one.path is not None)
    counts = ", ".join(plural(summary.findings[severity], severity, many) for severity, many in SEVERITIES)
    return f"wrote {files}: {counts} in {plural(summary.connections, 'connection')}"


def _overwrites(path: str, name: str) -> bool:
    """Whether a report at ``path`` would overwrite the input ``name``, or a capture in that folder."""
    from ..frames.inputs import Source  # noqa: PLC0415

    if name == STDOUT or is_url(name) or is_url(path):
        return name == path
    if not os.path.isdir(name):  # noqa: PTH112  Path.is_dir raises for some names
        return same_file(name, path)
    real = os.path.realpath(path)  # Path.resolve raises for a loop of links
    if not os.path.isfile(real) or Path(os.path.realpath(name)) not in Path(real).parents:  # noqa: PTH113
        return False
    try:
        Source(real, found=True).first_time()
    except InputError:
        return False  # not a capture: the report of the last run, for example
    return True


def _check_style(found: Sequence[Destination], style: Style) -> None:
    for asked, option, form in (
        (style.concise, "--concise", ReportFormat.TEXT),
        (style.zeek_json, "--zeek-json", ReportFormat.ZEEK),
    ):
        if asked and all(one.form is not form for one in found):
            where = f"--format {found[0].form.value}"
            raise UsageError(f"{option} needs {form.value}", where, f"add --format {form.value}, or remove {option}")


def _place(chosen: Format, path: str, style: Style) -> AbstractContextManager[Writer] | None:
    """Return the context manager that opens ``path`` if the report is a directory or a database; else None."""
    if chosen.place is None:
        return None
    if is_url(path):
        return _uploaded(chosen.place, path, style) if chosen.form is ReportFormat.PARQUET else None
    real = Path(path)
    named_file = real.suffix.lower() in chosen.suffixes or os.path.exists(path)  # noqa: PTH110  Path.exists raises for some names
    directory = path.endswith(("/", os.sep)) or os.path.isdir(path) or not named_file  # noqa: PTH112
    return chosen.place(Path(path), style) if chosen.stream is None or directory else None


def _output(chosen: Format, path: str | None, stack: ExitStack) -> Output:
    if chosen.stream is None and path is not None:
        where = display_path(path)
        raise UsageError(
            f"{chosen.form.value} cannot be written to a URL", where, "name a file, and copy it afterwards"
        )
    if chosen.stream is None:
        raise UsageError(
            f"{chosen.form.value} cannot be printed", "standard output", f"add -o FILE{chosen.suffixes[0]}"
        )
    if path is None:
        return Output(sys.stdout.buffer, encoding=sys.stdout.encoding)
    if is_url(path):
        from ..files.storage import Storage  # noqa: PLC0415

        folder, _, name = path.rpartition("/")
        return Output(stack.enter_context(Storage(folder).write(name)), name=display_path(path))
    return Output(stack.enter_context(replacing(path)), name=display_path(path))


@contextmanager
def _uploaded(place: Place, url: str, style: Style) -> Iterator[Writer]:
    """Open a store in a folder for temporary files, and copy it to ``url`` when it is complete."""
    import tempfile  # noqa: PLC0415

    from ..files.storage import Storage  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="smtpwire-") as folder:
        with place(Path(folder), style) as writer:
            yield writer
        for one in sorted(Path(folder).rglob("*.*")):
            Storage(url.rstrip("/")).put(os.fspath(one), one.relative_to(folder).as_posix())

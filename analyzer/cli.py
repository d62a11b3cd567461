"""The command line: options in, a report out, and an exit status."""

# Start-up is part of every answer, so whatever a command does not need is imported inside it: `--version` loads neither
# the grammar nor the audit, and no format but text on a terminal loads Rich. Errors of use are one line that says what,
# where and what to do; a traceback is always a bug of ours.

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from .._version import __version__
from .errors import UsageError
from .run import FailOn, Status, notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .audit import Audit
    from .reports.output import Output, Writer

__all__ = ["app", "main"]

app = typer.Typer(
    name="smtpwire",
    help="Audit SMTP on the wire: who broke which RFC rule, at which byte of which frame.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """Forms of a report."""

    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"


class Profile(StrEnum):
    """Rule sets; without one it is chosen for each connection."""

    RFC5321 = "rfc5321"
    RFC821 = "rfc821"
    SUBMISSION = "submission"
    LMTP = "lmtp"


class Decoder(StrEnum):
    """Who takes frames apart down to TCP."""

    RAW = "raw"
    SCAPY = "scapy"


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH", help="Captures (pcap, pcapng, also gzipped), directories of them, or - for standard input."
    ),
]
Read = Annotated[list[str] | None, typer.Option("-r", "--read", metavar="PATH", help="The same as PATH.")]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="json holds the whole report in memory; ndjson prints each connection as it ends, in constant memory.",
    ),
]
ProfileOption = Annotated[
    Profile | None, typer.Option(help="Judge by these rules; else chosen for each connection by what it does.")
]
Ports = Annotated[
    list[str] | None,
    typer.Option("--port", metavar="N[,N...]", help="Server ports of SMTP; elsewhere it is recognised by content."),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="RULE[,...]", help="Only these rules: ids, prefixes of ids, or names."),
]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="RULE[,...]", help="Not these rules; wins over --select.")
]
FailOption = Annotated[
    FailOn, typer.Option("--fail-on", help="Exit with 1 if a finding is of this severity or a higher one.")
]
DecoderOption = Annotated[
    Decoder, typer.Option("--decoder", help="raw is fast; scapy sends every frame through Scapy's own dissection.")
]
OutputOption = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report there, not to standard output.")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"smtpwire {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Exit status: 0 nothing found at or above --fail-on, 1 something found, 2 wrong use, 3 an input could not "
    "be read at all (the others are reported), 130 interrupted (what was read is reported)."
)
def audit(
    paths: Paths = None,
    read: Read = None,
    format_: FormatOption = Format.TEXT,
    profile: ProfileOption = None,
    port: Ports = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: FailOption = FailOn.ERROR,
    decoder: DecoderOption = Decoder.RAW,
    output: OutputOption = None,
) -> int:
    """Report every breach of the RFCs in captures: rule, side at fault, frame, byte, evidence."""
    from .run import run  # noqa: PLC0415

    inputs = _inputs(paths, read)
    audit = _audit(profile, port, select, ignore, decoder)
    with _destination(output, inputs) as stream:
        out = _output(stream, output)
        return run(audit, inputs, _writer(format_, out), out, fail_on)


@app.command()
def show(
    paths: Paths = None,
    read: Read = None,
    connection: Annotated[int | None, typer.Option(metavar="N", help="Only the connection with this number.")] = None,
    profile: ProfileOption = None,
    port: Ports = None,
    decoder: DecoderOption = Decoder.RAW,
) -> int:
    """Print the dialogue of each connection, with every finding under the line that it is about."""
    from .reports.dialogue import DialogueWriter  # noqa: PLC0415
    from .run import run  # noqa: PLC0415

    inputs = _inputs(paths, read)
    out = _output(sys.stdout.buffer)
    writer = DialogueWriter(out, connection)
    status = run(_audit(profile, port, None, None, decoder), inputs, writer, out, FailOn.NEVER)
    if status == Status.CLEAN and connection is not None and not writer.found:
        raise UsageError("no such connection", f"--connection {connection}", "smtpwire audit names their numbers")
    return status


@app.command()
def demo(format_: FormatOption = Format.TEXT) -> int:
    """Audit the sample capture that comes with smtpwire. The exit status is 0 whatever is found."""
    from .run import run  # noqa: PLC0415

    out = _output(sys.stdout.buffer)
    with resources.as_file(resources.files("smtpwire.samples") / "demo.pcap") as path:
        called = "samples/demo.pcap"
        return run(_audit(), [str(path)], _writer(format_, out), out, FailOn.NEVER, called=called)


def _inputs(paths: list[str] | None, read: list[str] | None) -> list[str]:
    inputs = [*(read or ()), *(paths or ())]
    if not inputs:
        raise UsageError("nothing to read", "no PATH is given", "name files, directories, or - for standard input")
    return inputs


def _audit(
    profile: Profile | None = None,
    port: list[str] | None = None,
    select: list[str] | None = None,
    ignore: list[str] | None = None,
    decoder: Decoder = Decoder.RAW,
) -> Audit:
    from .audit import DEFAULT_PORTS, Audit, Options  # noqa: PLC0415

    options = Options(
        profile=profile and profile.value,
        ports=_ports(port) if port else DEFAULT_PORTS,
        select=_words(select),
        ignore=_words(ignore),
        decoder=decoder.value,
    )
    return Audit(options)


def _words(values: list[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def _ports(values: list[str]) -> frozenset[int]:
    ports = set()
    for word in _words(values):
        if not (word.isascii() and word.isdigit() and 0 < int(word[:6]) < 65536):
            raise UsageError("no such port", f"--port {word}", "give numbers from 1 to 65535, commas between them")
        ports.add(int(word))
    return frozenset(ports)


def _writer(format_: Format, out: Output) -> Writer:
    if format_ is Format.TEXT:
        from .reports.text import TextWriter  # noqa: PLC0415

        return TextWriter(out)
    from .reports.machine import JsonWriter, NdjsonWriter  # noqa: PLC0415

    return JsonWriter(out, __version__) if format_ is Format.JSON else NdjsonWriter(out)


def _output(stream: BinaryIO, name: str | None = None) -> Output:
    from .reports.output import Output  # noqa: PLC0415

    if name is not None:
        return Output(stream, name=name)
    return Output(stream, encoding=sys.stdout.encoding)


@contextmanager
def _destination(output: str | None, inputs: list[str]) -> Iterator[BinaryIO]:
    """The report's file, or standard output. Opened before anything is read, so that a wrong name costs nothing."""
    if output is None:
        yield sys.stdout.buffer
        return
    path = Path(output)
    if any(name != "-" and path.exists() and Path(name).exists() and path.samefile(name) for name in inputs):
        raise UsageError("the report would overwrite a capture", output, "name another file with -o")
    try:
        stream = path.open("wb")
    except OSError as error:
        raise UsageError(f"cannot write ({error.strerror})", output, "name another file with -o") from error
    with stream:
        yield stream


def main() -> None:
    """Run the command line and end the process with its status."""
    from .reports.output import OutputError  # noqa: PLC0415

    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if len(sys.argv) == 1:
            status = Status.USAGE
    except (UsageError, OutputError) as error:
        notice(str(error))
        status = Status.USAGE
    except _CommandLineError as error:
        notice(_one_line(error))
        status = Status.USAGE
    except (KeyboardInterrupt, typer.Abort):
        status = Status.INTERRUPTED
    sys.exit(int(status or Status.CLEAN))


# Click's UsageError, wherever the installed Typer keeps its Click: some versions carry their own copy.
_CommandLineError: type[Exception] = typer.BadParameter.__bases__[0]


def _one_line(error: Exception) -> str:
    format_message = getattr(error, "format_message", lambda: str(error))
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "smtpwire"
    # Typer's own checks call a wrong value a "Value error", which says nothing to who typed it.
    what = format_message().replace("Value error, ", "").rstrip(".")
    return f"{what}: see {command} --help"

"""The command line: options in, a report out, and an exit status."""

# Start-up is part of every answer, so whatever a command does not need is imported inside it: `--version` loads neither
# the grammar nor the audit, and no format but text on a terminal loads Rich. Errors of use are one line that says what,
# where and what to do; a traceback is always a bug of ours.

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .._version import __version__
from .commands import annotate, audit, baseline, config, extract, live, query, rules, wireshark
from .errors import UsageError
from .run import Status, notice

__all__ = ["app", "main"]

app = typer.Typer(
    name="smtpwire",
    help="Audit SMTP on the wire: who broke which RFC rule, at which byte of which frame.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(
    epilog="Exit status: 0 nothing found at or above --fail-on, 1 something found, 2 wrong use, 3 an input could not "
    "be read at all (the others are reported), 130 interrupted (what was read is reported)."
)(audit.audit)
app.command()(audit.show)
app.command()(audit.demo)
app.command()(live.live)
app.command()(annotate.annotate)
app.command()(extract.extract)
app.command()(query.query)
app.command()(rules.rule)
app.command()(config.config)
app.add_typer(baseline.group, name="baseline")
app.add_typer(wireshark.group, name="wireshark")


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


def main() -> None:
    """Run the command line and end the process with its status."""
    from .reports.output import OutputError  # noqa: PLC0415

    _spare(sys.argv[1:2])
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


def _spare(first: list[str]) -> None:
    """Leave to Typer only the command that ``first`` names: it works out the options of all that it knows, at once."""
    commands = [c for c in app.registered_commands if c.callback is not None and [c.callback.__name__] == first]
    groups = [group for group in app.registered_groups if [group.name] == first]
    if commands or groups:
        app.registered_commands, app.registered_groups = commands, groups


# Click's UsageError, wherever the installed Typer keeps its Click: some versions carry their own copy.
_CommandLineError: type[Exception] = typer.BadParameter.__bases__[0]


def _one_line(error: Exception) -> str:
    format_message = getattr(error, "format_message", lambda: str(error))
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "smtpwire"
    # Typer's own checks call a wrong value a "Value error", which says nothing to who typed it.
    what = format_message().replace("Value error, ", "").rstrip(".")
    return f"{what}: see {command} --help"

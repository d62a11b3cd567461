"""The command ``smtpwire``: words in, and the exit status of the process."""

# Start-up is part of every answer, so whatever a command does not need is imported inside it: `--version` loads next to
# nothing, a command no other one, and no format but text on a terminal loads Rich. Errors of use are one line that says
# what, where and what to do; a traceback is always a bug of ours.

from __future__ import annotations

import gc
import os
import signal
import sys

from .._version import __version__

__all__ = ["main"]

# Objects that are made until the collector looks for dead cycles among them. Python's 700 would make it look a hundred
# times while modules are loaded, whose objects all stay, and later through connections that are still read.
YOUNG = 50_000
INTERRUPTED = 130  # as in run.Status, which may not be loaded yet


def main() -> None:
    """Run the command line and end the process with its status."""
    words = sys.argv[1:]
    if words == ["--version"]:  # also an option like any other, but scripts ask for nothing else
        print(f"smtpwire {__version__}")
        return
    gc.set_threshold(YOUNG)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that files that are half written are taken away
    try:
        status = _run(words)
    except KeyboardInterrupt:  # while modules were loaded; a run ends with a report and this status itself
        status = INTERRUPTED
    gc.freeze()  # all that is left goes with the process: the interpreter need not look through it for cycles
    sys.exit(status)


def _run(words: list[str]) -> int:
    from .commands.plain_parser import plain  # noqa: PLC0415
    from .commands.registry import called  # noqa: PLC0415
    from .errors import OutputError, UsageError  # noqa: PLC0415
    from .run import Status, notice  # noqa: PLC0415

    try:
        command = called(words)
        values = None if command is None else plain(command[0].call, command[1])
        if command is None or values is None:
            return _by_typer(words)
        status = command[0].call(**values)
        sys.stdout.flush()
        return status
    except (UsageError, OutputError) as error:
        notice(str(error))
        return Status.USAGE
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except BrokenPipeError:  # whoever reads has enough: the end is silent, as Typer's is
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain of what is left
        return 1


def _by_typer(words: list[str]) -> int:
    import typer  # noqa: PLC0415

    from .commands.typer_app import command_line  # noqa: PLC0415
    from .run import Status, notice  # noqa: PLC0415

    # Click's UsageError, wherever the installed Typer keeps its Click: some versions carry their own copy.
    command_line_error: type[Exception] = typer.BadParameter.__bases__[0]
    try:
        status = command_line(words[0] if words else None)(words or ["--help"], standalone_mode=False)
    except command_line_error as error:
        notice(_one_line(error, words))
        return Status.USAGE
    except typer.Abort:
        return Status.INTERRUPTED
    return int(status or Status.CLEAN) if words else Status.USAGE


def _one_line(error: Exception, words: list[str]) -> str:
    if words and os.path.exists(words[0]) and "No such command" in str(error):  # noqa: PTH110  spares a module
        return f"no command before the file: {words[0]}: write smtpwire audit {words[0]}"
    format_message = getattr(error, "format_message", lambda: str(error))
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "smtpwire"
    # Typer's own checks call a wrong value a "Value error", which says nothing to who typed it.
    what = format_message().replace("Value error, ", "").rstrip(".")
    return f"{what}: see {command} --help"

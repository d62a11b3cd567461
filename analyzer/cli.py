"""The command ``smtpwire``: words in, and the exit status of the process."""

# Every command pays for start-up, so modules that not every command needs are imported inside functions: a command
# loads no other command, and no format but text on a terminal loads Rich. Errors of use are one line that says what,
# where and what to do; a traceback is always a bug of ours.

from __future__ import annotations

import gc
import os
import signal
import sys

__all__ = ["main"]

# New objects after which the collector looks for cycles. With Python's 700 it would run a hundred times while modules
# are loaded, whose objects all stay, and later over connections that are still read.
GC_THRESHOLD = 50_000
USAGE, INTERRUPTED = 2, 130  # as run.Status, which is not loaded for --version and --help


def main() -> None:
    """Run the command line and end the process with its status."""
    gc.set_threshold(GC_THRESHOLD)
    _open_standard_streams()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that half-written files are removed
    try:
        status = _run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were loaded; a run ends with a report and this status itself
        status = INTERRUPTED
    gc.freeze()  # the process frees all that is left: the interpreter need not search it for cycles
    sys.exit(status)


def _open_standard_streams() -> None:
    """Open those that the caller has closed: a file that is opened later must not take the number of one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            if number:
                setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _run(words: list[str]) -> int:
    import click  # noqa: PLC0415
    from click.exceptions import Exit, NoArgsIsHelpError  # noqa: PLC0415

    from .commands.registry import COMPLETE, smtpwire  # noqa: PLC0415
    from .errors import OutputError, UsageError, display_path  # noqa: PLC0415

    try:
        if instruction := os.environ.get(COMPLETE):
            from .commands.completion import complete  # noqa: PLC0415

            return complete(instruction)
        with smtpwire.make_context("smtpwire", [*words] or ["--help"]) as context:
            status: int = smtpwire.invoke(context)
        sys.stdout.flush()
        return status
    except Exit as end:  # of --help and --version
        return end.exit_code if words else USAGE
    except NoArgsIsHelpError as error:
        from .console import say  # noqa: PLC0415

        for line in error.format_message().splitlines():
            say(line)
        return USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "smtpwire"
        message = " ".join(error.format_message().split()).rstrip(".")
        return _refuse(f"{message}: see {command} --help")
    except (UsageError, OutputError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of standard output has gone: end without a message
        _drop_output()
        return 1
    except OSError as error:  # of the system, wherever it came up: a full disk for temporary files, for example
        _drop_output()
        where = display_path(os.fsdecode(error.filename)) if error.filename is not None else "smtpwire"
        return _refuse(f"{error.strerror or error}: {where}: is the disk full, or the file gone?")


def _drop_output() -> None:
    """Drop what is still to be written: Python would report it again."""
    from .console import drop_output  # noqa: PLC0415

    drop_output()


def _refuse(text: str) -> int:
    """Print why the command cannot run, and return the exit status for that."""
    from .console import notice  # noqa: PLC0415

    notice(text)
    return USAGE

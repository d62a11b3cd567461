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
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller; a file that is opened later must not take its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that half-written files are removed
    try:
        status = _run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were loaded; a run ends with a report and this status itself
        status = INTERRUPTED
    gc.freeze()  # the process frees all that is left: the interpreter need not search it for cycles
    sys.exit(status)


def _run(words: list[str]) -> int:
    import click  # noqa: PLC0415
    from click.exceptions import Exit, NoArgsIsHelpError  # noqa: PLC0415

    from .commands.registry import COMPLETE, smtpwire  # noqa: PLC0415
    from .errors import OutputError, UsageError  # noqa: PLC0415

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
        print(error.format_message())
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports what was not written
        return 1


def _refuse(text: str) -> int:
    """Print why the command cannot run, and return the exit status for that."""
    from .run import notice  # noqa: PLC0415

    notice(text)
    return USAGE

"""``smtpwire annotate``: findings as comments in a copy of the capture."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from ..console import notice, say
from ..errors import InputError, UsageError, display_path
from ..files.atomic_files import replacing, same_file
from ..interrupt import interruptible
from ..reports.output import plural
from ..reports.progress_bar import Bar
from ..reports.scope import unmet
from ..run import Status, checked, notify_of
from .option_types import PATH
from .options import (
    baseline_option,
    config_option,
    decoder_option,
    ignore_option,
    jobs_option,
    keylog_option,
    no_config_option,
    port_option,
    profile_option,
    redact_option,
    require_option,
    select_option,
)
from .settings import configured, options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..enums import Decoder, Profile, Redact, Require

__all__ = ["annotate"]


@click.command(short_help="Copy a capture, with each finding as a comment on its packet.")
@click.argument("path", type=PATH)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=PATH,
    required=True,
    help="The copy, in pcapng. - is standard output.",
)
@profile_option
@port_option
@select_option
@ignore_option
@baseline_option
@decoder_option
@keylog_option
@redact_option
@require_option
@jobs_option
@config_option
@no_config_option
def annotate(
    path: str,
    output: str,
    profile: Profile | None,
    port: Sequence[str],
    select: Sequence[str],
    ignore: Sequence[str],
    baseline: str | None,
    decoder: Decoder,
    keylog: Sequence[str],
    redact: Redact | None,
    require: Require | None,
    jobs: int | None,
    config: str | None,
    no_config: bool,
) -> int:
    """Copy a capture, with each finding as a comment on its packet, for Wireshark.

    PATH is one capture: pcap or pcapng, also compressed with gzip. The exit status is 0 if the copy was written,
    whatever was found, and 4 if it was written but PATH does not hold what --require asks for.
    """
    from ..wireshark.annotate import annotate, find_comments  # noqa: PLC0415
    from .parallel_audit import Division, auditing  # noqa: PLC0415

    settings = configured(config, no_config)
    options = options_of(
        settings,
        profile=profile,
        port=port,
        select=select,
        ignore=ignore,
        decoder=decoder,
        keylog=keylog,
        baseline=baseline if baseline is not None else settings.baseline,
        redact=redact,
    )
    to_stdout = output == "-"
    if not to_stdout and same_file(path, output):
        raise UsageError("the copy would overwrite the capture", display_path(output), "name another file with -o")
    bar = Bar(wanted=not to_stdout)
    try:
        with (
            closing(bar),
            interruptible(bar) as progress,
            # With PYTHONUNBUFFERED, Python's own stream may write only a part of the bytes that it gets.
            open(sys.stdout.fileno(), "wb", closefd=False) if to_stdout else replacing(output) as stream,
        ):
            with (
                auditing(options, [path], Division(jobs)) as audit,
                closing(find_comments(path, audit, progress)) as comments,
            ):
                copied = annotate(path, comments, stream, progress)
            stream.flush()
    except InputError as error:
        notice(str(error))
        return Status.UNREADABLE
    except KeyboardInterrupt:
        notice(f"interrupted: nothing was written: {display_path(output)}")
        return Status.INTERRUPTED
    except BrokenPipeError:
        return Status.CLEAN
    notify_of(comments.summary)
    for note in (*audit.notes(), *(f"{display_path(path)}: {problem}" for problem in copied.problems)):
        notice(note)
    if copied.left:
        notice(f"{display_path(path)}: {plural(copied.left, 'finding')} on frames that are not in the copy")
    if copied.alike:
        left_out = plural(copied.alike, "comment")
        notice(f"{display_path(path)}: {left_out} of the input that looked like findings: not copied")
    if not to_stdout:
        say(f"{plural(copied.findings, 'finding')} on {plural(copied.frames, 'frame')}: {display_path(output)}")
    if require is not None:
        comments.summary.unmet = unmet(require, comments.summary, comments.captures)
    return checked(Status.CLEAN, comments.summary)

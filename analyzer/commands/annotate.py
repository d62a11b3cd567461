"""``smtpwire annotate``: findings as comments in a copy of the capture."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

from ..atomic_files import replacing, same_file
from ..enums import Decoder
from ..errors import InputError, UsageError, display_path
from ..interrupt import interruptible
from ..reports.output import plural
from ..reports.progress_bar import Bar
from ..run import Status, notice
from .options import (
    BaselineOption,
    ConfigOption,
    DecoderOption,
    Ignore,
    NoConfigOption,
    Ports,
    ProfileOption,
    RedactOption,
    Select,
    configured,
    options_of,
)
from .plain_parser import Argument, Option

__all__ = ["annotate"]


def annotate(
    path: Annotated[str, Argument(metavar="PATH", help="One capture: pcap or pcapng, also gzipped.")],
    output: Annotated[str, Option("-o", "--output", metavar="FILE", help="The copy, in pcapng; - is standard output.")],
    profile: ProfileOption = None,
    port: Ports = None,
    select: Select = None,
    ignore: Ignore = None,
    baseline: BaselineOption = None,
    decoder: DecoderOption = Decoder.RAW,
    redact: RedactOption = None,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Copy a capture, with each finding as a comment on its packet, for Wireshark.

    The exit status is 0 if the copy was written, whatever was found.
    """
    from ..wireshark.annotate import annotate, find_comments  # noqa: PLC0415

    settings = configured(config, no_config)
    options = options_of(
        settings,
        profile=profile,
        port=port,
        select=select,
        ignore=ignore,
        decoder=decoder,
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
            # With PYTHONUNBUFFERED, Python's own stream may take a part of what it is given.
            open(sys.stdout.fileno(), "wb", closefd=False) if to_stdout else replacing(output) as stream,
        ):
            with closing(find_comments(path, options, progress)) as comments:
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
    for problem in copied.problems:
        notice(f"{display_path(path)}: {problem}")
    if copied.left:
        notice(f"{display_path(path)}: {plural(copied.left, 'finding')} on frames that are not in the copy")
    if not to_stdout:
        print(f"{plural(copied.findings, 'finding')} on {plural(copied.frames, 'frame')}: {display_path(output)}")
    return Status.CLEAN

"""``smtpwire extract``: the messages of captures as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..run import FailOn
from .option_types import PATH
from .options import (
    config_option,
    decoder_option,
    jobs_option,
    keylog_option,
    no_config_option,
    paths_argument,
    port_option,
    profile_option,
    read_option,
    require_option,
)
from .settings import configured, inputs_of, options_of, output_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..enums import Decoder, Profile, Require

__all__ = ["extract"]

MAX_SIZE = 100_000_000  # bytes; more than any large mail provider accepts


@click.command(short_help="Write each message into a file, byte by byte.")
@paths_argument
@read_option
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=PATH,
    required=True,
    help="The directory for the messages. It is created if it does not exist.",
)
@click.option(
    "--max-size",
    metavar="BYTES",
    type=click.IntRange(min=0),
    default=MAX_SIZE,
    show_default=True,
    help="Truncate larger messages, and say so in their file names. 0: never.",
)
@click.option("--force", is_flag=True, help="Write into a directory that holds files. None of them is overwritten.")
@profile_option
@port_option
@decoder_option
@keylog_option
@require_option
@jobs_option
@config_option
@no_config_option
def extract(
    paths: Sequence[str],
    read: Sequence[str],
    output: str,
    max_size: int,
    force: bool,
    profile: Profile | None,
    port: Sequence[str],
    decoder: Decoder,
    keylog: Sequence[str],
    require: Require | None,
    jobs: int | None,
    config: str | None,
    no_config: bool,
) -> int:
    """Write each message as its receiver stores it, byte by byte, with its envelope beside it.

    PATH is a capture (pcap or pcapng, also compressed with gzip), a directory of captures, or - for standard input.

    Messages go to DIR/accepted, DIR/refused or DIR/unknown, by the server's reply. Nothing in them is opened or run.
    """
    from msgspec.structs import replace  # noqa: PLC0415

    from ..audit import Audit  # noqa: PLC0415
    from ..extract.directory import MessageDirectory  # noqa: PLC0415
    from ..extract.writer import ExtractWriter  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415
    from .parallel_audit import Division, auditing  # noqa: PLC0415

    inputs = inputs_of(paths, read)
    options = options_of(configured(config, no_config), profile=profile, port=port, decoder=decoder, keylog=keylog)
    out = output_to()
    folder = MessageDirectory(output, force=force)
    try:
        writer = ExtractWriter(out, folder, max_size)
        options = replace(options, tap=writer.tap)
        with auditing(options, inputs, Division(jobs)) as audit:
            if not isinstance(audit, Audit):
                audit.extract, audit.keep = max_size, writer.take
            return run(audit, inputs, writer, out, FailOn.NEVER, require=require)
    finally:
        folder.close()

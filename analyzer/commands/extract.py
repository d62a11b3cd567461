"""``smtpwire extract``: the messages of captures as files."""

from __future__ import annotations

from typing import Annotated

from ..enums import Decoder, Redact
from ..run import FailOn
from .options import (
    ConfigOption,
    DecoderOption,
    NoConfigOption,
    Paths,
    Ports,
    ProfileOption,
    Read,
    configured,
    inputs_of,
    options_of,
    output_to,
)
from .plain_parser import Option

__all__ = ["extract"]

MAX_SIZE = 100_000_000  # more than any large mail provider takes


def extract(
    paths: Paths = None,
    read: Read = None,
    output: Annotated[
        str, Option("-o", "--output", metavar="DIR", help="The directory; made if it is not there.")
    ] = "",
    max_size: Annotated[
        int,
        Option(min=0, metavar="BYTES", help="Cut larger messages off, and say so in their names; 0: never."),
    ] = MAX_SIZE,
    force: Annotated[
        bool, Option("--force", help="Write into a directory that holds files; none of them is overwritten.")
    ] = False,
    profile: ProfileOption = None,
    port: Ports = None,
    decoder: DecoderOption = Decoder.RAW,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Write each message as its receiver stores it, byte by byte, with its envelope beside it.

    Messages go to DIR/accepted, DIR/refused or DIR/unknown, by what the server answered. Nothing is opened or run.
    """
    from msgspec.structs import replace  # noqa: PLC0415

    from ..audit import Audit  # noqa: PLC0415
    from ..errors import UsageError  # noqa: PLC0415
    from ..extract.directory import MessageDirectory  # noqa: PLC0415
    from ..extract.writer import ExtractWriter  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415

    inputs = inputs_of(paths, read)
    if not output:
        raise UsageError("no directory is named", "smtpwire extract", "add -o DIR")
    options = options_of(configured(config, no_config), profile=profile, port=port, decoder=decoder)
    out = output_to()
    folder = MessageDirectory(output, force=force)
    try:
        writer = ExtractWriter(out, folder, max_size)
        options = replace(options, tap=writer.tap, redact=Redact.NONE)
        return run(Audit(options), inputs, writer, out, FailOn.NEVER)
    finally:
        folder.close()

"""``smtpwire show``: what both sides said, or a line for each connection."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from ..errors import UsageError, display_path
from ..run import FailOn, Status
from ..timestamps import LocalZone
from .filter_options import filter_options, wanted_connections
from .options import (
    config_option,
    decoder_option,
    keylog_option,
    no_config_option,
    paths_argument,
    port_option,
    profile_option,
    read_option,
    redact_option,
    require_option,
)
from .settings import are_several, configured, inputs_of, options_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from ..enums import Decoder, Profile, Redact, Require

__all__ = ["show"]

_OFFSET = re.compile(r"([+-])([0-9]{1,2}):?([0-5][0-9])?")


@click.command(short_help="Print what both sides said, with each finding in its place.")
@paths_argument
@read_option
@filter_options
@click.option("--list", "listed", is_flag=True, help="Print instead one line for each connection.")
@click.option(
    "--zone",
    metavar="ZONE",
    help="Print absolute times in this zone, instead of seconds since the start of the connection: UTC, local, "
    "Europe/Berlin, +01:00.",
)
@click.option(
    "--end-of-data", is_flag=True, help="Print instead where each kind of reader sees the end of each message."
)
@click.option(
    "--all", "everything", is_flag=True, help="With --end-of-data: also the messages about which all readers agree."
)
@click.option("--no-pager", is_flag=True, help="On a terminal, print without a pager.")
@profile_option
@port_option
@decoder_option
@keylog_option
@redact_option
@require_option
@config_option
@no_config_option
def show(
    paths: Sequence[str],
    read: Sequence[str],
    listed: bool,
    zone: str | None,
    end_of_data: bool,
    everything: bool,
    no_pager: bool,
    profile: Profile | None,
    port: Sequence[str],
    decoder: Decoder,
    keylog: Sequence[str],
    redact: Redact | None,
    require: Require | None,
    config: str | None,
    no_config: bool,
    **filters: object,
) -> int:
    """Print the dialogue of each connection, with every finding under the line that it is about.

    PATH is a capture (pcap or pcapng, also compressed with gzip), a directory of captures, or - for standard input.

    On a terminal the text goes through a pager: SMTPWIRE_PAGER, PAGER, or less.
    """
    from ..audit import Audit  # noqa: PLC0415
    from ..findings.filters import ConnectionFilter  # noqa: PLC0415
    from ..reports.dialogue import DialogueWriter  # noqa: PLC0415
    from ..reports.end_of_data import EndOfDataWriter  # noqa: PLC0415
    from ..reports.session_list import SessionListWriter  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415
    from .pager import paged  # noqa: PLC0415

    inputs = inputs_of(paths, read)
    if everything and not end_of_data:
        raise UsageError("--all needs --end-of-data", "smtpwire show", "add --end-of-data, or remove --all")
    if listed and end_of_data:
        raise UsageError("--list and --end-of-data together", "smtpwire show", "give one of them")
    times = None if zone is None else _zone(zone)
    wanted = wanted_connections(filters, times or UTC)
    settings = configured(config, no_config)
    options = options_of(
        settings, profile=profile, port=port, decoder=decoder, redact=redact, wanted=wanted, keylog=keylog
    )
    several = are_several(inputs)
    with paged(wanted=not no_pager) as out:
        writer: DialogueWriter | EndOfDataWriter | SessionListWriter
        if end_of_data:
            writer = EndOfDataWriter(out, everything=everything, redact=options.redact, several=several)
            options = replace(options, tap=writer.tap, passed_over=writer.passed_over)
        elif listed:
            writer = SessionListWriter(out, times or UTC, several=several)
        else:
            writer = DialogueWriter(out, several=several, zone=times)
        status = run(Audit(options), inputs, writer, out, FailOn.NEVER, require=require, stated=True)
    only_numbers = wanted is not None and wanted == ConnectionFilter(connections=wanted.connections)
    if status is Status.CLEAN and only_numbers and not writer.found:
        asked = ",".join(filters["connection_"])  # type: ignore[arg-type]  # click gives strings
        raise UsageError("no such connection", f"--connection {asked}", "smtpwire show --list shows the numbers")
    return status


def _zone(name: str) -> tzinfo:
    """Return the zone with this name. Raises UsageError if there is none."""
    if name.lower() == "local":
        return LocalZone()
    if name.upper() in {"UTC", "Z"}:
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = "write UTC, local, +01:00, or Europe/Berlin (without the system's time zones: pip install tzdata)"
        raise UsageError("no such zone", f"--zone {display_path(name)}", hint) from None

"""``smtpwire audit``, ``show`` and ``demo``: what captures hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from ..console import notice
from ..enums import Decoder, Profile, Redact, ReportFormat
from ..errors import UsageError
from ..run import COUNTED, FailOn, Status
from .options import (
    baseline_option,
    concise_option,
    config_option,
    decoder_option,
    fail_option,
    format_option,
    ignore_option,
    jobs_option,
    no_config_option,
    output_option,
    paths_argument,
    port_option,
    profile_option,
    read_option,
    redact_option,
    select_option,
    stats_option,
    zeek_json_option,
)
from .settings import are_several, configured, inputs_of, options_of, output_to

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["audit", "demo", "show"]

_EPILOG = (
    "Exit status: 0 nothing found at or above --fail-on, 1 something found, 2 wrong use, 3 an input could not be read "
    "at all (the others are reported), 130 interrupted (what was read is reported)."
)


@click.command(short_help="Report every breach of the RFCs in captures.", epilog=_EPILOG)
@paths_argument
@read_option
@format_option
@concise_option
@profile_option
@port_option
@select_option
@ignore_option
@fail_option
@baseline_option
@decoder_option
@output_option
@redact_option
@zeek_json_option
@stats_option
@jobs_option
@config_option
@no_config_option
def audit(
    paths: Sequence[str],
    read: Sequence[str],
    format_: ReportFormat | None,
    concise: bool,
    profile: Profile | None,
    port: Sequence[str],
    select: Sequence[str],
    ignore: Sequence[str],
    fail_on: FailOn | None,
    baseline: str | None,
    decoder: Decoder,
    output: Sequence[str],
    redact: Redact | None,
    zeek_json: bool,
    stats: bool,
    jobs: int,
    config: str | None,
    no_config: bool,
) -> int:
    """Report every breach of the RFCs in captures: rule, side at fault, frame, byte, evidence.

    PATH is a capture (pcap or pcapng, also compressed with gzip), a directory of captures, or - for standard input.
    """
    from ..audit import Audit  # noqa: PLC0415
    from ..reports.formats import FORMATS, Style  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415
    from .outputs import destinations, opened  # noqa: PLC0415

    clocks = None
    if stats:
        from .run_stats import Stats  # noqa: PLC0415

        clocks = Stats()
    inputs = inputs_of(paths, read)
    settings = configured(config, no_config)
    wanted = destinations(output, format_, ReportFormat(settings.format))
    options = options_of(
        settings,
        profile=profile,
        port=port,
        select=select,
        ignore=ignore,
        decoder=decoder,
        baseline=baseline if baseline is not None else settings.baseline,
        redact=redact,
        headers=any(FORMATS[one.form].headers for one in wanted),
    )
    audit: Audit | SharedAudit = Audit(options)
    if jobs > 1:
        from ..parallel.partitioned_audit import SharedAudit  # noqa: PLC0415
        from ..parallel.planning import plan  # noqa: PLC0415
        from ..parallel.split_audit import HalvedAudit  # noqa: PLC0415

        if [one.form for one in wanted] != [ReportFormat.NDJSON]:
            raise UsageError("--jobs needs ndjson", f"--jobs {jobs}", "add --format ndjson, or remove --jobs")
        cut = plan(options, inputs, jobs)
        audit = SharedAudit(options, jobs) if cut is None else HalvedAudit(options, cut)
    failing = fail_on or FailOn(settings.fail_on)
    style = Style(concise=concise, zeek_json=zeek_json, failing=COUNTED[failing], several=are_several(inputs))
    with opened(wanted, inputs, style) as (writer, out):
        timed = writer if clocks is None else clocks.around(writer)
        status = run(audit, inputs, timed, out, failing)
    for line in clocks.lines(audit) if clocks is not None else ():
        notice(line)
    return status


@click.command(short_help="Print what both sides said, with each finding in its place.")
@paths_argument
@read_option
@click.option("--connection", metavar="N", type=int, help="Print only the connection with this number.")
@click.option(
    "--end-of-data", is_flag=True, help="Print instead where each kind of reader sees the end of each message."
)
@click.option(
    "--all", "everything", is_flag=True, help="With --end-of-data: also the messages about which all readers agree."
)
@profile_option
@port_option
@decoder_option
@redact_option
@config_option
@no_config_option
def show(
    paths: Sequence[str],
    read: Sequence[str],
    connection: int | None,
    end_of_data: bool,
    everything: bool,
    profile: Profile | None,
    port: Sequence[str],
    decoder: Decoder,
    redact: Redact | None,
    config: str | None,
    no_config: bool,
) -> int:
    """Print the dialogue of each connection, with every finding under the line that it is about.

    PATH is a capture (pcap or pcapng, also compressed with gzip), a directory of captures, or - for standard input.
    """
    from ..audit import Audit  # noqa: PLC0415
    from ..reports.dialogue import DialogueWriter  # noqa: PLC0415
    from ..reports.end_of_data import EndOfDataWriter  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415

    inputs = inputs_of(paths, read)
    if everything and not end_of_data:
        raise UsageError("--all needs --end-of-data", "smtpwire show", "add --end-of-data, or remove --all")
    options = options_of(configured(config, no_config), profile=profile, port=port, decoder=decoder, redact=redact)
    out, several = output_to(), are_several(inputs)
    writer: DialogueWriter | EndOfDataWriter = DialogueWriter(out, connection, several=several)
    if end_of_data:
        writer = EndOfDataWriter(out, connection, everything=everything, redact=options.redact, several=several)
        options = replace(options, tap=writer.tap)
    status = run(Audit(options), inputs, writer, out, FailOn.NEVER)
    if status == Status.CLEAN and connection is not None and not writer.found:
        raise UsageError("no such connection", f"--connection {connection}", "smtpwire audit shows the numbers")
    return status


@click.command(short_help="Audit the sample capture that comes with smtpwire.")
@format_option
def demo(format_: ReportFormat | None) -> int:
    """Audit the sample capture that comes with smtpwire. The exit status is 0 whatever is found."""
    from importlib import resources  # noqa: PLC0415

    from ..audit import Audit  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415
    from .outputs import destinations, opened  # noqa: PLC0415

    with (
        opened(destinations((), format_, ReportFormat.TEXT), ()) as (writer, out),
        resources.as_file(resources.files("smtpwire.samples") / "demo.pcap") as path,
    ):
        return run(Audit(), [str(path)], writer, out, FailOn.NEVER, called="samples/demo.pcap")

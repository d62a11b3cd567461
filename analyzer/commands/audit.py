"""``smtpwire audit`` and ``demo``: who broke which rule."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..console import notice
from ..enums import ReportFormat
from ..run import COUNTED, STATUS_MEANINGS, FailOn, run
from .filter_options import filter_options, wanted_connections
from .options import (
    baseline_option,
    concise_option,
    config_option,
    decoder_option,
    division_options,
    fail_option,
    format_option,
    ignore_option,
    keylog_option,
    no_config_option,
    output_option,
    paths_argument,
    port_option,
    profile_option,
    read_option,
    redact_option,
    require_option,
    select_option,
    stats_option,
    zeek_json_option,
)
from .settings import are_several, configured, inputs_of, options_of, required

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Audit
    from ..enums import Decoder, Profile, Redact, Require
    from ..parallel.engine import ParallelAudit
    from .run_stats import Stats

__all__ = ["audit", "demo"]

_EPILOG = f"Exit status: {', '.join(f'{status:d} {meaning}' for status, meaning in STATUS_MEANINGS.items())}."


@click.command(short_help="Report every breach of the RFCs in captures.", epilog=_EPILOG)
@paths_argument
@read_option
@format_option
@concise_option
@profile_option
@port_option
@select_option
@ignore_option
@filter_options
@fail_option
@require_option
@baseline_option
@decoder_option
@keylog_option
@output_option
@redact_option
@zeek_json_option
@stats_option
@division_options
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
    require: Require | None,
    baseline: str | None,
    decoder: Decoder,
    output: Sequence[str],
    redact: Redact | None,
    zeek_json: bool,
    stats: bool,
    **more: Any,
) -> int:
    """Report every breach of the RFCs in captures: rule, side at fault, frame, byte, evidence.

    PATH is a capture (pcap or pcapng, also compressed with gzip), a directory of captures, or - for standard input.
    """
    from ..reports.formats import FORMATS, Style  # noqa: PLC0415
    from .outputs import destinations, opened, written  # noqa: PLC0415
    from .parallel_audit import Division, auditing, in_parts, parts_of, sharing  # noqa: PLC0415

    clocks = _clocks() if stats else None
    division = Division.taken_from(more)
    inputs = inputs_of(paths, read)
    settings = configured(more.pop("config"), more.pop("no_config"))
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
        keylog=more.pop("keylog"),
        wanted=wanted_connections(more),
    )
    failing = fail_on or FailOn(settings.fail_on)
    style = Style(concise=concise, zeek_json=zeek_json, failing=COUNTED[failing], several=are_several(inputs))
    parts = parts_of(wanted) if division.cluster is not None else ()
    with (
        auditing(options, inputs, division, parts) as audit,
        in_parts(parts) if parts else opened(wanted, inputs, style) as (writer, out),
    ):
        shared = sharing(audit, writer)
        timed = shared if clocks is None else clocks.around(shared)
        stated = all(FORMATS[one.form].states_scope for one in wanted)
        status = run(audit, inputs, timed, out, failing, require=require or required(settings), stated=stated)
    if any(one.path is not None for one in wanted) and sys.stderr.isatty():
        notice(written(wanted, audit.summary))
    _print_times(clocks, audit)
    return status


def _print_times(clocks: Stats | None, audit: Audit | ParallelAudit) -> None:
    for line in () if clocks is None else clocks.lines(audit):
        notice(line)


def _clocks() -> Stats:
    from .run_stats import Stats  # noqa: PLC0415  few runs need it

    return Stats()


@click.command(short_help="Audit the sample capture that comes with smtpwire.")
@format_option
def demo(format_: ReportFormat | None) -> int:
    """Audit the sample capture that comes with smtpwire. The exit status is 0 whatever is found."""
    from importlib import resources  # noqa: PLC0415

    from ..audit import Audit  # noqa: PLC0415
    from .outputs import destinations, opened  # noqa: PLC0415

    with (
        opened(destinations((), format_, ReportFormat.TEXT), ()) as (writer, out),
        resources.as_file(resources.files("smtpwire.samples") / "demo.pcap") as path,
    ):
        return run(Audit(), [str(path)], writer, out, FailOn.NEVER, called="samples/demo.pcap", stated=True)

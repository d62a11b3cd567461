"""``smtpwire audit``, ``show`` and ``demo``: what captures hold."""

from __future__ import annotations

from typing import Annotated

from msgspec.structs import replace

from ..enums import Decoder, ReportFormat
from ..errors import UsageError
from ..run import COUNTED, FailOn, Status, notice
from .options import (
    BaselineOption,
    ConciseOption,
    ConfigOption,
    DecoderOption,
    FailOption,
    FormatOption,
    Ignore,
    JobsOption,
    NoConfigOption,
    OutputOption,
    Paths,
    Ports,
    ProfileOption,
    Read,
    RedactOption,
    Select,
    StatsOption,
    ZeekJsonOption,
    are_several,
    configured,
    inputs_of,
    options_of,
    output_to,
)
from .plain_parser import Option

__all__ = ["audit", "demo", "show"]


def audit(
    paths: Paths = None,
    read: Read = None,
    format_: FormatOption = None,
    concise: ConciseOption = False,
    profile: ProfileOption = None,
    port: Ports = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: FailOption = None,
    baseline: BaselineOption = None,
    decoder: DecoderOption = Decoder.RAW,
    output: OutputOption = None,
    redact: RedactOption = None,
    zeek_json: ZeekJsonOption = False,
    stats: StatsOption = False,
    jobs: JobsOption = 1,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Report every breach of the RFCs in captures: rule, side at fault, frame, byte, evidence."""
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
    wanted = destinations(output or (), format_, ReportFormat(settings.format))
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
            raise UsageError("--jobs belongs to ndjson", f"--jobs {jobs}", "add --format ndjson, or leave it out")
        cut = plan(options, inputs, jobs)
        audit = SharedAudit(options, jobs) if cut is None else HalvedAudit(options, cut)
    failing = fail_on or FailOn(settings.fail_on)
    style = Style(concise=concise, zeek_json=zeek_json, failing=COUNTED[failing], several=are_several(inputs))
    with opened(wanted, inputs, style) as (writer, out):
        status = run(audit, inputs, writer if clocks is None else clocks.around(writer), out, failing)
    for line in clocks.told(audit) if clocks is not None else ():
        notice(line)
    return status


def show(
    paths: Paths = None,
    read: Read = None,
    connection: Annotated[int | None, Option(metavar="N", help="Only the connection with this number.")] = None,
    end_of_data: Annotated[
        bool, Option("--end-of-data", help="Instead: where each kind of reader sees the end of each message.")
    ] = False,
    everything: Annotated[
        bool, Option("--all", help="With --end-of-data: also messages about whose end all of them agree.")
    ] = False,
    profile: ProfileOption = None,
    port: Ports = None,
    decoder: DecoderOption = Decoder.RAW,
    redact: RedactOption = None,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Print the dialogue of each connection, with every finding under the line that it is about."""
    from ..audit import Audit  # noqa: PLC0415
    from ..reports.dialogue import DialogueWriter  # noqa: PLC0415
    from ..reports.end_of_data import EndOfDataWriter  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415

    inputs = inputs_of(paths, read)
    if everything and not end_of_data:
        raise UsageError("--all belongs to --end-of-data", "smtpwire show", "add it, or leave --all out")
    options = options_of(configured(config, no_config), profile=profile, port=port, decoder=decoder, redact=redact)
    out, several = output_to(), are_several(inputs)
    writer: DialogueWriter | EndOfDataWriter = DialogueWriter(out, connection, several=several)
    if end_of_data:
        writer = EndOfDataWriter(out, connection, everything=everything, redact=options.redact, several=several)
        options = replace(options, tap=writer.tap)
    status = run(Audit(options), inputs, writer, out, FailOn.NEVER)
    if status == Status.CLEAN and connection is not None and not writer.found:
        raise UsageError("no such connection", f"--connection {connection}", "smtpwire audit names their numbers")
    return status


def demo(format_: FormatOption = None) -> int:
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

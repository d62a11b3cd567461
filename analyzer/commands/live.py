"""``smtpwire live``: findings as they happen, from interfaces or from a directory that grows."""

from __future__ import annotations

import gc
from contextlib import closing
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from ..console import notice
from ..errors import UsageError, display_path
from ..findings.counts import add
from ..model import Summary
from ..run import FailOn, Status, found
from ..tls.key_files import STDIN, KeyFiles, notes_on
from .option_types import PATH, EnumChoice, Seconds, complete_interfaces
from .options import (
    PORTS,
    baseline_option,
    config_option,
    ignore_option,
    keylog_option,
    no_config_option,
    profile_option,
    redact_option,
    select_option,
)
from .settings import configured, options_of, output_to, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..audit import Options
    from ..config import Config
    from ..enums import Profile, Redact
    from ..live.event_loop import EventLoop
    from ..live.opening import Opening, OpenInterfaces
    from ..live.signals import Signals
    from ..live.sinks import Sink
    from ..reports.output import Output
    from ..tls.key_log import KeyLog

__all__ = ["live"]


class LiveFormat(StrEnum):
    """Formats of what is reported live."""

    TEXT = "text"
    NDJSON = "ndjson"


@click.command(short_help="Watch interfaces: report each breach when it happens.")
@click.option(
    "-i",
    "--interface",
    metavar="IFACE",
    multiple=True,
    shell_complete=complete_interfaces,
    help="Watch this interface. any: all interfaces. Repeatable.",
)
@click.option("--watch", metavar="DIR", type=PATH, help="Watch a directory for new captures instead.")
@click.option(
    "--format",
    "format_",
    type=EnumChoice(LiveFormat),
    default="text",
    show_default=True,
    help="Format of the report. ndjson: one JSON object on each line.",
)
@click.option("--plain", is_flag=True, help="Print lines on a terminal too, instead of a screen.")
@click.option(
    "--bpf", metavar="EXPR", help="Capture what this libpcap filter accepts, instead of --port. '': everything."
)
@click.option(
    "--port",
    metavar="N[,N...]",
    multiple=True,
    help=f"Capture only these TCP ports, instead of {PORTS}. For all ports use --bpf ''.",
)
@click.option("-p", "--no-promiscuous", is_flag=True, help="Do not capture frames that are sent to other hosts.")
@click.option(
    "--buffer",
    metavar="MB",
    type=click.IntRange(min=1, max=65_536),
    default=64,
    show_default=True,
    help="Size of the kernel's packet ring.",
)
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of processes that share the connections, for a rate that is too high for one.",
)
@click.option("-w", "--write", metavar="FILE", type=PATH, help="Write the captured frames to FILE, as pcapng.")
@click.option("--ring", metavar="SIZExN", help="With --write: keep the latest N files of SIZE: 100MBx10.")
@click.option("--duration", metavar="S", type=Seconds(min=0), help="Stop after S seconds.")
@click.option("-c", "--count", metavar="N", type=click.IntRange(min=1), help="Stop after N frames.")
@click.option("--snapshot", metavar="S", type=Seconds(min=0.1), help="Report open connections every S seconds.")
@click.option(
    "--user",
    metavar="NAME",
    help="User to become after the interfaces are open, or before files of --watch are read. Default with -i: the user "
    "who called sudo, else nobody.",
)
@click.option("--metrics", metavar="ADDRESS:PORT", help="Serve counts for Prometheus over HTTP.")
@click.option("--syslog", metavar="TARGET", help="Send findings to /dev/log, udp:ADDRESS:PORT or tcp:ADDRESS:PORT.")
@profile_option
@select_option
@ignore_option
@click.option(
    "--fail-on",
    type=EnumChoice(FailOn),
    default="never",
    show_default=True,
    help="Exit with status 1 if a finding had this severity or a higher one.",
)
@baseline_option
@keylog_option
@redact_option
@config_option
@no_config_option
def live(
    interface: Sequence[str],
    watch: str | None,
    format_: LiveFormat,
    plain: bool,
    bpf: str | None,
    port: Sequence[str],
    no_promiscuous: bool,
    buffer: int,
    jobs: int,
    write: str | None,
    ring: str | None,
    duration: float | None,
    count: int | None,
    snapshot: float | None,
    user: str | None,
    metrics: str | None,
    syslog: str | None,
    profile: Profile | None,
    select: Sequence[str],
    ignore: Sequence[str],
    fail_on: FailOn,
    baseline: str | None,
    keylog: Sequence[str],
    redact: Redact | None,
    config: str | None,
    no_config: bool,
) -> int:
    """Watch interfaces: report each breach when it happens.

    Ctrl-C or SIGTERM ends the run with a summary. SIGUSR1 reports the open connections. SIGHUP reads the settings
    again. Privileges are dropped before the first frame is read.
    """
    from ..live.event_loop import EventLoop  # noqa: PLC0415
    from ..live.opening import OpenDirectory, OpenInterfaces  # noqa: PLC0415

    _check(interface, watch, bpf, write, ring)
    if jobs > 1:
        _check_jobs(jobs, watch=watch, write=write, count=count)
        if STDIN in keylog:
            raise UsageError("--keylog - needs one process", f"--jobs {jobs}", "remove --jobs, or name a file")
    keys = _growing(keylog)

    def read(settings: Config) -> Options:
        known = baseline if baseline is not None else settings.baseline
        options = options_of(
            settings, profile=profile, port=port, select=select, ignore=ignore, baseline=known, redact=redact
        )
        return replace(options, keys=keys)

    options = read(configured(config, no_config))
    output = output_to()
    sink = _sink(format_, output, metrics, syslog, plain=plain)
    loop = partial(
        EventLoop,
        seconds=duration,
        frames=count,
        snapshot_seconds=snapshot,
        reload=lambda: read(settings_of(config, no_config)),
    )

    opening = (
        OpenDirectory(watch, user)
        if watch is not None
        else OpenInterfaces(
            interface, options.ports, bpf, buffer << 20, not no_promiscuous, user, write, ring, jobs, keys
        )
    )
    if jobs > 1:
        assert isinstance(opening, OpenInterfaces)
        return _share(opening, options, sink, loop, fail_on, output)
    return _run(opening, options, sink, loop, fail_on)


def _growing(paths: Sequence[str]) -> KeyLog | None:
    """Open key logs that programs still write to, None if there are none. Raises UsageError."""
    if not paths:
        return None
    files = KeyFiles()
    for path in paths:
        files.add(path, growing=True)
    for note in notes_on(files.keys):
        notice(note)
    return files.keys


def _check(interface: Sequence[str], watch: str | None, bpf: str | None, write: str | None, ring: str | None) -> None:
    """Raise UsageError if these options do not fit together."""
    if watch is None and not interface:
        raise UsageError("nothing to watch", "live", "name an interface with -i, or a directory with --watch")
    if watch is not None and interface:
        raise UsageError("-i and --watch together", f"--watch {display_path(watch)}", "use one of them")
    if ring is not None and write is None:
        raise UsageError("--ring without --write", f"--ring {ring}", "name the file with --write")
    if watch is not None and (write is not None or bpf is not None):
        raise UsageError("--bpf and --write need an interface", "--watch", "remove --bpf and --write, or use -i")


def _check_jobs(jobs: int, *, watch: str | None, write: str | None, count: int | None) -> None:
    """Raise UsageError for options that need one process."""
    for name, value in (("--watch", watch), ("--write", write), ("--count", count)):
        if value is not None:
            raise UsageError(f"{name} needs one process", f"--jobs {jobs}", f"remove --jobs, or {name}")


def _run(opening: Opening, options: Options, sink: Sink, loop: Callable[..., EventLoop], fail_on: FailOn) -> int:
    """Run the audit to its end. Returns the exit status."""
    from ..live.live_audit import LiveAudit  # noqa: PLC0415
    from ..live.opening import OpenDirectory  # noqa: PLC0415

    audit = LiveAudit(options)
    if isinstance(opening, OpenDirectory):
        opening.keys_of = audit.keys_of

    def go(signals: Signals) -> None:
        loop(opening.source(), audit, sink, signals).run()

    return _guarded(opening, sink, go) or found(audit.summary, fail_on)


def _share(
    opening: OpenInterfaces,
    options: Options,
    sink: Sink,
    loop: Callable[..., EventLoop],
    fail_on: FailOn,
    output: Output,
) -> int:
    """Run the audit to its end in several processes. Returns the exit status."""
    from ..live.live_audit import LiveAudit  # noqa: PLC0415
    from ..live.shared_audit import SharedLiveAudit  # noqa: PLC0415

    summary = Summary()
    complete = True

    def go(signals: Signals) -> None:
        nonlocal complete
        shared = SharedLiveAudit(opening.sources(), lambda: LiveAudit(options), sink, signals, loop, output)
        try:
            shared.run()
        finally:
            add(summary, shared.summary)
            complete = shared.complete

    status = _guarded(opening, sink, go)
    return status or (found(summary, fail_on) if complete else Status.UNREADABLE)


def _guarded(opening: Opening, sink: Sink, go: Callable[[Signals], None]) -> int:
    """Open everything, and call ``go``. Returns the exit status of an interrupt, else 0.

    This is the only place where privileges are dropped: after what needs them was opened, and before anything else is.
    """
    from ..live.privileges import become  # noqa: PLC0415
    from ..live.signals import Signals  # noqa: PLC0415

    with Signals() as signals:  # from here on a signal ends the run, and does not kill it
        try:
            opening.sockets()
            sink.prepare()
            if opening.drops:
                become(opening.who)
            gc.freeze()  # these objects stay: the collector runs all the time and need not visit them
            with closing(sink):
                sink.open()
                go(signals)
        except BrokenPipeError:
            pass
        except KeyboardInterrupt:
            return Status.INTERRUPTED
    return Status.CLEAN


def _sink(form: LiveFormat, out: Output, metrics: str | None, syslog: str | None, *, plain: bool) -> Sink:
    from ..live.line_sinks import JsonLinesSink, TextLinesSink  # noqa: PLC0415
    from ..live.sinks import SinkGroup  # noqa: PLC0415

    sinks: list[Sink]
    if form is LiveFormat.NDJSON:
        sinks = [JsonLinesSink(out)]
    elif out.terminal and not plain:
        from ..live.screen_sink import ScreenSink  # noqa: PLC0415

        sinks = [ScreenSink(out)]
    else:
        sinks = [TextLinesSink(out)]
    if metrics is not None:
        from ..live.prometheus_sink import PrometheusSink  # noqa: PLC0415

        sinks.append(PrometheusSink(metrics))
    if syslog is not None:
        from ..live.syslog_sink import SyslogSink  # noqa: PLC0415

        sinks.append(SyslogSink(syslog))
    return sinks[0] if len(sinks) == 1 else SinkGroup(sinks)

"""``smtpwire live``: findings as they happen, from interfaces or from a directory that grows."""

from __future__ import annotations

import gc
from contextlib import closing
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

from ..errors import UsageError
from ..run import FailOn, Status, found, notice
from .options import (
    BaselineOption,
    ConfigOption,
    Ignore,
    NoConfigOption,
    Ports,
    ProfileOption,
    RedactOption,
    Select,
    configured,
    options_of,
    output_to,
    settings_of,
)
from .plain_parser import Option

if TYPE_CHECKING:
    from ..audit import Options
    from ..config import Config
    from ..live.interfaces import Interfaces, Source
    from ..live.scapy_source import ScapySource
    from ..live.sinks import Sink
    from ..reports.output import Output

__all__ = ["live"]

# What the audit imports only where it meets something: tunnels, settings, hosts, a name that is spelled wrong.
_LATER = ("..segments.scapy_decoder", "tomllib", "ipaddress", "difflib")


class LiveForm(StrEnum):
    """Forms of news."""

    TEXT = "text"
    NDJSON = "ndjson"


def live(
    interface: Annotated[
        list[str] | None, Option("-i", "--interface", metavar="IFACE", help="Watch this one; any is all of them.")
    ] = None,
    watch: Annotated[
        str | None, Option("--watch", metavar="DIR", help="Instead, the captures that appear in a directory.")
    ] = None,
    format_: Annotated[LiveForm, Option("--format", help="ndjson is one JSON object a line.")] = LiveForm.TEXT,
    plain: Annotated[bool, Option("--plain", help="Lines on a terminal too, no screen.")] = False,
    bpf: Annotated[
        str | None,
        Option("--bpf", metavar="EXPR", help="Capture what this filter takes, not --port; '' is everything."),
    ] = None,
    port: Ports = None,
    no_promiscuous: Annotated[bool, Option("-p", "--no-promiscuous", help="Not what is for others.")] = False,
    buffer: Annotated[int, Option("--buffer", metavar="MB", min=1, help="Memory of the ring.")] = 64,
    write: Annotated[
        str | None, Option("-w", "--write", metavar="FILE", help="Write what is captured, as pcapng.")
    ] = None,
    ring: Annotated[
        str | None, Option("--ring", metavar="SIZExN", help="Write the latest N files of SIZE: 100MBx10.")
    ] = None,
    duration: Annotated[
        float | None, Option("--duration", metavar="S", min=0, help="End after so many seconds.")
    ] = None,
    count: Annotated[int | None, Option("-c", "--count", metavar="N", min=1, help="End after N frames.")] = None,
    snapshot: Annotated[
        float | None,
        Option("--snapshot", metavar="S", min=0.1, help="Tell open connections every S seconds."),
    ] = None,
    user: Annotated[
        str | None,
        Option("--user", metavar="NAME", help="Who to be once capturing; else who called sudo, else nobody."),
    ] = None,
    metrics: Annotated[
        str | None, Option("--metrics", metavar="ADDRESS:PORT", help="Counts for Prometheus, over HTTP.")
    ] = None,
    syslog: Annotated[
        str | None,
        Option("--syslog", metavar="TARGET", help="Findings to /dev/log, udp:ADDRESS:PORT or tcp:ADDRESS:PORT."),
    ] = None,
    profile: ProfileOption = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: Annotated[
        FailOn, Option("--fail-on", help="End with 1 if a finding was of this severity or a higher one.")
    ] = FailOn.NEVER,
    baseline: BaselineOption = None,
    redact: RedactOption = None,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Watch interfaces: report each breach when it happens.

    Ctrl-C or SIGTERM ends the run with a summary; SIGUSR1 tells the connections that are open; SIGHUP reads the
    configuration again. Rights are given back once the interfaces are open.
    """
    from ..live.directory_source import DirectorySource  # noqa: PLC0415
    from ..live.event_loop import EventLoop  # noqa: PLC0415
    from ..live.live_audit import LiveAudit  # noqa: PLC0415
    from ..live.recorder import rotation  # noqa: PLC0415
    from ..live.signals import Signals  # noqa: PLC0415

    if (watch is None) is (not interface):
        raise UsageError("nothing to watch", "live", "name an interface with -i, or a directory with --watch")
    if ring is not None and write is None:
        raise UsageError("--ring without --write", f"--ring {ring}", "name the file with --write")
    if watch is not None and (write is not None or bpf is not None):
        raise UsageError("only what is captured can be filtered and written", "--watch", "leave --bpf and --write out")

    def read(settings: Config) -> Options:
        return options_of(
            settings,
            profile=profile,
            port=port,
            select=select,
            ignore=ignore,
            baseline=baseline if baseline is not None else settings.baseline,
            redact=redact,
        )

    options = read(configured(config, no_config))
    audit = LiveAudit(options)
    # All is imported while there are rights: who we become may not be allowed to read Python.
    sink = _sink(format_, output_to(), metrics, syslog, plain=plain)
    if watch is not None:
        source: Source = DirectorySource(watch)
    else:
        files = None if ring is None else rotation(ring)
        source = _interfaces(interface or [], options.ports, bpf, buffer << 20, not no_promiscuous, user)
        if write is not None:
            source.record_to(write, files)
    audit.attach(sink)
    gc.freeze()  # what is loaded now stays: the collector, which runs all the time, need not look at it again
    with closing(sink), Signals() as signals:
        sink.open()
        loop = EventLoop(
            source,
            audit,
            sink,
            signals,
            seconds=duration,
            frames=count,
            snapshot_seconds=snapshot,
            reload=lambda: read(settings_of(config, no_config)),
        )
        try:
            loop.run()
        except BrokenPipeError:
            return found(audit.summary, fail_on)
        except KeyboardInterrupt:
            return Status.INTERRUPTED
    return found(audit.summary, fail_on)


def _interfaces(
    names: list[str], ports: frozenset[int], bpf: str | None, size: int, promiscuous: bool, user: str | None
) -> Interfaces | ScapySource:
    """Open what needs rights, and give these back."""
    import socket  # noqa: PLC0415

    from ..live.privileges import drop, target  # noqa: PLC0415
    from ..live.scapy_source import ScapySource  # noqa: PLC0415

    who = target(user)
    if not hasattr(socket, "AF_PACKET"):
        slow = ScapySource(names, ports, bpf, promiscuous=promiscuous)
        drop(who)
        return slow
    for name in _LATER:
        import_module(name, __package__)
    from ..live.interfaces import Interfaces  # noqa: PLC0415

    source = Interfaces(names, ports, bpf, size=size, promiscuous=promiscuous)
    drop(who)
    notice(f"capturing on {source.name}: ring of {source.size >> 20} MB")
    return source


def _sink(form: LiveForm, out: Output, metrics: str | None, syslog: str | None, *, plain: bool) -> Sink:
    from ..live.line_sinks import JsonLinesSink, TextLinesSink  # noqa: PLC0415
    from ..live.sinks import SinkGroup  # noqa: PLC0415

    sinks: list[Sink]
    if form is LiveForm.NDJSON:
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

"""``smtpwire live``: findings as they happen, from interfaces or from a directory that grows."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..audit import Options
    from ..config import Config
    from ..live.sinks import Sink
    from ..live.source import Source
    from ..reports.output import Output

__all__ = ["live"]


class LiveForm(StrEnum):
    """Forms of news."""

    TEXT = "text"
    NDJSON = "ndjson"


def live(
    interface: Annotated[
        list[str] | None, typer.Option("-i", "--interface", metavar="IFACE", help="Watch this one; any is all of them.")
    ] = None,
    watch: Annotated[
        str | None, typer.Option("--watch", metavar="DIR", help="Instead, the captures that appear in a directory.")
    ] = None,
    format_: Annotated[LiveForm, typer.Option("--format", help="ndjson is one JSON object a line.")] = LiveForm.TEXT,
    plain: Annotated[bool, typer.Option("--plain", help="Lines on a terminal too, no screen.")] = False,
    bpf: Annotated[
        str | None,
        typer.Option("--bpf", metavar="EXPR", help="Capture what this filter takes, not --port; '' is everything."),
    ] = None,
    port: Ports = None,
    no_promiscuous: Annotated[bool, typer.Option("-p", "--no-promiscuous", help="Not what is for others.")] = False,
    buffer: Annotated[int, typer.Option("--buffer", metavar="MB", min=1, help="Memory of the ring.")] = 64,
    write: Annotated[
        str | None, typer.Option("-w", "--write", metavar="FILE", help="Write what is captured, as pcapng.")
    ] = None,
    ring: Annotated[
        str | None, typer.Option("--ring", metavar="SIZExN", help="Write the latest N files of SIZE: 100MBx10.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", metavar="S", min=0, help="End after so many seconds.")
    ] = None,
    count: Annotated[int | None, typer.Option("-c", "--count", metavar="N", min=1, help="End after N frames.")] = None,
    snapshot: Annotated[
        float | None,
        typer.Option("--snapshot", metavar="S", min=0.1, help="Tell open connections every S seconds."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Who to be once capturing; else who called sudo, else nobody."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="ADDRESS:PORT", help="Counts for Prometheus, over HTTP.")
    ] = None,
    syslog: Annotated[
        str | None,
        typer.Option("--syslog", metavar="TARGET", help="Findings to /dev/log, udp:ADDRESS:PORT or tcp:ADDRESS:PORT."),
    ] = None,
    profile: ProfileOption = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="End with 1 if a finding was of this severity or a higher one.")
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
    from ..live.early import LiveAudit  # noqa: PLC0415
    from ..live.loop import Loop  # noqa: PLC0415
    from ..live.signals import Signals  # noqa: PLC0415
    from ..live.sinks import Several  # noqa: PLC0415

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
    out = output_to()
    with ExitStack() as stack:
        # Everything is imported and checked while there are rights: who we become may not be allowed to read Python.
        told: list[Metrics | Syslog] = []
        if metrics is not None:
            from ..live.metrics import Metrics  # noqa: PLC0415

            told.append(Metrics(metrics))
        if syslog is not None:
            from ..live.syslog import Syslog  # noqa: PLC0415

            told.append(Syslog(syslog))
        screen = format_ is LiveForm.TEXT and out.terminal and not plain
        lines = _lines(format_, out, lambda: source.name, screen=screen)
        source: Source
        if watch is not None:
            source = _directory(watch)
        else:
            promiscuous = not no_promiscuous
            source = _interfaces(interface or [], options, bpf, buffer << 20, promiscuous, write, ring, user)
        sinks: list[Sink] = [stack.enter_context(lines) if isinstance(lines, Screen) else lines]
        sinks += [stack.enter_context(one) for one in told]
        signals = stack.enter_context(Signals())
        loop = Loop(
            source,
            audit,
            sinks[0] if len(sinks) == 1 else Several(sinks),
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


def _directory(path: str) -> Source:
    from ..live.watch import Directory  # noqa: PLC0415

    return Directory(path)


def _interfaces(
    names: list[str],
    options: Options,
    bpf: str | None,
    size: int,
    promiscuous: bool,
    write: str | None,
    ring: str | None,
    user: str | None,
) -> Source:
    """Open what needs rights, give them back, and open what needs none."""
    from ..live.privileges import drop, target  # noqa: PLC0415
    from ..live.record import Recorder, rotation  # noqa: PLC0415

    files = None if ring is None else rotation(ring)
    who = target(user)
    if not hasattr(socket, "AF_PACKET"):
        from ..live.fallback import ScapySource  # noqa: PLC0415

        if write is not None:
            raise UsageError("no ring to write from on this system", "--write", "capture with tcpdump -w beside it")
        return ScapySource(names, options.ports, bpf, promiscuous=promiscuous)
    from .. import scapy_lane  # noqa: F401, PLC0415  tunnels need it, and who we become may not be allowed to read it
    from ..live.ring import BLOCK_BYTES  # noqa: PLC0415
    from ..live.source import Interfaces  # noqa: PLC0415

    source = Interfaces(names, options.ports, bpf, size=size, promiscuous=promiscuous)
    drop(who)
    notice(f"capturing on {source.name}: ring of {sum(one.blocks for one in source.rings) * BLOCK_BYTES >> 20} MB")
    if write is not None:
        links = [(one.interface, one.link_type) for one in source.rings]
        source.record = Recorder(write, links, files)
    return source


def _lines(form: LiveForm, out: Output, name: Callable[[], str], *, screen: bool) -> JsonLines | TextLines | Screen:
    if form is LiveForm.NDJSON:
        from ..live.lines import JsonLines  # noqa: PLC0415

        return JsonLines(out)
    if screen:
        from ..live.screen import Screen  # noqa: PLC0415

        return Screen(out, name)
    from ..live.lines import TextLines  # noqa: PLC0415

    return TextLines(out, name)

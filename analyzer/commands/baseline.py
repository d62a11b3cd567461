"""``smtpwire baseline write``: record today's findings as known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..console import notice, say
from ..enums import Decoder, Profile, Redact
from ..errors import UsageError, display_path
from ..run import FailOn, Status
from .option_types import PATH
from .options import (
    config_option,
    decoder_option,
    ignore_option,
    keylog_option,
    no_config_option,
    port_option,
    profile_option,
    select_option,
)
from .settings import configured, options_of, output_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..findings.baseline import Entry
    from ..model import Capture, Connection, Summary

__all__ = ["baseline"]


@click.group(short_help="Record today's findings, so that later audits leave them out.")
def baseline() -> None:
    """Record findings that are known. Later audits leave them out."""


@baseline.command(short_help="Write the findings of captures to a file, for audit --baseline.")
@click.argument("file", type=PATH)
@click.argument("paths", metavar="PATH...", nargs=-1, type=PATH)
@click.option("-o", "--output", metavar="FILE", type=PATH, help="The file to write, in place of the first argument.")
@profile_option
@port_option
@select_option
@ignore_option
@decoder_option
@keylog_option
@config_option
@no_config_option
def write(
    file: str,
    paths: Sequence[str],
    output: str | None,
    profile: Profile | None,
    port: Sequence[str],
    select: Sequence[str],
    ignore: Sequence[str],
    decoder: Decoder,
    keylog: Sequence[str],
    config: str | None,
    no_config: bool,
) -> int:
    """Write what audit finds in PATH to FILE, for audit --baseline FILE. An older baseline in FILE is replaced.

    Nothing is written if an input cannot be read or the run is interrupted: findings that are missing from the
    baseline would come back as new ones.
    """
    from ..audit import Audit  # noqa: PLC0415
    from ..findings.baseline import read_baseline, write_baseline  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415

    if output is not None:
        file, paths = output, (file, *paths)
    if not paths:
        raise UsageError("no capture is named", display_path(file), "write smtpwire baseline write FILE PATH...")
    settings = configured(config, no_config)
    options = options_of(
        settings,
        profile=profile,
        port=port,
        select=select,
        ignore=ignore,
        decoder=decoder,
        keylog=keylog,
        redact=Redact.SECRETS,  # an entry holds no names, and is the same for every audit
    )
    # A file that is not a baseline is not overwritten, and that is reported before the work starts.
    read_baseline(file, missing_ok=True)
    collected = _Collector()
    status = run(Audit(options), paths, collected, output_to(), FailOn.NEVER)
    if status is not Status.CLEAN:
        notice(f"the baseline is not written: {file}")
        return status
    count = write_baseline(file, collected.entries)
    say(f"{collected.findings:,} findings in {count:,} entries: {display_path(file)}")
    return Status.CLEAN


class _Collector:
    """A writer that collects the entries of all findings."""

    streams = False

    def __init__(self) -> None:
        self.entries: set[Entry] = set()
        self.findings = 0

    def capture(self, capture: Capture) -> None:
        """Collect nothing."""

    def connection(self, connection: Connection) -> None:
        """Collect the entries of its findings."""
        from ..findings.baseline import entry  # noqa: PLC0415

        self.findings += len(connection.findings)
        self.entries.update(entry(finding, connection) for finding in connection.findings)

    def finish(self, summary: Summary) -> None:
        """Do nothing: the command writes the file when it knows that everything was read."""

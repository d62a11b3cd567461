"""``smtpwire baseline write``: today's findings are known from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ..enums import Decoder, Redact
from ..run import FailOn, Status, notice
from .options import (
    ConfigOption,
    DecoderOption,
    Ignore,
    NoConfigOption,
    Ports,
    ProfileOption,
    Select,
    configured,
    options_of,
    output_to,
)
from .plain_parser import Argument, Command, Group

if TYPE_CHECKING:
    from ..findings.baseline import Entry
    from ..model import Capture, Connection, Summary

__all__ = ["group"]


def write(
    file: Annotated[str, Argument(metavar="FILE", help="The baseline; an older one there is replaced.")],
    paths: Annotated[list[str], Argument(metavar="PATH...", help="Captures, as audit takes them.")],
    profile: ProfileOption = None,
    port: Ports = None,
    select: Select = None,
    ignore: Ignore = None,
    decoder: DecoderOption = Decoder.RAW,
    config: ConfigOption = None,
    no_config: NoConfigOption = False,
) -> int:
    """Write what audit finds in PATH to FILE, for audit --baseline FILE.

    Nothing is written if an input cannot be read or the run is interrupted: what is missing would come back as new.
    """
    from ..audit import Audit  # noqa: PLC0415
    from ..findings.baseline import read_baseline, write_baseline  # noqa: PLC0415
    from ..run import run  # noqa: PLC0415

    settings = configured(config, no_config)
    # An entry has no names in it, and is made from what was said.
    options = options_of(
        settings,
        profile=profile,
        port=port,
        select=select,
        ignore=ignore,
        decoder=decoder,
        redact=Redact.NONE,
    )
    read_baseline(file, missing_ok=True)  # what is no baseline is not overwritten, and that is told before the work
    collected = _Collector()
    status = run(Audit(options), paths, collected, output_to(), FailOn.NEVER)
    if status is not Status.CLEAN:
        notice(f"the baseline is not written: {file}")
        return status
    count = write_baseline(file, collected.entries)
    print(f"{collected.findings:,} findings in {count:,} entries: {file}")
    return Status.CLEAN


class _Collector:
    """A writer that keeps the entries of all findings."""

    streams = False

    def __init__(self) -> None:
        self.entries: set[Entry] = set()
        self.findings = 0

    def capture(self, capture: Capture) -> None:
        """Nothing to keep."""

    def connection(self, connection: Connection) -> None:
        """Keep the entries of its findings."""
        from ..findings.baseline import entry  # noqa: PLC0415

        self.findings += len(connection.findings)
        self.entries.update(entry(finding, connection) for finding in connection.findings)

    def finish(self, summary: Summary) -> None:
        """The file is written by the command, once it is known that everything was read."""


group = Group(
    "Findings that are known, and are left out of later audits.",
    "Know today's findings, so that later audits leave them out.",
    {"write": Command(write)},
)

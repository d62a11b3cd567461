"""Options that several commands share, and what they mean together with the configuration file."""

# The command line wins over the file, so an option that is not given has to be told from one that is: the default of
# each is None, and the real default stands in `config.Config` and, for the help, beside the option.

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..enums import Decoder, Profile, Redact, ReportFormat
from ..errors import UsageError, display_path
from ..run import FailOn, notice
from .plain_parser import Argument, Option

if TYPE_CHECKING:
    from ..audit import Options
    from ..config import Config
    from ..reports.output import Output

__all__ = [
    "BaselineOption",
    "ConciseOption",
    "ConfigOption",
    "DecoderOption",
    "FailOption",
    "FormatOption",
    "Ignore",
    "JobsOption",
    "NoConfigOption",
    "OutputOption",
    "Paths",
    "Ports",
    "ProfileOption",
    "Read",
    "RedactOption",
    "Select",
    "StatsOption",
    "ZeekJsonOption",
    "are_several",
    "configured",
    "inputs_of",
    "options_of",
    "output_to",
    "settings_of",
]

Paths = Annotated[
    list[str] | None,
    Argument(
        metavar="PATH...", help="Captures (pcap, pcapng, also gzipped), directories of them, or - for standard input."
    ),
]
Read = Annotated[list[str] | None, Option("-r", "--read", metavar="PATH", help="The same as PATH.")]
FormatOption = Annotated[
    ReportFormat | None,
    Option(
        "--format",
        metavar="FORM",
        show_default="text",
        help=f"Form of the report: {', '.join(ReportFormat)}; docs/formats.md has more of each.",
    ),
]
ProfileOption = Annotated[
    Profile | None, Option(help="Judge by these rules; else chosen for each connection by what it does.")
]
Ports = Annotated[
    list[str] | None,
    Option("--port", metavar="N[,N...]", help="Server ports of SMTP; elsewhere it is recognised by content."),
]
Select = Annotated[
    list[str] | None,
    Option("--select", metavar="RULE[,...]", help="Only these rules: ids, prefixes of ids, or names."),
]
Ignore = Annotated[
    list[str] | None, Option("--ignore", metavar="RULE[,...]", help="Not these rules; wins over --select.")
]
FailOption = Annotated[
    FailOn | None,
    Option("--fail-on", show_default="error", help="Exit with 1 if a finding is of this severity or a higher one."),
]
DecoderOption = Annotated[
    Decoder, Option("--decoder", help="raw is fast; scapy sends every frame through Scapy's own dissection.")
]
ConciseOption = Annotated[
    bool, Option("--concise", help="Text with one line for each finding: CAPTURE:FRAME: SEVERITY RULE SIDE.")
]
OutputOption = Annotated[
    list[str] | None,
    Option(
        "-o",
        "--output",
        metavar="[FORMAT:]FILE",
        help="Write a report there, not to standard output; several times for several reports. Without FORMAT it "
        "is that of --format, or what the name stands for: report.html.",
    ),
]
RedactOption = Annotated[
    Redact | None,
    Option(
        "--redact",
        show_default="secrets",
        help="What reports do not tell: passwords and text of messages; with pii also mailboxes, subjects, message "
        "ids, names and addresses of clients.",
    ),
]
StatsOption = Annotated[bool, Option("--stats", help="Say on standard error how fast it was, and what took the time.")]
JobsOption = Annotated[
    int,
    Option(
        "--jobs",
        "-j",
        min=1,
        max=64,
        metavar="N",
        help="With --format ndjson: processes that share the work.",
    ),
]
ZeekJsonOption = Annotated[
    bool, Option("--zeek-json", help="With --format zeek: JSON lines rather than tab-separated text.")
]
BaselineOption = Annotated[
    str | None,
    Option("--baseline", metavar="FILE", help="Leave out the findings that baseline write has put there."),
]
ConfigOption = Annotated[
    str | None,
    Option("--config", metavar="FILE", help="Settings; else smtpwire.toml or pyproject.toml, from here upwards."),
]
NoConfigOption = Annotated[bool, Option("--no-config", help="Read no configuration file.")]


def configured(config: str | None, no_config: bool) -> Config:
    """The settings of the file that holds here. Plugins come first, since settings may name their rules."""
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    load_plugins(notice)
    return settings_of(config, no_config)


def settings_of(config: str | None, no_config: bool) -> Config:
    """The settings of the file that holds here, where plugins have been loaded."""
    from ..config import Config, find_config, read_config  # noqa: PLC0415

    if no_config:
        if config is not None:
            raise UsageError("--config and --no-config together", display_path(config), "give one of them")
        return Config()
    path = Path(config) if config is not None else find_config(Path.cwd())
    return Config() if path is None else read_config(path)


def options_of(
    config: Config,
    *,
    profile: Profile | None = None,
    port: list[str] | None = None,
    select: list[str] | None = None,
    ignore: list[str] | None = None,
    decoder: Decoder = Decoder.RAW,
    baseline: str | Path | None = None,
    redact: Redact | None = None,
    headers: bool = False,
) -> Options:
    """What to audit by: the file's settings, under those of the command line."""
    from ..audit import DEFAULT_PORTS, Options  # noqa: PLC0415

    known = None
    if baseline is not None:
        from ..findings.baseline import read_baseline  # noqa: PLC0415

        known = read_baseline(baseline)
    return Options(
        profile=profile.value if profile is not None else config.profile,
        ports=_ports(port) if port else DEFAULT_PORTS | frozenset(config.ports),
        select=_words(select) if select else config.select,
        ignore=_words(ignore) if ignore else config.ignore,
        decoder=decoder.value,
        limits=config.limits,
        peers=config.peers,
        known_codes=frozenset(config.known_codes),
        baseline=known,
        redact=redact or Redact(config.redact),
        headers=headers,
    )


def inputs_of(paths: list[str] | None, read: list[str] | None) -> list[str]:
    """What to read. Raises UsageError for nothing."""
    inputs = [*(read or ()), *(paths or ())]
    if not inputs:
        raise UsageError("nothing to read", "no PATH is given", "name files, directories, or - for standard input")
    return inputs


def are_several(inputs: list[str]) -> bool:
    """Whether more than one capture may be read."""
    return len(inputs) > 1 or any(Path(name).is_dir() for name in inputs)


def _words(values: list[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def _ports(values: list[str]) -> frozenset[int]:
    ports = set()
    for word in _words(values):
        if not (word.isascii() and word.isdigit() and 0 < int(word[:6]) < 65536):
            raise UsageError("no such port", f"--port {word}", "give numbers from 1 to 65535, commas between them")
        ports.add(int(word))
    return frozenset(ports)


def output_to() -> Output:
    """Standard output."""
    from ..reports.output import Output  # noqa: PLC0415

    return Output(sys.stdout.buffer, encoding=sys.stdout.encoding)

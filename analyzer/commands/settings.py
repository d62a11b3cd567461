"""What the options mean together with the configuration file: settings, inputs, standard output."""

# The command line wins over the file, so an option that is not given differs from one that is: the default of each is
# None, or an empty tuple if it may be given several times. The real defaults are those of `config.Config`.

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..console import notice
from ..enums import Decoder, Profile, Redact, Require
from ..errors import UsageError, display_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Options
    from ..config import Config
    from ..findings.filters import ConnectionFilter
    from ..reports.output import Output

__all__ = ["are_several", "configured", "inputs_of", "options_of", "output_to", "required", "settings_of", "words"]


def configured(config: str | None, no_config: bool) -> Config:
    """Load the plugins, then read the settings file. Settings may name rules of plugins."""
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    load_plugins(notice)
    return settings_of(config, no_config)


def settings_of(config: str | None, no_config: bool) -> Config:
    """Read the settings file that applies here. Plugins must have been loaded. Raises UsageError."""
    from ..config import Config, find_config, read_config  # noqa: PLC0415

    if no_config:
        if config is not None:
            raise UsageError("--config and --no-config together", display_path(config), "give one of them")
        return Config()
    path = Path(config) if config is not None else find_config(_here(), _home())
    return Config() if path is None else read_config(path, found=config is None)


def _here() -> Path:
    """Return the working directory. Raises UsageError if it is gone."""
    try:
        return Path.cwd()
    except OSError as error:
        hint = "change to another directory, or add --no-config"
        raise UsageError(f"no working directory ({error.strerror})", "smtpwire", hint) from error


def _home() -> Path | None:
    """Return the home directory without links, as the working directory is; None if there is none."""
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):
        return None


def options_of(
    config: Config,
    *,
    profile: Profile | None = None,
    port: Sequence[str] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    decoder: Decoder = Decoder.RAW,
    baseline: str | Path | None = None,
    redact: Redact | None = None,
    headers: bool = False,
    wanted: ConnectionFilter | None = None,
    keylog: Sequence[str] = (),
) -> Options:
    """Combine the settings file with the command line, which wins. Raises UsageError."""
    from ..audit import DEFAULT_PORTS, Options  # noqa: PLC0415

    known = None
    if baseline is not None:
        from ..findings.baseline import read_baseline  # noqa: PLC0415

        known = read_baseline(baseline)
    return Options(
        profile=profile.value if profile is not None else config.profile,
        ports=_ports(port) if port else DEFAULT_PORTS | frozenset(config.ports),
        select=_named(select) if select else config.select,
        ignore=words(ignore) if ignore else config.ignore,
        decoder=decoder.value,
        limits=config.limits,
        peers=config.peers,
        known_codes=frozenset(config.known_codes),
        baseline=known,
        redact=redact or Redact(config.redact),
        headers=headers,
        settings=None if config.path is None else display_path(config.path),
        wanted=wanted,
        keylog=tuple(keylog),
    )


def inputs_of(paths: Sequence[str], read: Sequence[str]) -> list[str]:
    """Return the inputs of --read and PATH. Raises UsageError if there is none."""
    inputs = [*read, *paths]
    if not inputs:
        raise UsageError("nothing to read", "no PATH is given", "name files, directories, or - for standard input")
    return inputs


def required(settings: Config) -> Require | None:
    """Return what the captures must hold."""
    return None if settings.require is None else Require(settings.require)


def are_several(inputs: Sequence[str]) -> bool:
    """Whether more than one capture may be read."""
    return len(inputs) > 1 or any(os.path.isdir(name) for name in inputs)  # noqa: PTH112  Path.is_dir raises for some names


def words(values: Sequence[str]) -> tuple[str, ...]:
    """Return the words of an option that may be given several times, each time with commas."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def _named(values: Sequence[str]) -> tuple[str, ...]:
    """Return the rules that --select names. Raises UsageError if there is none."""
    names = words(values)
    if not names:
        raise UsageError("no rule is named", f"--select {values[0]!r}", "name rules, or leave out --select")
    return names


def _ports(values: Sequence[str]) -> frozenset[int]:
    ports = set()
    for word in words(values):
        if not (word.isascii() and word.isdigit() and 0 < int(word[:6]) < 65536):
            raise UsageError("invalid port", f"--port {word}", "give numbers from 1 to 65535, separated by commas")
        ports.add(int(word))
    return frozenset(ports)


def output_to() -> Output:
    """Return standard output as an output of reports."""
    from ..reports.output import Output  # noqa: PLC0415

    return Output(sys.stdout.buffer, encoding=sys.stdout.encoding)

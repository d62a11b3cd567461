"""``smtpwire config``: every setting that applies here, and its origin."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from .option_types import EnumChoice
from .options import config_option, no_config_option
from .settings import configured, output_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..config import Config

__all__ = ["config"]


class ListFormat(StrEnum):
    """Formats of the list."""

    TEXT = "text"
    JSON = "json"


@click.command(short_help="Print every setting with its value and its origin.")
@config_option
@no_config_option
@click.option(
    "--format", "format_", type=EnumChoice(ListFormat), default="text", show_default=True, help="Format of the list."
)
def config(config: str | None, no_config: bool, format_: ListFormat) -> int:
    """Print every setting with its value and its origin: file and line, or default.

    The text is TOML that smtpwire.toml can hold.
    """
    settings = list(_settings(configured(config, no_config)))
    out = output_to()
    if format_ is ListFormat.JSON:
        rows = [{"name": name, "value": value, "origin": origin} for name, value, origin in settings]
        out.text(json.dumps(rows, indent=1) + "\n")
        return 0
    out.text("".join(_lines(settings)))
    return 0


def _settings(config: Config) -> Iterator[tuple[str, object, str]]:
    """Yield name, value (None: not set) and origin of each setting."""
    plain: dict[str, object] = {
        "profile": config.profile,
        "select": list(config.select) or None,
        "ignore": list(config.ignore),
        "fail-on": config.fail_on,
        "format": config.format,
        "redact": config.redact,
        "ports": list(config.ports),
        "known-codes": list(config.known_codes),
        "require": config.require,
        "baseline": None if config.baseline is None else str(config.baseline),
    }
    for name, value in plain.items():
        yield name, value, config.origin(name)
    for name, value in asdict(config.limits).items():
        written = f"limits.{name.replace('_', '-')}"
        yield written, value, config.origin(written)
    for peer in config.peers:
        row: dict[str, object] = {"ignore": sorted(peer.ignore)}
        row |= {side: str(net) for side, net in (("client", peer.client), ("server", peer.server)) if net is not None}
        yield "per-peer", row, config.origin("per-peer")


def _lines(settings: list[tuple[str, object, str]]) -> Iterator[str]:
    table = ""
    for name, value, origin in settings:
        key = name
        if name.startswith("limits."):
            key = name.removeprefix("limits.")
            if table != "limits":
                table = "limits"
                yield "\n[limits]\n"
        if isinstance(value, dict):
            yield f"\n[[per-peer]]  # {origin}\n"
            yield from (f"{inner} = {json.dumps(what)}\n" for inner, what in value.items())
        else:
            # TOML has no null: a setting without a value is written as a comment.
            text = f"# {key} is not set" if value is None else f"{key} = {json.dumps(value)}"
            yield f"{text:<40}  # {origin}\n"

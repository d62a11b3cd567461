"""All commands under one name, each imported when it is asked for."""

# Typer works out the options of every command that it knows, at once, so that it is told of no more than is wanted:
# the one that the command line names; or all of them, for help and for names that are spelled wrong.

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from ..._version import __version__

__all__ = ["command_line"]

# The module beside this one that holds a command of that name, in the order of the help.
_COMMANDS = {
    "audit": "audit",
    "show": "audit",
    "demo": "audit",
    "live": "live",
    "annotate": "annotate",
    "extract": "extract",
    "query": "query",
    "rule": "rules",
    "config": "config",
}
_GROUPS = ("baseline", "wireshark")
_EPILOGS = {
    "audit": "Exit status: 0 nothing found at or above --fail-on, 1 something found, 2 wrong use, 3 an input could not "
    "be read at all (the others are reported), 130 interrupted (what was read is reported)."
}


def command_line(first: str | None = None) -> typer.Typer:
    """The command line; where ``first``, its first word, names a command, without the other ones."""
    tree = typer.Typer(
        name="smtpwire",
        help="Audit SMTP on the wire: who broke which RFC rule, at which byte of which frame.",
        callback=_root,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    every = (*_COMMANDS, *_GROUPS)
    for name in [first] if first in every else every:
        if name in _GROUPS:
            tree.add_typer(_module(name).group, name=name)
        else:
            tree.command(epilog=_EPILOGS.get(name))(getattr(_module(_COMMANDS[name]), name))
    return tree


def _module(name: str) -> Any:
    return import_module(f".{name}", __package__)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"smtpwire {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass

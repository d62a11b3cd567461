"""All commands under one name, each imported when it is asked for."""

# Typer works out the options of every command that it knows, at once, so that it is told of no more than is wanted:
# the one that the command line names; or all of them, for help and for names that are spelled wrong.

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from ..._version import __version__

__all__ = ["command_line"]

# In the order of the help: the module beside this one that holds a command, and what the list of commands says of it,
# in no more than 65 characters, for which a terminal of 80 columns has room.
_COMMANDS = {
    "audit": ("audit", "Report every breach of the RFCs in captures."),
    "show": ("audit", "Print what both sides said, with each finding in its place."),
    "demo": ("audit", "Audit the sample capture that comes with smtpwire."),
    "live": ("live", "Watch interfaces: report each breach when it happens."),
    "annotate": ("annotate", "Copy a capture, with each finding as a comment on its packet."),
    "extract": ("extract", "Write each message into a file, byte by byte."),
    "query": ("query", "Ask a store, or captures, in SQL."),
    "rule": ("rules", "Explain rules, with dialogues that break them and that do not."),
    "config": ("config", "Print every setting with its value and its origin."),
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
            module, short = _COMMANDS[name]
            tree.command(short_help=short, epilog=_EPILOGS.get(name))(getattr(_module(module), name))
    return tree


def _module(name: str) -> Any:
    return import_module(f".{name}", __package__)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"smtpwire {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("-V", "--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass

"""The command line as Typer reads it: with help, completion, and a word for every mistake."""

# Typer works out the options of every command that it knows, at once, so that it is told of no more than is wanted:
# the one that the command line names; or all of them, for help and for names that are spelled wrong.

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from ..._version import __version__
from .plain_parser import Group, Option
from .registry import NAMES, known

if TYPE_CHECKING:
    from collections.abc import Callable

    from .plain_parser import Command

__all__ = ["command_line"]


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
    for name in [first] if first in NAMES else NAMES:
        found = known(name)
        if isinstance(found, Group):
            # Typer makes a group of one command into that command unless the group has a function of its own.
            group = typer.Typer(help=found.help, short_help=found.short, callback=_nothing, rich_markup_mode=None)
            for within, command in found.commands.items():
                _add(group, within, command)
            tree.add_typer(group, name=name)
        else:
            _add(tree, name, found)
    return tree


def _add(tree: typer.Typer, name: str, command: Command) -> None:
    tree.command(name, short_help=command.short, epilog=command.epilog)(_declared(command.call))


def _declared(call: Callable[..., int]) -> Callable[..., int]:
    """``call``, with its parameters declared as Typer wants it."""
    hints = {name: _told(hint) for name, hint in get_type_hints(call, include_extras=True).items() if name != "return"}

    @wraps(call)
    def calling(**values: Any) -> int:
        return call(**values)

    signature = inspect.signature(call)
    parameters = [one.replace(annotation=hints[name]) for name, one in signature.parameters.items()]
    calling.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    calling.__annotations__ = hints
    return calling


def _told(hint: Any) -> Any:
    meant, declared = get_args(hint)
    if isinstance(declared, Option):
        return Annotated[meant, typer.Option(*declared.names, **declared.told)]
    return Annotated[meant, typer.Argument(**declared.told)]


def _nothing() -> None:
    pass


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

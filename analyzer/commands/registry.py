"""All commands under one name. Each is imported when it is called or listed."""

from __future__ import annotations

import os
from importlib import import_module

import click

from ..._version import __version__
from ..errors import UsageError, display_path, nearest
from .table import MODULE_OF

__all__ = ["COMPLETE", "smtpwire"]

COMPLETE = "_SMTPWIRE_COMPLETE"  # the environment variable through which a shell asks for completions


class LazyGroup(click.Group):
    """A group that imports the module of a command when the command is needed. Every command pays for start-up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        return list(MODULE_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command ``cmd_name``; None if it does not exist."""
        module = MODULE_OF.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f".{module}", __package__), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` start with. Raises UsageError, with a suggestion, if there is none."""
        name = args[0]
        if name not in MODULE_OF and not name.startswith("-") and not ctx.resilient_parsing:
            if os.path.exists(name):  # noqa: PTH110  pathlib is not loaded yet
                raise UsageError("the command is missing", display_path(name), f"write smtpwire audit {name}")
            near = nearest(name, list(MODULE_OF))
            hint = f"did you mean {near}?" if near else "smtpwire --help lists the commands"
            raise UsageError("no such command", display_path(name) or "''", hint)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="smtpwire %(version)s")
def smtpwire() -> None:
    """Audit SMTP on the wire: who broke which RFC rule, at which byte of which frame."""

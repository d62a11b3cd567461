"""``smtpwire completion``: completion of commands, options, formats and rules in a shell."""

from __future__ import annotations

import click

__all__ = ["completion"]


@click.command(short_help="Print the script that completes command lines in a shell.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that makes SHELL (bash, zsh or fish) complete commands, options, formats and rule ids.

    \b
    bash: add to ~/.bashrc:  eval "$(smtpwire completion bash)"
    zsh:  add to ~/.zshrc:   eval "$(smtpwire completion zsh)"
    fish: smtpwire completion fish > ~/.config/fish/completions/smtpwire.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    from .registry import COMPLETE, smtpwire  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(smtpwire, {}, "smtpwire", COMPLETE).source())
    return 0

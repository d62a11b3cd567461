"""``smtpwire completion``: completion of commands, options, formats and rules in a shell."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class, shell_complete

from .registry import COMPLETE, smtpwire
from .settings import output_to

__all__ = ["complete", "completion"]


@add_completion_class
class _Bash(BashComplete):
    """bash passes ``--format=js`` as three words: the option, ``=`` and the value."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to complete, and that one, without the ``=``."""
        args, incomplete = super().get_completion_args()
        return [word for word in args if word != "="], "" if incomplete == "=" else incomplete


def complete(instruction: str) -> int:
    """Answer the script of a shell. ``instruction``: the value of the variable COMPLETE. Returns the exit status."""
    return shell_complete(smtpwire, {}, "smtpwire", COMPLETE, instruction)


@click.command(short_help="Print the script that completes command lines in a shell.")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that makes SHELL (bash, zsh or fish) complete commands, options, formats, rules and interfaces.

    \b
    bash: add to ~/.bashrc:  eval "$(smtpwire completion bash)"
    zsh:  add to ~/.zshrc:   eval "$(smtpwire completion zsh)"
    fish: smtpwire completion fish > ~/.config/fish/completions/smtpwire.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    output_to().text(kind(smtpwire, {}, "smtpwire", COMPLETE).source() + "\n")
    return 0

"""Lines of the client as text, without what may be secret in them."""

from __future__ import annotations

import re

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.commands import parse_command
from ...dissectors.tables.verbs import Argument
from .secret_spans import hidden_parts
from .shown_text import hidden, shown_text

__all__ = ["shown_in_text", "shown_line"]

_PATHS = frozenset({Argument.REVERSE_PATH, Argument.FORWARD_PATH})
_BARE_PATH = LazyPattern(
    rb"[A-Za-z]{4} (?:FROM|TO):<[^<> \t]*+>(?: [A-Za-z0-9-]{2,12}=[A-Za-z0-9.,;:+-]{0,64}(?![^ \t]))*+", re.IGNORECASE
)


def shown_line(line: bytes) -> str:
    """Return the line as the report shows it, printable."""
    command = parse_command(line)
    return shown_text(line, hidden_parts(command))


def shown_in_text(line: bytes) -> str:
    """Return a line of mail data that some readers take for a command, printable: the verb, and an address or a name
    after it. Any other text of the message is not shown."""
    command = parse_command(line)
    if command.spec is None:
        return hidden(len(line))
    if command.spec.argument in _PATHS:
        found = _BARE_PATH.match(line)
        return command.spec.name if found is None else shown_line(found[0])
    return shown_line(line) if command.spec.argument is Argument.HELLO else command.spec.name

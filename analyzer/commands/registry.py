"""All commands under one name, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from .plain_parser import Command, Group

__all__ = ["NAMES", "called", "known"]

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
NAMES = (*_COMMANDS, *_GROUPS)
_EPILOGS = {
    "audit": "Exit status: 0 nothing found at or above --fail-on, 1 something found, 2 wrong use, 3 an input could not "
    "be read at all (the others are reported), 130 interrupted (what was read is reported)."
}


def known(name: str) -> Command | Group:
    """What ``name``, one of NAMES, stands for."""
    if name in _GROUPS:
        group: Group = import_module(f".{name}", __package__).group
        return group
    module, short = _COMMANDS[name]
    return Command(getattr(import_module(f".{module}", __package__), name), short, _EPILOGS.get(name))


def called(words: list[str]) -> tuple[Command, list[str]] | None:
    """The command that ``words`` begin with, and what is behind its name; None: they begin with none."""
    if not words or words[0] not in NAMES:
        return None
    found, rest = known(words[0]), words[1:]
    if isinstance(found, Group):
        if not rest or rest[0] not in found.commands:
            return None
        return found.commands[rest[0]], rest[1:]
    return found, rest

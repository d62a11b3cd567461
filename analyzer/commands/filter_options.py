"""Options that choose connections, the same for each command that shows some, and what their values mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ...dissectors.lazy_regex import LazyPattern
from ..errors import UsageError, display_path
from .option_types import Command, complete_rules
from .settings import words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from ipaddress import IPv4Network, IPv6Network

    from ..findings.filters import ConnectionFilter

__all__ = ["filter_options", "wanted_connections"]

_SECOND = 1_000_000_000  # in nanoseconds
_ENHANCED = LazyPattern(r"[245](?:\.[0-9]{1,3}){1,2}")
_FRACTION = LazyPattern(r"\d[.,](\d+)")


# Each: its name, the placeholder of its value, and the help.
_OPTIONS = (
    ("connection", "N[,N-M...]", "Only connections with these numbers."),
    ("host", "ADDRESS[,...]", "Only connections of these addresses or networks (10.0.0.0/8), on either side."),
    ("client", "ADDRESS[,...]", "Only connections from these addresses or networks."),
    ("server", "ADDRESS[,...]", "Only connections to these addresses or networks."),
    ("from", "MAILBOX[,...]", "Only connections with a message from one of these mailboxes, or parts of one, in the "
     "envelope or the header."),
    ("to", "MAILBOX[,...]", "The same for the recipients."),
    ("code", "CODE[,...]", "Only connections with one of these reply codes: 451, or 5 for all that begin with it; also "
     "enhanced ones: 5.7.1."),
    ("verb", "VERB[,...]", "Only connections with one of these commands."),
    ("rule", "RULE[,...]", "Only connections that break one of these rules: ids, prefixes of ids, or names."),
    ("text", "TEXT", "Only connections that say this in a line, a subject or a finding. Case does not matter."),
)  # fmt: skip
_TIMES = (
    ("since", "Only connections with a part at or after this time: 2026-11-23, '2026-11-23 16:05', with +01:00 or Z; "
     "without, in UTC (of show, in the zone of --zone)."),
    ("until", "Only connections with a part at or before this time; a day, a minute or a second counts to its end."),
)  # fmt: skip


def filter_options(command: Command) -> Command:
    """Add all options that choose connections to a command."""
    for name, text in reversed(_TIMES):
        command = click.option(f"--{name}", metavar="TIME", help=text)(command)
    for name, metavar, text in reversed(_OPTIONS):
        complete = complete_rules if name == "rule" else None
        option = click.option(
            f"--{name}", f"{name}_", metavar=metavar, multiple=True, help=text, shell_complete=complete
        )
        command = option(command)
    return command


def wanted_connections(given: dict[str, Any], zone: tzinfo = UTC) -> ConnectionFilter | None:
    """Return what the options in ``given`` ask for; None if they ask for nothing, so for all connections. ``zone``: of
    times without one. Raises UsageError."""
    if not any(given.values()) and given["since"] is given["until"] is None:
        return None
    from ..findings.filters import ConnectionFilter  # noqa: PLC0415
    from ..rules import resolve  # noqa: PLC0415

    def named(name: str) -> tuple[str, ...]:
        found = words(given[f"{name}_"])
        if given[f"{name}_"] and not found:
            raise UsageError("nothing is named", f"--{name} {given[f'{name}_'][0]!r}", "give a value")
        return found

    since, until = given["since"], given["until"]
    return ConnectionFilter(
        connections=tuple(map(_range, named("connection"))),
        hosts=_networks("host", named("host")),
        clients=_networks("client", named("client")),
        servers=_networks("server", named("server")),
        senders=tuple(word.lower() for word in named("from")),
        recipients=tuple(word.lower() for word in named("to")),
        codes=tuple(map(_code, named("code"))),
        verbs=frozenset(word.split()[0].upper() for word in named("verb")),
        rules=resolve(named("rule")) if named("rule") else frozenset(),
        texts=tuple(map(_text, given["text_"])),
        since_ns=None if since is None else _time("since", since, zone)[0],
        until_ns=None if until is None else _time("until", until, zone)[1],
    )


def _text(text: str) -> str:
    if not text:
        raise UsageError("nothing is named", "--text ''", "give a value")
    return text.lower()


def _range(word: str) -> tuple[int, int]:
    first, dash, last = word.partition("-")
    ends = first, last if dash else first
    if not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
        raise UsageError("no number of a connection", f"--connection {display_path(word)}", "write 3, or 3-5")
    return int(ends[0]), int(ends[1])


def _networks(name: str, words: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    from ipaddress import ip_network  # noqa: PLC0415

    found = []
    for word in words:
        try:
            found.append(ip_network(word.strip("[]"), strict=False))
        except ValueError:
            hint = "write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32"
            raise UsageError("no address or network", f"--{name} {display_path(word)}", hint) from None
    return tuple(found)


def _code(word: str) -> str:
    digits = word.rstrip("xyzXYZ")
    if _ENHANCED.fullmatch(word):
        return word
    if not (digits.isascii() and digits.isdigit() and len(word) <= 3):
        raise UsageError("no reply code", f"--code {display_path(word)}", "write 451, 5 or 5.7.1")
    return digits


def _time(name: str, text: str, zone: tzinfo) -> tuple[int, int]:
    """Return the first and the last nanosecond that ``text`` means, since 1970."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        hint = "write 2026-11-23, '2026-11-23 16:05', or 2026-11-23T16:05:06+01:00"
        raise UsageError("no time", f"--{name} {display_path(text)}", hint) from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=zone)
    since = start - datetime(1970, 1, 1, tzinfo=UTC)
    first = (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds * 1000
    fraction = _FRACTION.search(text)
    if fraction is not None:  # datetime has microseconds; captures have nanoseconds
        digits = fraction[1].ljust(9, "0")[:9]
        first += int(digits[6:])
        return first, first + 10 ** (9 - min(len(fraction[1]), 9)) - 1
    length = {0: 86_400 if len(text) <= len("2026-11-23") else 3600, 1: 60}.get(text.count(":", 0, 19), 1)
    return first, first + length * _SECOND - 1

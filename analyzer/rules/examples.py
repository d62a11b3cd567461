"""A dialogue that breaks each rule, and a similar one that does not.

They are data next to the rules: ``smtpwire rule`` and the documentation show them, and the tests play each of them.
"""

# Theory
# ------
# examples.toml has a table for each rule with two scripts, `fires` and `silent`, and if necessary `port` (of the
# server) and `profile`. A line is what one side sends, without its CRLF. Consecutive lines of one side are sent without
# waiting for the other side. Other entries:
#
#     S: 220 mx.example ESMTP
#     C: NOOP caf\xe9         a byte: \xNN, \r, \n, \t, \\
#     C: NOOP\n\              a backslash at the end: no CRLF
#     C: NOOP {600 x}         a character 600 times
#     500 x C: RSET           the same line 500 times
#     C@25: RSET              at byte 25 of the client's stream: a retransmission, here with other bytes
#     FC, FS, RC, RS          FIN or RST, of the client or the server
#     GC 100, GS 100          bytes of the client or the server that are missing in the capture
#     TLS                     a handshake; the capture was decrypted, so the lines inside TLS follow
#     wait 310                seconds
#     again                   the next connection between the same hosts
#     @hello SIZE 1000, DSN   greeting, EHLO and its reply, which lists these keywords
#     @mail BODY=8BITMIME     lines that many scripts share, from the table `pieces`; the argument replaces `{}`

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ...dissectors.lazy_regex import LazyPattern

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Example", "example_ids", "example_of", "readable"]

_SAME_CHARACTER = LazyPattern(r"\{([0-9]+) (.)\}")
_SAME_LINE = LazyPattern(r"([0-9]+) x ([CS]: .*)")
_LOST = LazyPattern(r"G([CS]) ([0-9]+)")
_SIDES = {"C": "client", "S": "server"}


class Example(Struct, frozen=True):
    """Both scripts with the shared lines inserted; ``port`` of the server, and the profile if the port does not select
    it."""

    fires: tuple[str, ...]
    silent: tuple[str, ...]
    profile: str | None = None
    port: int = 25


@cache
def _tables() -> dict[str, Any]:
    # Imported here because only the explanation of a rule needs it, not an audit.
    import tomllib  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    return tomllib.loads((resources.files(__package__) / "examples.toml").read_text("utf-8"))


def example_ids() -> frozenset[str]:
    """The ids of rules that have an example."""
    return frozenset(_tables()) - {"pieces"}


def example_of(rule_id: str) -> Example | None:
    """The example of a rule; None if there is none, as for the rules of plugins."""
    if rule_id not in example_ids():
        return None
    table = _tables()[rule_id]
    fires, silent = tuple(_lines(table["fires"])), tuple(_lines(table["silent"]))
    return Example(fires, silent, table.get("profile"), table.get("port", 25))


def _lines(script: str) -> Iterator[str]:
    for line in script.splitlines():
        name, _, rest = line.partition(" ")
        if name == "@hello":
            listed = ["mx.example", *filter(None, rest.split(", "))]
            yield from ("S: 220 mx.example ESMTP", "C: EHLO client.example")
            yield from (f"S: 250{'-' if n < len(listed) else ' '}{word}" for n, word in enumerate(listed, 1))
        elif name.startswith("@"):
            yield from _lines(_tables()["pieces"][name[1:]].replace(" {}", f" {rest}" if rest else ""))
        elif line:
            yield line


def readable(script: tuple[str, ...]) -> list[str]:
    """Return the script for a reader: entries that are not lines of a side become words in brackets."""
    return [_readable(line) for line in script]


def _readable(line: str) -> str:
    if line[:2] in {"FC", "FS", "RC", "RS"}:
        return f"[{_SIDES[line[1]]} {'closes (FIN)' if line[0] == 'F' else 'resets (RST)'}]"
    lost = _LOST.fullmatch(line)
    if lost:
        return f"[{lost[2]} bytes of the {_SIDES[lost[1]]} are missing]"
    if line == "TLS":
        return "[TLS starts]"
    if line == "again":
        return "[the next connection]"
    if line.startswith("wait "):
        return f"[{line[5:]} seconds pass]"
    repeated = _SAME_LINE.fullmatch(line)
    if repeated:
        return f"{repeated[2]} ({repeated[1]} times)"
    return _SAME_CHARACTER.sub(lambda found: f"{found[2] * 3}…{found[2] * 3} ({found[1]} in all)", line)

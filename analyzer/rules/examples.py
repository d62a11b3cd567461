"""A dialogue that breaks each rule, and its nearest neighbour that does not.

They are data beside the rules: ``smtpwire rule`` and the documentation show them, and the tests play every one.
"""

# Theory
# ------
# examples.toml has a table for each rule with two scripts, `fires` and `silent`, and where they need it `port` (of the
# server) and `profile`. A line is what one side sends, with CRLF behind it; lines of one side that follow one another
# were sent without waiting. What is not a line of either side stands in words of its own:
#
#     S: 220 mx.example ESMTP
#     C: NOOP caf\xe9         a byte: \xNN, \r, \n, \t, \\
#     C: NOOP\n\              a backslash at the end: no CRLF
#     C: NOOP {600 x}         a character 600 times
#     500 x C: RSET           a line 500 times
#     C@25: RSET              at byte 25 of the client's stream: a retransmission, here with other bytes
#     FC, FS, RC, RS          FIN or RST, of the client or the server
#     GC 100, GS 100          bytes of a side that the capture lacks
#     TLS                     a handshake; the capture was decrypted, what follows is as it was inside
#     wait 310                seconds
#     again                   the next connection between the same hosts
#     @hello SIZE 1000, DSN   greeting, EHLO and its reply, which lists these keywords
#     @mail BODY=8BITMIME     other lines that many scripts share: from the table `pieces`, this put in for `{}`

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ...dissectors.lazy_regex import LazyPattern

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Example", "example_ids", "example_of", "readable"]

_REPEATED = LazyPattern(r"\{([0-9]+) (.)\}")
_AGAIN = LazyPattern(r"([0-9]+) x ([CS]: .*)")
_LOST = LazyPattern(r"G([CS]) ([0-9]+)")
_SIDES = {"C": "client", "S": "server"}


class Example(Struct, frozen=True):
    """Both scripts, shared lines put in; ``port`` of the server, and a profile where that does not choose it."""

    fires: tuple[str, ...]
    silent: tuple[str, ...]
    profile: str | None = None
    port: int = 25


@cache
def _tables() -> dict[str, Any]:
    # Needed to explain rules, not to apply them: an audit does not pay for it.
    import tomllib  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    return tomllib.loads((resources.files(__package__) / "examples.toml").read_text("utf-8"))


def example_ids() -> frozenset[str]:
    """Rules that have an example."""
    return frozenset(_tables()) - {"pieces"}


def example_of(rule_id: str) -> Example | None:
    """The example of a rule; None where there is none, as for the rules of plugins."""
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
    """The script as people read it: marks that are no line of either side become words in brackets."""
    return [_readable(line) for line in script]


def _readable(line: str) -> str:
    if line[:2] in {"FC", "FS", "RC", "RS"}:
        return f"[{_SIDES[line[1]]} {'closes (FIN)' if line[0] == 'F' else 'breaks off (RST)'}]"
    lost = _LOST.fullmatch(line)
    if lost:
        return f"[{lost[2]} bytes of the {_SIDES[lost[1]]} are missing]"
    if line == "TLS":
        return "[TLS begins]"
    if line == "again":
        return "[the next connection]"
    if line.startswith("wait "):
        return f"[{line[5:]} seconds pass]"
    again = _AGAIN.fullmatch(line)
    if again:
        return f"{again[2]} ({again[1]} times)"
    return _REPEATED.sub(lambda found: f"{found[2] * 3}…{found[2] * 3} ({found[1]} in all)", line)

"""The turns of a dialogue: what each side sent, in the order in which it happened."""

# A command line and a line of an AUTH exchange are turns as exchanges, and `ReplySeen` is in `exchange.py`. The other
# turns are here.
# They hold numbers and shared values. `connection_report` makes words of them.

from __future__ import annotations

from msgspec import Struct

from ...dissectors.deviations import DeviationKind
from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable
from ..model import Side
from .exchange import Exchange, ReplySeen

__all__ = [
    "ChunkSeen",
    "GapSeen",
    "LineSeen",
    "MessageSeen",
    "ReplySeen",
    "SeenTurn",
    "TlsSeen",
    "is_servers",
    "mailbox",
    "said",
    "shown",
]

MAX_SHOWN = 200  # bytes of a line that are quoted as evidence


class LineSeen(Struct, gc=False):
    """A line of the server that is not a valid reply."""

    raw: bytes
    offset: int
    frame: int
    time_ns: int


class MessageSeen(Struct, gc=False):
    """Mail data after DATA. ``size`` in octets as the receiver stores them."""

    size: int
    lines: int
    complete: bool
    offset: int
    frame: int
    time_ns: int


class ChunkSeen(Struct, gc=False):
    """A BDAT chunk. ``lines`` counts those of the message before it until the chunk is complete."""

    size: int
    lines: int
    offset: int
    frame: int
    time_ns: int
    complete: bool = False


class TlsSeen(Struct, gc=False):
    """The first TLS record of a side."""

    side: Side
    offset: int
    frame: int
    time_ns: int


class GapSeen(Struct, gc=False):
    """Missing bytes of a side."""

    side: Side
    length: int
    offset: int
    frame: int
    time_ns: int


SeenTurn = Exchange | ReplySeen | LineSeen | MessageSeen | ChunkSeen | TlsSeen | GapSeen


def is_servers(turn: SeenTurn) -> bool:
    """Return whether the server sent this."""
    if isinstance(turn, ReplySeen | LineSeen):
        return True
    return isinstance(turn, GapSeen | TlsSeen) and turn.side == "server"


def said(turn: SeenTurn) -> bytes:
    """Return the octets of a reply, or of another line of the server; none if it is something else."""
    if isinstance(turn, ReplySeen):
        return turn.reply.raw
    return turn.raw if isinstance(turn, LineSeen) else b""


def shown(x: Exchange) -> str:
    """Return the client's line for use as evidence; redaction hides the secrets in it. Empty for an answer of AUTH."""
    return "" if x.line.command is None else printable(x.line.raw[:MAX_SHOWN])


def mailbox(x: Exchange) -> str | None:
    """Return the address of a MAIL or RCPT without brackets and route, also if it is malformed; "" for the null path,
    None if there is none."""
    line = x.line
    if line.plain and line.argument is not None:
        text = line.argument.partition("<")[2][:-1]
        if text[:1] != "@":  # a route comes before the mailbox
            return text
    command = line.command
    if command is None:
        return None
    address = command.address
    return _as_sent(x) if address is None else printable(address)


def _as_sent(x: Exchange) -> str | None:
    """Return what a MAIL or RCPT has in the place of its address, without blanks and brackets; None if it has none."""
    wrong = next((d for d in x.line.deviations if d.kind is DeviationKind.MALFORMED_PATH), None)
    argument = None if x.line.command is None else x.line.command.argument
    text = argument or b""
    if wrong is not None:
        text = x.line.raw[wrong.at : wrong.at + wrong.length]
    if wrong is None or b":" not in x.line.raw[: wrong.at]:
        text = _WORD.sub(b"", text, 1)
    named = _NAMED_ADDRESS.search(text)
    text = text if named is None else named[1]
    return printable(_BLANKS_AND_BRACKETS.sub(b"", text)) or None


_WORD = LazyPattern(rb"\A[ \t]*+(?i:FROM|TO)(?![A-Za-z0-9])[ \t]*+:?")  # where the colon is missing, or the path
_NAMED_ADDRESS = LazyPattern(rb"\A[^<>,;@]+<([^<>@ \t]+@[^<>@ \t]+)>\Z")
_BLANKS_AND_BRACKETS = LazyPattern(rb"[ \t<>]+")

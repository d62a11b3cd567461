"""Unusual mail data: chunks, mail data sent as commands, and ends that only the server saw."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from ..content.header import begins_field
from ..lines.acts import STRONG_VERBS
from .exchange import Exchange

if TYPE_CHECKING:
    from .turns import ChunkSeen

__all__ = ["MailDataTracking", "TextAsCommands", "TextKind", "WrongSize"]


class TextKind(Enum):
    """Why the server reads the text as commands."""

    REFUSED = "DATA was refused"
    NO_DATA = "no DATA was sent"
    AFTER_END = "a lone dot ended the message"


class TextAsCommands(Struct, eq=False):
    """Lines that may be mail text. ``about``: the DATA that was not answered 3yz, or the end of mail data.
    ``count``: how many of the lines are text, once that is known. ``to_dot``: how many come up to the last lone dot.
    ``early``: with which command the client was out of step when it sent the last of them (``Causes.early``)."""

    kind: TextKind
    about: Exchange | None
    lines: list[Exchange]
    to_dot: int = 0
    count: int = 0
    early: Exchange | None = None

    def ends_before(self, x: Exchange) -> bool:
        """Whether ``x`` is a command again. In a message nearly any word may start a line."""
        command = x.line.command
        if command is None or command.deviations:
            return False
        return command.spec is not None if self.kind is TextKind.NO_DATA else command.verb in STRONG_VERBS

    def measure(self) -> int:
        """Return how many of the lines are text."""
        if self.kind is TextKind.NO_DATA:
            return len(self.lines)
        if self.kind is TextKind.AFTER_END or self.to_dot > 1:
            return self.to_dot
        return len(self.lines) if begins_field(self.lines[0].raw) else 0


class WrongSize(Struct):
    """What is wrong with the size of the chunk of ``x``. ``declared``: by BDAT; ``sent``: octets that the client seems
    to have meant; ``end``: offset after the chunk; ``swallowed``: verb of the command that became part of it.
    ``event``: what was judged."""

    x: Exchange
    declared: int
    sent: int
    end: int
    swallowed: str = ""
    event: Exchange | None = None


class MailDataTracking:
    """Facts about unusual mail data of one connection.

    ``chunk``: the BDAT whose octets come now. ``chunk_ended``: the one whose octets came last, and ``chunk_end`` the
    offset after them, -1 if more was read since. ``wrong_size``: the last chunk whose size is wrong.
    ``ends_in_cr``: a message in chunks whose last octet is CR, not yet judged: its LF may come after the chunk.
    ``text``: lines that may be mail text, and ``texts``: those that are, by the offset of the first line.
    ``rest``: bytes after an end of data that only the server saw, with their offset, frame and time. ``ended_early``:
    the server refused the message before its end. ``replies_inside``: replies that came inside mail data, not yet
    judged because a fault of the text may explain them. ``unjudged``: a message with a look-alike of its end, not yet
    judged.
    """

    __slots__ = (
        "chunk",
        "chunk_end",
        "chunk_ended",
        "chunk_turn",
        "ended_early",
        "ends_in_cr",
        "replies_inside",
        "rest",
        "text",
        "texts",
        "unjudged",
        "wrong_size",
    )

    def __init__(self) -> None:
        self.chunk: Exchange | None = None
        self.chunk_turn: ChunkSeen | None = None
        self.chunk_ended: Exchange | None = None
        self.chunk_end = -1
        self.wrong_size: WrongSize | None = None
        self.ends_in_cr: Exchange | None = None
        self.text: TextAsCommands | None = None
        self.texts: dict[int, TextAsCommands] = {}
        self.rest: tuple[bytes, int, int, int] | None = None
        self.ended_early = False
        self.replies_inside: list[Exchange] = []
        self.unjudged: Exchange | None = None

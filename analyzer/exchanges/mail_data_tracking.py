"""Unusual mail data: chunks, mail data sent as commands, and ends that only the server saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from .exchange import Exchange

if TYPE_CHECKING:
    from .turns import ChunkSeen

__all__ = ["MailDataTracking", "WrongSize"]


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
    ``text``: lines that may be mail data sent although DATA was refused.
    ``rest``: bytes after an end of data that only the server saw, with their offset, frame and time. ``ended_early``:
    the server refused the message before its end. ``unjudged``: a message with a look-alike of its end, not yet judged.
    """

    __slots__ = (
        "chunk",
        "chunk_end",
        "chunk_ended",
        "chunk_turn",
        "ended_early",
        "ends_in_cr",
        "rest",
        "text",
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
        self.text: list[Exchange] = []
        self.rest: tuple[bytes, int, int, int] | None = None
        self.ended_early = False
        self.unjudged: Exchange | None = None

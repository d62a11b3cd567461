"""Unusual mail data: chunks, mail data sent as commands, and ends that only the server saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exchange import Exchange
    from .text_as_commands import TextAsCommands
    from .turns import ChunkSeen

__all__ = ["MailDataTracking"]


class MailDataTracking:
    """Facts about unusual mail data of one connection.

    ``chunk``: the BDAT whose octets come now. ``text``: lines that may be mail text, and ``texts``: those that are.
    ``rest``: bytes after an end of data that only the server saw, with their offset, frame and time. ``ended_early``:
    the server refused the message before its end. ``replies_inside``: replies that came inside mail data, not yet
    judged because a fault of the text may explain them. ``unjudged``: a message with a look-alike of its end, not yet
    judged.
    """

    __slots__ = ("chunk", "chunk_turn", "ended_early", "replies_inside", "rest", "text", "texts", "unjudged")

    def __init__(self) -> None:
        self.chunk: Exchange | None = None
        self.chunk_turn: ChunkSeen | None = None
        self.text: TextAsCommands | None = None
        self.texts: list[TextAsCommands] = []
        self.rest: tuple[bytes, int, int, int] | None = None
        self.ended_early = False
        self.replies_inside: list[Exchange] = []
        self.unjudged: Exchange | None = None

"""Places of single lines in a reply of several lines, for findings that are about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...dissectors.printable import printable

if TYPE_CHECKING:
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import ReplySeen

__all__ = ["LinePlace", "keyword_line", "line_at"]

MAX_QUOTED = 160  # bytes of a line that are quoted


class LinePlace(NamedTuple):
    """A line of a reply: its offset in the server's stream, its length without the line end, the frame in which it
    begins and the time of that, and its text. The names are those of ``Evidence``."""

    offset: int
    length: int
    frame: int
    time_ns: int
    evidence: str


def line_at(answer: ReplySeen, talk: Conversation, at: int) -> LinePlace:
    """Return the line that begins at byte ``at`` of the reply ``answer``, which came last."""
    raw, offset = answer.reply.raw, answer.offset + at
    line = raw[at:].split(b"\n", 1)[0].rstrip(b"\r")
    later = talk.server_reader.place_of(answer.offset, offset)
    frame, time_ns = (answer.frame, answer.time_ns) if later is None else (later.frame, later.time_ns)
    return LinePlace(offset, len(line), frame, time_ns, printable(line[:MAX_QUOTED]))


def keyword_line(answer: ReplySeen, talk: Conversation, keyword: str, *words: str) -> LinePlace:
    """Return the line of the EHLO reply ``answer``, which came last, that lists ``keyword``. With ``words`` it is the
    first such line that has one of them as a parameter. All names are in upper case. If there is none, it is the first
    line."""
    reply = answer.reply
    for number, line in enumerate(reply.lines[1:], 1):
        listed = line.upper().replace("=", " ").split()
        if listed[:1] == [keyword] and (not words or not {*words}.isdisjoint(listed[1:])):
            if reply.deviations and reply.parts()[number].code is None:
                continue
            following = reply.raw.split(b"\n", number)[number]
            return line_at(answer, talk, len(reply.raw) - len(following))
    return line_at(answer, talk, 0)

"""Find the dot that a client meant as the end of mail data, although the text before it has no line end."""

# Theory
# ------
# RFC 5321 §4.1.1.4: CRLF "." CRLF ends mail data. If the CRLF before the dot is missing, the dot is the last character
# of a text line, the data never ends, and the commands after it are text too. This is only looked for in mail data that
# never ended, and only in its last octets. A text line may well end with a dot; so nothing but commands may follow it:
#
#   QUIT, RSET and NOOP, which a client sends after its message,
#   any command, if the dot begins a segment of its own: no text is sent like that,
#   nothing, if the client then waits for an answer.

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...dissectors.printable import printable
from ...dissectors.tables.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["LAST_OCTETS", "GluedDot", "find_glued_dot"]

LAST_OCTETS = 512  # of mail data, in which the dot is searched
MAX_LINE = 40  # octets of the text line that are quoted
_CUT = b"... "  # before the end of a longer line, which could else look like a field of the header

_LAST_VERBS = frozenset({b"QUIT", b"RSET", b"NOOP"})


class GluedDot(NamedTuple):
    """The dot: its ``offset`` in the client's stream, the end of its ``line`` as printable text, and the verbs of the
    ``commands`` after it, in order. ``sure``: the octets show it; otherwise it may be the end of a sentence, after
    which the client has not gone on."""

    offset: int
    line: str
    commands: tuple[str, ...]
    sure: bool = True


def find_glued_dot(last: bytes, end: int, starts: Container[int]) -> GluedDot | None:
    """Find the dot in the ``last`` octets of mail data, which end at the offset ``end``. ``starts``: offsets at which
    segments start."""
    *lines, rest = last.split(b"\r\n")
    if rest and not any(verb.startswith(rest.upper()) for verb in _LAST_VERBS):
        return None
    at = end - len(rest)
    commands: list[str] = []
    own_segment = False  # needed
    for line in reversed(lines):
        at -= len(line) + 2
        verb = line.partition(b" ")[0].upper()
        if verb in VERBS and not line.endswith(b"."):
            commands.append(verb.decode("ascii"))
            own_segment = own_segment or line.upper() not in _LAST_VERBS
        elif len(line) > 1 and line.endswith(b"."):
            dot = at + len(line) - 1
            if own_segment and dot not in starts:
                return None
            verbs = tuple(dict.fromkeys(reversed(commands)))
            shown = line if len(line) <= MAX_LINE else _CUT + line[-MAX_LINE:]
            return GluedDot(dot, printable(shown), verbs, bool(verbs) or dot in starts)
        else:
            return None
    return None

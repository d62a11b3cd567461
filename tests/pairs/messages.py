"""What follows from mail data and chunks: their ends, their lines, and text in the place of commands."""

from __future__ import annotations

from scripts import MESSAGE, Script, envelope, hello

from pairs.case import CLOSED, LEFT, WHAT, Case, Never, turns

SIZE = len(MESSAGE)
SENDER = "C MAIL FROM:<a@client.example>"
DATA = [*hello(), *envelope(), *turns("C DATA", "S 354 go")]
END = turns("C .", "S 250 queued")
LONG = [*DATA, ("C", f"{MESSAGE}{'x' * 1500}\r\n")]
LONG_TAKEN = [*LONG, *END, *turns("C NOOP", "S 250 ok")]
GLUED = [*DATA, ("C", MESSAGE[:-2]), ("C", ".\r\n"), ("wait", "60")]
ALIKE = [*DATA, ("C", f"{MESSAGE}\n.\n")]
SMUGGLED = [*DATA, ("C", f"{MESSAGE}\n.\nMAIL FROM:<x@client.example>\r\nRCPT TO:<b@mx.example>\r\n")]
REFUSED = [*hello(), *envelope(), *turns("C DATA", "S 451 no", "C Subject: x", WHAT, "C .", WHAT)]
CHUNKS = [*hello("CHUNKING", "ETRN"), *envelope()]


def chunk(declared: int) -> Script:
    """The message in one chunk that is taken."""
    return [*CHUNKS, ("C", f"BDAT {declared} LAST\r\n{MESSAGE}"), *turns("S 250 queued")]


SHORT = chunk(SIZE - 1)
SWALLOWED = [*CHUNKS, ("C", f"BDAT {SIZE + 6} LAST\r\n{MESSAGE}"), *turns("C QUIT", "S 250 queued", "wait 60")]
WAITING = [*CHUNKS, ("C", f"BDAT {SIZE + 1} LAST\r\n{MESSAGE}"), ("wait", "6")]


def after_chunk(child: str, *entries: str) -> Case:
    """The command after a chunk of the wrong size; and the same command again, which the server has read as it is."""
    return Case("CMD323", child, [*SHORT, *turns(*entries)], [*SHORT, *turns("C MAIL FROM:<>", "S 451 no", *entries)])


CASES = [
    Case("SEQ113", "TCP902", [*REFUSED, *CLOSED]),
    # a line that is too long
    Case("LEN003", "RPL411", [*LONG, *turns("S 550 no"), *CLOSED], [*LONG_TAKEN, *turns("S 250 ok")]),
    Case("LEN003", "TCP902", [*LONG, *turns("S 550 no"), *CLOSED], [*LONG_TAKEN, *CLOSED], ignore=("RPL411",)),
    # an end of the mail data that is none
    Case("MSG719", "RPL411", [*GLUED, *turns("S 451 no"), *CLOSED]),
    Case("MSG719", "TCP903", [*GLUED, *LEFT]),
    Case("MSG719", "TIM804", [*GLUED, ("wait", "300"), *turns("C QUIT"), *CLOSED]),
    Case("SEC612", "RPL411", [*ALIKE, *turns("C more text", "S 554 no"), *END]),
    Case("SEC612", "TCP902", [*ALIKE, *END, *CLOSED]),
    Case("SEC614", "RPL411", [*SMUGGLED, *turns("S 554 no"), *END], ignore=("SEC612",)),
    Case("SEC614", "TCP902", [*SMUGGLED, *END, *CLOSED], ignore=("SEC612",)),
    Case("SEC615", "RPL411", [*ALIKE, *turns("C more text", "S 554 no", "C .", "S 503 no")], ignore=("SEC612",)),
    Case("SEC615", "TCP902", [*ALIKE, *turns("S 250 ok"), *END, *CLOSED], ignore=("SEC612",)),
    # a chunk of another size than BDAT declares
    after_chunk("RPL408", "C RSET", "S 535 no"),
    after_chunk("RPL423", "C RSET", WHAT),
    after_chunk("RPL424", "C EHLO client.example", WHAT),
    after_chunk("RPL425", SENDER, "S 501 what"),
    after_chunk("EXT512", "C ETRN client.example", WHAT),
    Case(
        "CMD323",
        "CMD301",
        [*WAITING, *turns("C FOO", "S 250 queued", WHAT)],
        [*SHORT, *turns("C RSET", "S 250 ok", "C FOO", WHAT)],
    ),
    Case(
        "CMD323",
        "EXT504",
        [*WAITING, *turns("C QUIT", "S 250 queued", WHAT)],
        [*SHORT, *turns("C RSET", "S 250 ok", "C RSET|RSET", "S 250 ok|250 ok")],
    ),
    Case("CMD323", "RPL411", [*SHORT, *turns("C RSET", WHAT, "S 250 ok")]),
    Case("CMD323", "TIM801", [*WAITING, *LEFT]),
    Case("CMD323", "TIM802", [*SWALLOWED, *CLOSED]),
    Case("CMD323", "TCP901", [*SHORT, *LEFT]),
    Case("CMD323", "TCP902", [*WAITING, *CLOSED]),
    Case("CMD323", "TCP903", [*WAITING, *LEFT]),
]

HIDDEN = [
    Case("SEC613", "EXT506", [*hello("CHUNKING", "SIZE 9"), *envelope(), *turns(f"C BDAT {1 << 32} LAST", "S 501 no")]),
    Case("MSG719", "TIM802", [*GLUED, *CLOSED]),
    Case("MSG719", "TCP902", [*GLUED, *CLOSED]),
]

_INSIDE = "a client that closes inside its mail data has TCP903 only"
_ANSWERED = "inside mail data no command waits for a reply"

NEVER = [
    Never("MSG705", "MSG701", "fields are missed only in a message that has octets", [*DATA, *END]),
    Never("MSG705", "MSG702", "fields are missed only in a message that has octets", [*DATA, *END]),
    Never("MSG719", "TIM801", _ANSWERED, [*GLUED, *LEFT]),
    Never("MSG719", "TCP901", _INSIDE, [*GLUED, *LEFT]),
    Never("MSG719", "RPL412", _ANSWERED, [*GLUED, *CLOSED]),
    Never("TCP903", "TCP901", _INSIDE, [*DATA, ("C", MESSAGE), *LEFT]),
    Never("SEC612", "TCP903", "the client may have meant the look-alike as the end", [*ALIKE, *LEFT]),
]

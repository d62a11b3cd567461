"""What follows from a client that does not wait for replies, and from other abuse of the protocol."""

from __future__ import annotations

from scripts import GREETING, MESSAGE, Script, envelope, hello

from pairs.case import CLOSED, WHAT, Case, turns

SENDER = "C MAIL FROM:<a@client.example>"
EARLY = [*turns("C EHLO client.example"), ("S", GREETING)]
TAKEN = [*EARLY, *turns("S 250-mx.example|250 8BITMIME")]
USUAL = hello("8BITMIME")
RESPONSE = "dGhlIHNlY29uZCBsaW5lIG9mIGl0"
IN_STEP = turns("C NOOP", "S 250 ok")
PROXIED = [*turns("C PROXY TCP4 203.0.113.9 198.51.100.25 41234 25"), ("S", GREETING), *turns(WHAT), *hello()[1:]]
DATA = [*envelope(), *turns("C DATA", "S 354 go")]
TEXT_AFTER_END = [("C", f"{MESSAGE}.\r\nmore\r\n.\r\n"), *turns("S 250 queued|500 what|500 what")]
LONG_LINE = [*hello(), *turns(f"C NOOP {'x' * 3000}")]


def early(child: str, *entries: str, ignore: tuple[str, ...] = ()) -> Case:
    """After a client that spoke before the greeting; and after one that waited for it."""
    return Case("SEC618", child, [*TAKEN, *turns(*entries)], [*USUAL, *turns(*entries)], ignore)


def in_run(parent: str, child: str, line: str, start: Script = ()) -> Case:
    """A line that is sent without waiting for the reply to NOOP; and the same after that reply."""
    session = [*hello(*(() if parent == "EXT504" else ("PIPELINING",))), *start]
    return Case(
        parent,
        child,
        [*session, *turns(f"C NOOP|NOOP|{line}", f"S 250 ok|250 ok|{WHAT[2:]}")],
        [*session, *turns("C NOOP|NOOP", "S 250 ok|250 ok", f"C {line}", WHAT)],
    )


AFTER_ABUSE = [
    early("SEQ121", "C RCPT TO:<b@mx.example>", "S 554 no", ignore=("SEQ103",)),
    early("SEQ123", SENDER, "S 503 no"),
    early("EXT521", f"{SENDER} BODY=8BITMIME", "S 501 no"),
    early("TCP902", "FS", "FC"),
    early("RPL408", SENDER, "S 535 no"),
    early("RPL412", "C NOOP", "FS", "FC"),
    early("RPL423", "C NOOP", "S 502 no"),
    Case("SEC618", "RPL424", [*EARLY, *turns("S 502 no")], [*hello()[:2], *turns("S 502 no")]),
    early("RPL425", SENDER, "S 501 no"),
    early("RPL426", SENDER, "S 250 ok", "C RCPT TO:<Postmaster>", "S 550 no"),
    early("RPL427", "C MAIL FROM:<>", "S 550 no"),
    # each abuse: until the client waits again, or to the end of the connection
    Case(
        "EXT504",
        "TCP902",
        [*hello(), *turns("C NOOP|NOOP", "S 250 ok|250 ok"), *CLOSED],
        [*hello(), *turns("C NOOP|NOOP", "S 250 ok|250 ok"), *IN_STEP, *CLOSED],
    ),
    Case(
        "EXT505",
        "RPL412",
        [*hello("PIPELINING"), *turns("C NOOP|NOOP", "S 250 ok"), *CLOSED],
        [*hello("PIPELINING"), *turns("C NOOP|NOOP", "S 250 ok|250 ok", "C NOOP"), *CLOSED],
    ),
    Case(
        "SEQ125",
        "TCP902",
        [*hello("PIPELINING"), *DATA, *TEXT_AFTER_END, *CLOSED],
        [*hello("PIPELINING"), *DATA, *TEXT_AFTER_END, *IN_STEP, *CLOSED],
    ),
    Case(
        "SEQ125",
        "RPL412",
        [*hello(), *DATA, *TEXT_AFTER_END[:1], *turns("C QUIT", "S 250 queued|500 what|500 what"), *CLOSED],
    ),
    Case("TCP908", "RPL423", [*PROXIED, *IN_STEP, *turns("C NOOP", "S 502 no")]),
    Case("SEC616", "RPL423", [*hello(), *turns("C GET / HTTP/1.1", WHAT), *IN_STEP, *turns("C NOOP", "S 502 no")]),
]

CASES = [
    *AFTER_ABUSE,
    *[
        in_run(parent, child, line)
        for parent in ("EXT504", "EXT505")
        for child, line in (("CMD301", "FOO"), ("CMD318", ""), ("EXT501", "ETRN x.example"))
    ],
    *[in_run(parent, "SEQ113", "Subject: x", envelope()) for parent in ("EXT504", "EXT505")],
    Case("SEC626", "RPL412", [*LONG_LINE, *CLOSED], [*LONG_LINE, *turns(WHAT, "C NOOP"), *CLOSED]),
    Case("SEC626", "TCP902", [*LONG_LINE, *turns(WHAT), *CLOSED], [*LONG_LINE, *turns(WHAT), *IN_STEP, *CLOSED]),
    Case(
        "CMD314",
        "EXT504",
        [*hello("AUTH PLAIN"), *turns(f"C AUTH PLAIN {RESPONSE}|{RESPONSE}", "S 535 no", WHAT)],
        [*hello("AUTH PLAIN"), *turns("C AUTH PLAIN !", "S 501 no", "C NOOP|NOOP", "S 250 ok|250 ok")],
    ),
    Case(
        "CMD314",
        "EXT505",
        [*hello("AUTH CRAM-MD5", "PIPELINING"), *turns(f"C AUTH CRAM-MD5 {RESPONSE}|{RESPONSE}", "S 535 no", WHAT)],
        [*hello("AUTH PLAIN", "PIPELINING"), *turns("C AUTH PLAIN !", "S 501 no", "C NOOP|NOOP", "S 250 ok|250 ok")],
    ),
]

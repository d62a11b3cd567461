"""What follows from replies whose lines differ, from replies that are missing, and from refusals."""

from __future__ import annotations

from scripts import GREETING, MESSAGE, envelope, hello

from pairs.case import CLOSED, LEFT, Case, Never, turns

SENDER = "C MAIL FROM:<a@client.example>"
RCPT = "C RCPT TO:<b@mx.example>"
AWAY = turns("S 220-mx.example|554 no")
OPEN = turns("S 554-mx.example|220 mx.example")
NAMED = turns("C EHLO client.example")
OFFERS = "S 250-mx.example|250-PIPELINING|250-AUTH CRAM-MD5|250-SIZE 9|550 go away"
LMTP = [
    *turns("S 220 mx.example LMTP", "C LHLO client.example", "S 250 mx.example"),
    *envelope(),
    *turns("C RCPT TO:<c@mx.example>", "S 250 ok", "C DATA", "S 354 go"),
    ("C", f"{MESSAGE}.\r\n"),
    *turns("S 250 ok"),
]


def mixed(child: str, *entries: str) -> Case:
    """After a hello that was refused in the last line only; and after another one that was refused in each line."""
    start = [("S", GREETING), *NAMED, *turns(OFFERS)]
    return Case("RPL403", child, [*start, *turns(*entries)], [*start, *turns("C HELO c.example", "S 550 no", *entries)])


CASES = [
    Case("RPL403", "RPL412", [*AWAY, *NAMED, *CLOSED], [*OPEN, *NAMED, *CLOSED]),
    Case("RPL403", "TCP902", [*AWAY, *CLOSED], [*OPEN, *CLOSED]),
    mixed("SEQ101", SENDER, "S 503 no"),
    mixed("SEQ103", RCPT, "S 503 no"),
    mixed("SEQ104", "C DATA", "S 503 no"),
    mixed("EXT501", "C AUTH CRAM-MD5", "S 503 no"),
    mixed("EXT502", f"{SENDER} SIZE=5", "S 503 no"),
    mixed("EXT504", "C MAIL FROM:<>|RSET", "S 503 no|250 ok"),
    Case("RPL419", "EXT504", [*LMTP, *turns("C NOOP", "S 250 ok"), *LEFT]),
    Case("RPL419", "RPL412", [*LMTP, *turns("S 250 ok", "S 250 more", "C NOOP"), *CLOSED]),
    Case("RPL419", "TCP901", [*LMTP, *LEFT]),
    Case("RPL419", "TCP902", [*LMTP, *CLOSED]),
    Case("RPL419", "TIM801", [*LMTP, ("wait", "9"), *LEFT]),
    Case("TIM801", "TCP901", [*hello(), *turns("C NOOP", "wait 30"), *LEFT], [*hello(), *turns("C NOOP"), *LEFT]),
]

OWNER = turns(SENDER, "S 250 ok", "C RCPT TO:<Postmaster>")

HIDDEN = [
    Case("RPL428", "RPL408", [*hello("AUTH CRAM-MD5"), *turns("C AUTH CRAM-MD5", "S 334 PDE+", "C *", "S 550 no")]),
    Case("RPL423", "RPL408", [*hello(), *turns("C NOOP", "S 502 no")]),
    Case("RPL426", "RPL423", [*hello(), *OWNER, *turns("S 500 no")]),
    Case("RPL426", "RPL425", [*hello(), *OWNER, *turns("S 501 no")]),
    Case("RPL427", "RPL423", [*hello(), *turns("C MAIL FROM:<>", "S 500 no")]),
    Case("RPL427", "RPL425", [*hello(), *turns("C MAIL FROM:<>", "S 501 no")]),
    Case("EXT521", "RPL408", [*hello("8BITMIME"), *turns(f"{SENDER} BODY=8BITMIME", "S 504 no")]),
    Case("EXT521", "RPL423", [*hello("8BITMIME"), *turns(f"{SENDER} BODY=8BITMIME", "S 500 no")]),
    Case("RPL402", "RPL409", [*hello(), *turns("C NOOP", "S 699 no")]),
    Case("RPL402", "RPL410", [*hello(), *turns("C NOOP", "S 299 no")]),
    Case("SEC617", "CMD304", [*hello(), *turns("C MAIL FROM:<a@client.example\nRCPT TO:<b@mx.example>", "S 501 no")]),
    Case("SEC617", "CMD310", [*hello(), *turns("C RSET x\rMAIL FROM:<b@mx.example>", "S 501 no")]),
]

NEVER = [
    Never("RPL402", "RPL408", "RPL408 is about codes that some RFC defines", [*hello(), *turns("C NOOP", "S 699 no")]),
    Never("RPL409", "RPL408", "RPL408 is about codes that some RFC defines", [*hello(), *turns("C NOOP", "S 456 no")]),
    Never(
        "RPL404",
        "RPL412",
        "a command is unanswered only if no reply has begun",
        [*hello(), *turns("C NOOP", "S 250-ok"), *CLOSED],
    ),
]

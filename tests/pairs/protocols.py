"""What follows where the client speaks another protocol, or the two sides disagree on TLS."""

from __future__ import annotations

from scripts import GREETING, hello

from pairs.case import CLOSED, LEFT, WHAT, Case, Never, turns

HTTP = turns("C GET / HTTP/1.1", WHAT, "C Host: x", WHAT, "C ", WHAT)  # after the empty line the request is over
WEB = [*hello(), *HTTP]
TWO = turns("C NOOP|NOOP", "S 250 ok|250 ok")
CLIENT_HELLO = ("C", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03")
NAMELESS_HELLO = ("C", f"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03{32 * 'x'}\x00\x00\x04\xc0\x2f\x00\xff\x01\x00")
NAME_WANTED = ("S", "\x15\x03\x03\x00\x02\x02\x70")
ALERT = ("S", "\x15\x03\x03\x00\x02\x02\x28")
UPGRADE = [*hello("STARTTLS"), *turns("C STARTTLS", "S 220 go")]
BROKEN = [*UPGRADE, CLIENT_HELLO, ALERT]
REFUSED = [*UPGRADE, *turns("C NOOP", "S what?", "S 250 ok")]
PRETENDED = [*UPGRADE, *turns("C NOOP", "S 250 ok")]  # as in a capture that was decrypted before it was saved
EARLY_HELLO = turns("C EHLO client.example")
INJECTED = [*hello("STARTTLS"), *turns("C STARTTLS|NOOP", "S 220 go")]
INSIDE = [*UPGRADE, ("TLS", ""), *hello()[1:]]
EXECUTED = [*INJECTED, ("TLS", ""), *turns("S 250 ok", "C EHLO client.example", "S 250 ok")]
PROXIED = [*turns("C PROXY TCP4 203.0.113.9 198.51.100.25 41234 25"), ("S", GREETING), *turns("S 554 5.5.1 what")]

CASES = [
    # another protocol
    Case("SEC616", "BIT201", [*WEB, *turns("C caf\xe9", WHAT)]),
    Case("SEC616", "BIT210", [*WEB, *turns("C NOOP \0", WHAT)]),
    Case("SEC616", "CMD301", [*WEB, *turns("C FOO", WHAT)]),
    Case("SEC616", "CMD318", [*WEB, *turns("C ", WHAT)]),
    Case("SEC616", "EXT504", [*WEB, *TWO]),
    Case("SEC616", "EXT505", [*hello("PIPELINING"), *HTTP, *TWO]),
    Case("SEC616", "RPL409", [*WEB, *turns("C NOOP", "S 259 ok")]),
    Case("SEC616", "RPL411", [*WEB, *turns("S 250 ok")]),
    Case("SEC616", "RPL412", [*WEB, *turns("C NOOP"), *CLOSED]),
    Case("SEC616", "TCP901", [*WEB, *LEFT]),
    Case("SEC616", "TCP902", [*WEB, *CLOSED]),
    # the port of implicit TLS
    Case("SEC631", "SEC616", [("S", GREETING), CLIENT_HELLO, *CLOSED], port=465),
    Case("SEC631", "TCP901", [("S", GREETING), *LEFT], port=465),
    Case("SEC631", "TCP902", [("S", GREETING), *CLOSED], port=465),
    Case("SEC635", "SEC616", [*EARLY_HELLO, *turns("C GET / HTTP/1.1"), *CLOSED], port=465),
    Case("SEC635", "BIT201", [*turns("C EHLO caf\xe9"), *CLOSED], port=465),
    Case("SEC635", "BIT210", [*turns("C EHLO \0"), *CLOSED], port=465),
    Case("SEC635", "CMD301", [*EARLY_HELLO, *turns("C FOO"), *CLOSED], port=465),
    Case("SEC635", "CMD318", [*EARLY_HELLO, *turns("C "), *CLOSED], port=465),
    # STARTTLS
    Case("SEC602", "RPL401", [*REFUSED, *CLOSED], [*PRETENDED, *turns("S what?"), *CLOSED]),
    Case("SEC602", "RPL412", [*REFUSED, *turns("C NOOP"), *CLOSED], [*PRETENDED, *turns("C NOOP"), *CLOSED]),
    Case("SEC602", "TCP901", [*REFUSED, *LEFT], [*PRETENDED, *LEFT]),
    Case("SEC602", "TCP902", [*REFUSED, *CLOSED], [*PRETENDED, *CLOSED]),
    # from the reply to an injected command on, each reply answers the command before
    Case(
        "SEC603", "RPL410", [*EXECUTED, *turns("C QUIT", "S 250 mx.example")], [*INSIDE, *turns("C QUIT", "S 250 ok")]
    ),
    Case("SEC603", "RPL411", [*EXECUTED, *turns("S 250 mx.example")], [*INSIDE, *turns("S 250 ok")]),
    Case(
        "SEC605",
        "RPL406",
        turns(f"S 220 {'*' * 27}", "C EHLO client.example", "S 250-mx.example|250 XXXXXXXA"),
        turns(f"S 220 {'*' * 27}", "C EHLO client.example", "S 250 mx.example"),
    ),
    # a PROXY header
    Case("TCP908", "EXT504", [*PROXIED, *hello()[1:], *TWO]),
    Case("TCP908", "EXT505", [*PROXIED, *hello("PIPELINING")[1:], *TWO]),
    Case("TCP908", "RPL411", [*PROXIED, *turns(WHAT)]),
    Case("TCP908", "RPL412", [*PROXIED, *hello()[1:], *turns("C NOOP"), *CLOSED]),
    Case("TCP908", "TCP902", [*PROXIED, *hello()[1:], *CLOSED]),
]

HIDDEN = [
    Case("SEC616", "BIT201", [*hello(), *turns("C GET /caf\xe9 HTTP/1.1", WHAT)]),
    Case("SEC616", "BIT210", [*hello(), *turns("C GET /\0 HTTP/1.1", WHAT)]),
    Case("SEC616", "CMD301", [*hello(), *turns("C GET / HTTP/1.1", WHAT)]),
    Case("SEC635", "TIM801", [*EARLY_HELLO, ALERT, ("wait", "60"), *LEFT], port=465),
    Case("SEC601", "EXT504", [*hello("STARTTLS"), *turns("C NOOP|STARTTLS|NOOP", "S 250 ok|220 go")]),
    Case("SEC601", "EXT505", [*hello("STARTTLS", "PIPELINING"), *turns("C NOOP|STARTTLS|NOOP", "S 250 ok|220 go")]),
    Case("SEC604", "RPL401", [*INJECTED, *turns("S 250-ok|what|250 ok")]),
    Case("SEC639", "SEC636", [*UPGRADE, NAMELESS_HELLO, NAME_WANTED, *CLOSED]),
]

_NOT_EMPTY = "the line of a request is never empty"
_NO_REPLY = "the port of implicit TLS has SEC635 only if the server sends no line"
_NEVER_OPEN = "without a greeting no session is open that one side could leave"
_OPAQUE = "after a handshake that failed nothing is read any more"
_NO_SESSION = "after STARTTLS no session is open until its reply"

NEVER = [
    Never("SEC616", "CMD318", _NOT_EMPTY, [*hello(), *turns("C GET / HTTP/1.1", WHAT)]),
    Never(
        "SEC616",
        "EXT504",
        "a line of another protocol is not a command sent too early",
        [*hello(), *turns("C NOOP|GET / HTTP/1.1", "S 250 ok|500 what")],
    ),
    Never("SEC635", "RPL401", _NO_REPLY, [*EARLY_HELLO, *turns("S what"), *CLOSED], 465),
    Never("SEC635", "RPL409", _NO_REPLY, [*EARLY_HELLO, *turns("S 259 ok"), *CLOSED], 465),
    Never("SEC635", "RPL411", _NO_REPLY, [*EARLY_HELLO, *turns("S 220 mx", "S 250 a", "S 250 b"), *CLOSED], 465),
    Never("SEC635", "RPL412", "SEC635 takes its mark away", [*EARLY_HELLO, ALERT, *CLOSED], 465),
    Never("SEC635", "SEC618", "on the port of implicit TLS SEC618 is never found", [*EARLY_HELLO, *CLOSED], 465),
    Never("SEC635", "TCP901", _NEVER_OPEN, [*EARLY_HELLO, ALERT, *LEFT], 465),
    Never("SEC635", "TCP902", _NEVER_OPEN, [*EARLY_HELLO, ALERT, *CLOSED], 465),
    Never("SEC635", "TCP909", "TCP909 is about a connection without any byte", [*EARLY_HELLO, *CLOSED], 465),
    Never("SEC636", "RPL401", _OPAQUE, [*BROKEN, *turns("S what"), *CLOSED]),
    Never("SEC636", "RPL412", _NO_SESSION, [*BROKEN, *CLOSED]),
    Never("SEC636", "TCP901", _NO_SESSION, [*BROKEN, *LEFT]),
    Never("SEC636", "TCP902", _NO_SESSION, [*BROKEN, *CLOSED]),
    Never(
        "SEC603", "RPL411", "RPL411 leaves out the first reply inside TLS", [*INJECTED, ("TLS", ""), ("S", "250 a\r\n")]
    ),
]

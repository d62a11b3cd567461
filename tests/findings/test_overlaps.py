"""Pairs of which the rules themselves leave one out: no table has them, but one fact is still one finding."""

from __future__ import annotations

import pytest
from pairs.case import CLOSED, WHAT, heard, turns
from scripts import GREETING, MESSAGE, Script, envelope, hello

SENDER, RCPT = "C MAIL FROM:<a@client.example>", "C RCPT TO:<b@mx.example>"
EARLY = [*turns("C EHLO client.example"), ("S", GREETING)]
PROXY = "PROXY TCP4 203.0.113.9 198.51.100.25 41234 25\r\n"
BINARY = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc6\x33\x64\x19\xa1\x02\0\x19"
DATA = [*envelope(), *turns("C DATA", "S 354 go")]
LINES = turns("C Subject: x||text|.", f"S {'|'.join(['500 what'] * 4)}")
SEEN = turns("C Subject: x", WHAT, "C ", WHAT, "C text", WHAT)
CHUNKED = [*hello("CHUNKING"), *envelope(), ("C", f"BDAT {len(MESSAGE)} LAST\r\n{MESSAGE}"), *turns("S 250 ok")]

# the cause, what is never found beside it as a fault of its own, and the dialogue
CASES: list[tuple[str, str, Script]] = [
    (
        "SEC618",
        "EXT504 EXT505",
        [*turns("C EHLO client.example|NOOP"), ("S", GREETING), *turns("S 250 mx.example|250 ok")],
    ),
    ("SEC618", "SEQ101 SEQ120", [*EARLY, *turns("S 550 no", SENDER, "S 250 ok")]),
    ("SEC618", "SEQ101", [*EARLY, *turns("S 550 no", SENDER, "S 503 no")]),
    ("SEC618", "SEQ103", [*EARLY, *turns("S 550 no", RCPT, "S 503 no")]),
    ("SEC618", "SEQ104", [*EARLY, *turns("S 550 no", "C DATA", "S 503 no")]),
    ("SEQ113", "CMD301 CMD318 EXT504", [*hello(), *envelope(), *turns("C DATA", "S 451 no"), *LINES]),
    ("SEQ113", "CMD301 CMD318 EXT505", [*hello("PIPELINING"), *envelope(), *turns("C DATA", "S 451 no"), *LINES]),
    ("SEQ113", "CMD301 CMD318", [*hello(), *envelope(), *turns("C DATA", "S 451 no"), *SEEN]),
    (
        "SEQ113",
        "RPL410 TCP902",
        [*hello(), *envelope(), *turns("C DATA", "S 451 no", "C Subject: x", "S 221 bye"), *CLOSED],
    ),
    (
        "SEQ125",
        "CMD301 CMD318 EXT504 SEQ113",
        [*hello(), *DATA, ("C", f"{MESSAGE}.\r\nTo: x\r\n\r\n.\r\n"), *turns("S 250 ok|500 a|500 b|500 c")],
    ),
    (
        "SEQ125",
        "CMD301 CMD318 EXT505 SEQ113",
        [*hello("PIPELINING"), *DATA, ("C", f"{MESSAGE}.\r\nTo: x\r\n\r\n.\r\n"), *turns("S 250 ok|500 a|500 b|500 c")],
    ),
    ("TCP907", "SEC618 CMD301 CMD318 EXT504", [("C", PROXY), *hello()]),
    ("TCP907", "SEC618 CMD301 CMD318 BIT201 BIT210 BIT221 BIT222 EXT504", [("C", BINARY), *hello()]),
    ("TCP908", "SEC618 CMD301 CMD318 EXT504", [("C", PROXY), ("S", GREETING), *turns(WHAT), *hello()[1:]]),
    (
        "TCP908",
        "CMD301 CMD318 BIT201 BIT210 BIT221 BIT222 EXT504",
        [("S", GREETING), ("C", BINARY), *turns(WHAT, WHAT, WHAT), *hello()[1:]],
    ),
    ("EXT519", "EXT502 CMD308", [*hello(), *turns(SENDER, "S 250 ok", f"{RCPT} SIZE=x", "S 555 no")]),
    ("CMD320", "RPL408 RPL424 RPL425", [("S", GREETING), *turns("C EHLO localhost", "S 501 no")]),
    ("CMD320", "RPL408 RPL424 RPL425", [("S", GREETING), *turns("C EHLO localhost", "S 500 no")]),
    ("CMD320", "RPL408 RPL424 RPL425", [("S", GREETING), *turns("C EHLO localhost", "S 550 no")]),
    ("CMD321", "RPL408 RPL425", [*hello(), *turns("C MAIL FROM:<root@localhost>", "S 501 no")]),
    ("CMD321", "RPL408 RPL425", [*hello(), *turns("C MAIL FROM:<root@localhost>", "S 504 no")]),
    ("BIT201", "CMD301", [*hello(), *turns("C \xe9NOOP", WHAT)]),
    ("BIT209", "CMD301 CMD302", [("S", GREETING), *turns("C \xef\xbb\xbfEHLO client.example", WHAT)]),
    ("BIT209", "CMD301 CMD304", [*hello(), *turns("C \xef\xbb\xbfMAIL FROM:<a@client.example>", WHAT)]),
    ("EXT512", "RPL408", [*hello("VRFY"), *turns("C VRFY x", "S 500 no")]),
    (
        "EXT512",
        "RPL408",
        [*hello("CHUNKING"), *envelope(), ("C", f"BDAT {len(MESSAGE)} LAST\r\n{MESSAGE}"), *turns("S 502 no")],
    ),
    ("SEC612", "MSG706", [*hello(), *DATA, ("C", f"{MESSAGE}\n.\n.\r\n"), *turns("S 250 ok")]),
    ("SEC612", "MSG706", [*hello(), *DATA, ("C", f"{MESSAGE}.\nmore\r\n.\r\n"), *turns("S 250 ok")]),
    (
        "SEQ116",
        "EXT501",
        [
            *hello("STARTTLS"),
            *turns("C STARTTLS", "S 220 go"),
            ("TLS", ""),
            *turns("C EHLO client.example", "S 250 mx.example", "C STARTTLS", "S 503 no"),
        ],
    ),
    ("SEQ107", "SEQ104", [*CHUNKED, *turns("C BDAT 0", "S 503 no")]),
    ("EXT502", "CMD308", [*hello(), *turns(f"{SENDER} SIZE=x", "S 555 no")]),
    (
        "SEC605",
        "RPL424 EXT501",
        [("S", GREETING), *turns("C EHLO client.example", "S 250-mx.example|250 XXXXXXXA", "C STARTTLS", "S 502 no")],
    ),
    (
        "SEC631",
        "BIT201 BIT210 CMD301 CMD318 RPL409 RPL411 RPL412 TCP902",
        [
            ("S", GREETING),
            ("C", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\n\x80\r\n"),
            *turns(WHAT, "S 259 what"),
            *CLOSED,
        ],
    ),
]


@pytest.mark.parametrize(("cause", "children", "script"), CASES)
def test_one_fact_is_one_finding(cause: str, children: str, script: Script) -> None:
    found = heard(script, port=465 if cause == "SEC631" else 25)
    assert cause in {one.rule for one in found}
    alone = {one.rule for one in found if one.caused_by is None}
    assert alone & set(children.split()) == set()

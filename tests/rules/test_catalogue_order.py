"""Whole dialogues about the order of commands: exactly the listed rules must fire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import MESSAGE, envelope, findings, hello, play, rules, talk

from smtpwire.analyzer.model import ReplyTurn

if TYPE_CHECKING:
    from scripts import Script

CHUNKS = ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")
QUIT = ["C QUIT", "S 221 bye"]
CRAM = ["C AUTH CRAM-MD5", "S 334 PDFAbXguZXhhbXBsZT4=", "C " + "YSBi" * 12]


def turns(*entries: str) -> list[tuple[str, bytes | str]]:
    """Entries such as ``"C RSET|QUIT"``: the side, a space, and lines that are sent in one segment."""
    parts = (entry.partition(" ") for entry in entries)
    return [(who, "".join(line + "\r\n" for line in text.split("|")) if text else "") for who, _, text in parts]


def session(*entries: str, offers: tuple[str, ...] = ("PIPELINING", "8BITMIME")) -> list[tuple[str, bytes | str]]:
    return [*hello(*offers), *turns(*entries)]


def opened(*entries: str, offers: tuple[str, ...] = ("PIPELINING", "8BITMIME")) -> list[tuple[str, bytes | str]]:
    """The same after an accepted MAIL and RCPT."""
    return [*hello(*offers), *envelope(), *turns(*entries)]


def chunk(text: str, *, last: bool = True) -> str:
    return f"BDAT {len(text)}{' LAST' if last else ''}\r\n{text}"


def chunked(*pieces: tuple[str, str], more: tuple[str, ...] = ()) -> list[tuple[str, bytes | str]]:
    sent: list[tuple[str, bytes | str]] = []
    for text, code in pieces:
        sent += [("C", text), ("S", code + "\r\n")]
    return [*hello(*CHUNKS), *envelope(), *sent, *turns(*more)]


MAIL, RCPT = "C MAIL FROM:<a@client.example>", "C RCPT TO:<b@mx.example>"
GROUP = "C MAIL FROM:<a@client.example>|RCPT TO:<b@mx.example>|DATA"
TOO_MANY = "C RCPT TO:<d@mx.example>"

CASES: list[tuple[str, Script, list[str]]] = [
    # a pipelined group is judged by the replies that the client could know
    ("MAIL and DATA in one group", session("C MAIL FROM:<>|DATA", "S 250 ok|503 no recipient"), []),
    ("they are refused", session(f"{MAIL}|DATA", "S 550 no|503 no transaction"), []),
    ("they are accepted", session("C MAIL FROM:<>|DATA", "S 250 ok|354 go", "C .", "S 554 no"), ["SEQ122"]),
    ("in lockstep", session("C MAIL FROM:<>", "S 250 ok", "C DATA", "S 503 no recipient"), ["SEQ105"]),
    ("all refused", session(GROUP, "S 550 no|503 no transaction|503 no transaction"), []),
    ("two MAIL, the first refused", session("C MAIL FROM:<a@x.example>|MAIL FROM:<>", "S 550 no|250 ok"), []),
    ("two MAIL", session("C MAIL FROM:<a@x.example>|MAIL FROM:<>", "S 250 ok|503 nested"), ["SEQ102"]),
    (
        "AUTH after a refused MAIL",
        session(f"{MAIL}|AUTH CRAM-MD5", "S 550 no|535 no", offers=("PIPELINING", "AUTH CRAM-MD5")),
        ["SEQ111"],
    ),
    ("HELO and more in one group", session("C HELO c.example|RSET", "S 250 mx.example|250 ok"), ["EXT504"]),
    # a refused BDAT LAST ends the message, any other refused chunk does not end the transaction
    ("MAIL after a refused BDAT LAST", chunked((chunk(MESSAGE), "554 no"), more=(MAIL, "S 250 ok")), []),
    ("the server calls it nested", chunked((chunk(MESSAGE), "452 full"), more=(MAIL, "S 503 nested")), []),
    (
        "MAIL after another chunk",
        chunked((chunk("a\r\n", last=False), "452 full"), more=(MAIL, "S 503 nested")),
        ["SEQ102"],
    ),
    (
        "RCPT after a refused chunk",
        chunked((chunk("a\r\n", last=False), "452 full"), more=(RCPT, "S 503 no")),
        ["SEQ109"],
    ),
    (
        "a chunk after LAST and a refused MAIL",
        chunked((chunk(MESSAGE), "250 ok"), more=(MAIL, "S 550 no", "C BDAT 0", "S 503 no")),
        ["SEQ107"],
    ),
    ("DATA after LAST", chunked((chunk(MESSAGE), "250 ok"), more=("C DATA", "S 503 no")), ["SEQ104"]),
    # BURL adds octets that no capture contains
    (
        "BURL and a chunk",
        opened("C BURL imap://h.example/x", "S 250 ok", "C BDAT 0 LAST", "S 250 ok", offers=("BURL imap", *CHUNKS)),
        [],
    ),
    # text sent although DATA was not answered 354
    ("text after 451", opened("C DATA", "S 451 no", "C Subject: x|.", "S 500 what|500 what"), ["SEQ113"]),
    ("text after 250", opened("C DATA", "S 250 ok", "C Subject: x|.", "S 500 what|500 what"), ["RPL410", "SEQ113"]),
    ("line by line", opened("C DATA", "S 451 no", "C Subject: x", "S 500 what", "C .", "S 500 what"), ["SEQ113"]),
    (
        "a word that is a verb",
        opened("C DATA", "S 451 no", "C A: x|help wanted|.", "S 500 no|214 help|500 no"),
        ["SEQ113"],
    ),
    ("no dot comes", opened("C DATA", "S 451 no", "C Subject: x", "S 500 what", "C RSET", "S 250 ok"), ["SEQ113"]),
    ("no header field", opened("C DATA", "S 451 no", "C Hello Bob|.", "S 500 what|500 what"), ["SEQ113"]),
    ("neither a header field nor a dot", opened("C DATA", "S 451 no", "C Hello Bob", "S 500 what"), ["CMD301"]),
    # more after QUIT
    ("a byte after QUIT", [*session(*QUIT), ("C", "\0")], ["SEQ114"]),
    ("half a line after QUIT", [*session("C QUIT"), ("C", "NO")], ["SEQ114"]),
    ("QUIT was refused", [*session("C QUIT now", "S 501 no", "C NOOP", "S 250 ok", *QUIT)], ["CMD310"]),
    # 503 to a command in order
    ("503 to a private command", session("C XFOO", "S 503 no"), []),
    ("503 to TURN", session("C TURN", "S 503 no"), ["SEC624"]),
    ("503 to a source route", session("C MAIL FROM:<@r.example:a@x.example>", "S 503 no"), ["CMD312"]),
    ("503 to a long path", session(f"C MAIL FROM:<{'a' * 65}@x.example>", "S 503 no"), ["LEN004"]),
    ("503 to a long name", session(f"C VRFY <{'a' * 65}@x.example>", "S 503 no"), ["LEN004"]),
    ("503 to SEND", session("C SEND FROM:<>", "S 503 no"), ["CMD315"]),
    ("503 after 452", opened("C RCPT TO:<c@mx.example>", "S 452 full", TOO_MANY, "S 503 full"), []),
    ("503 after 452 and 550", opened(TOO_MANY, "S 452 full", TOO_MANY, "S 550 no", "C DATA", "S 503 no"), []),
    ("503 after 550", opened(TOO_MANY, "S 550 no", "C DATA", "S 503 no"), ["SEQ123"]),
    ("503 to one recipient too many", opened(TOO_MANY, "S 503 full", offers=("LIMITS RCPTMAX=1",)), ["EXT516"]),
    ("503 to QUIT", session("C QUIT", "S 503 no"), ["SEQ123"]),
    ("503 to ETRN", session("C ETRN x.example", "S 503 no", offers=("ETRN",)), ["SEQ123"]),
    ("503 to ETRN in a transaction", opened("C ETRN x.example", "S 503 no", offers=("ETRN",)), ["SEQ126"]),
    ("503 to ATRN in a transaction", opened("C ATRN x.example", "S 503 no", offers=("ATRN",)), []),
    # codes with a reason of their own
    *(
        (f"{code} to RCPT without MAIL", session(RCPT, f"S {code} no"), ["SEQ103"])
        for code in (421, 455, 530, 538, 555)
    ),
    *(
        (f"{code} to RCPT without MAIL", session(RCPT, f"S {code} no"), ["SEQ103", "SEQ121"])
        for code in (450, 501, 550, 553, 554)
    ),
    ("550 5.7.1 to RCPT without MAIL", session(RCPT, "S 550 5.7.1 no"), ["SEQ103"]),
    ("501 to arguments that are wrong too", session("C RCPT TO:bob", "S 501 no"), ["CMD304", "SEQ103"]),
    ("554 to DATA without MAIL", session("C DATA", "S 554 no"), ["SEQ104"]),
    (
        "AUTH again, refused for its password",
        session(*CRAM, "S 235 ok", "C AUTH CRAM-MD5", "S 535 no", offers=("AUTH CRAM-MD5",)),
        ["SEQ112", "SEQ121"],
    ),
]

every_case = pytest.mark.parametrize(("script", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])


@every_case
def test_what_is_reported(script: Script, expected: list[str]) -> None:
    assert rules(script, profile="rfc5321") == expected


@every_case
def test_byte_by_byte_without_tcp(script: Script, expected: list[str]) -> None:
    found = talk(script, profile="rfc5321", cut=lambda data: [data[at : at + 1] for at in range(len(data))])
    assert sorted({finding.rule for finding in found.findings}) == expected


def test_an_empty_transaction_that_lmtp_accepts_is_an_error() -> None:
    greeting = [("S", "220 mx.example\r\n"), ("C", "LHLO c.example\r\n"), ("S", "250-mx.example\r\n250 PIPELINING\r\n")]
    script = [*greeting, *turns(GROUP, "S 250 ok|550 no|354 go", "C .", "S 503 no recipient", *QUIT)]
    assert [(f.rule, f.severity) for f in findings(script, profile="lmtp")] == [("SEQ122", "error")]


def test_a_command_sent_inside_a_reply_is_too_early() -> None:
    script = [*hello(), *turns("C HELP", "S 214-a", "C NOOP", "S 214 b|250 ok", *QUIT)]
    connection = play(script)
    assert [(f.rule, f.certainty) for f in connection.findings] == [("EXT504", "certain")]
    assert [turn.code for turn in connection.dialogue if isinstance(turn, ReplyTurn)] == [220, 250, 214, 250, 221]


def test_a_command_before_the_last_line_of_a_reply_was_sent_too_early() -> None:
    """The lines after it belong to the same reply, so the client is at fault (RFC 5321 §4.2.1)."""
    script = [
        *hello()[:2],
        *turns("S 250-mx.example|250-8BITMIME", MAIL, "S 250 HELP", "S 250 ok", "C RSET", "S 250 ok"),
    ]
    connection = play([*script, *turns(*QUIT)])
    assert [(f.rule, f.side) for f in connection.findings] == [("EXT504", "client")]
    assert [turn.code for turn in connection.dialogue if isinstance(turn, ReplyTurn)] == [220, 250, 250, 250, 221]


def test_the_order_is_not_judged_if_the_server_joined_two_replies() -> None:
    script = [("S", "220 mx.example ESMTP"), *hello()[1:], *envelope(), *turns("C RCPT TO:<c@mx.example>", "S 250 ok")]
    assert rules(script, select=("SEQ", "EXT", "CMD")) == []


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["C MAIL FROM: <a@client.example>", "S 250 ok"], ["CMD305", "TCP906"]),
        (["C NOOP caf\xe9", "S 250 ok"], ["BIT201", "TCP906"]),
        (["C STARTTLS", "S 502 no"], ["TCP906"]),
        (["C RCPT TO:<b@mx.example>", "S 503 no"], ["TCP906"]),
        (["C EHLO c.example", "S 250 mx.example", "C DATA", "S 503 no"], ["SEQ104", "TCP906"]),
    ],
)
def test_in_midstream_only_order_and_offers_are_not_judged(entries: list[str], expected: list[str]) -> None:
    assert rules(turns("S 250 ok", *entries), midstream=True) == expected

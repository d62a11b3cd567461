"""Lines, bytes, offers and lengths at their limits: exactly the listed rules must fire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import GREETING, MESSAGE, envelope, findings, hello, lines, rules

if TYPE_CHECKING:
    from scripts import Script

UTF8 = ("PIPELINING", "8BITMIME", "SMTPUTF8")
CHUNKS = ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")
CHALLENGE = ["C AUTH CRAM-MD5", "S 334 PDFAbXguZXhhbXBsZT4="]
HEADER = MESSAGE.partition("\r\n\r\n")[0] + "\r\n"
EIGHT_BIT = HEADER + "X-Name: \xc3\xa9\r\n\r\nhello\r\n"


def session(*entries: str, offers: tuple[str, ...] = ("PIPELINING", "8BITMIME")) -> list[tuple[str, bytes | str]]:
    return [*hello(*offers), *lines(*entries)]


def mailed(text: str, parameters: str = "", offers: tuple[str, ...] = ()) -> list[tuple[str, bytes | str]]:
    """One accepted message sent with DATA."""
    sent = [("C", text + ".\r\n"), ("S", "250 ok\r\n")]
    return [*hello(*offers), *envelope(parameters), *lines("C DATA", "S 354 go"), *sent]


def chunked(*pieces: str, parameters: str = "") -> list[tuple[str, bytes | str]]:
    """One accepted message sent with BDAT."""
    sent: list[tuple[str, bytes | str]] = []
    for n, text in enumerate(pieces, 1):
        sent += [("C", f"BDAT {len(text)}{' LAST' if n == len(pieces) else ''}\r\n{text}"), ("S", "250 ok\r\n")]
    return [*hello(*CHUNKS), *envelope(parameters), *sent]


def domain(octets: int) -> str:
    labels = ".".join(["a" * 63] * ((octets - 2) // 64))
    return labels + "." + "b" * (octets - len(labels) - 1)


def long(prefix: str, octets: int) -> str:
    """A line of ``octets``, including CRLF."""
    return prefix + "x" * (octets - 2 - len(prefix))


LINES: list[tuple[str, Script, list[str]]] = [
    # a line of an AUTH exchange: only its base64 is judged
    (
        "AUTH line with high bytes",
        session(*CHALLENGE, "C \xe9\xe9\xe9\xe9", "S 501 no", offers=("AUTH CRAM-MD5",)),
        ["CMD314"],
    ),
    ("AUTH line with NUL", session(*CHALLENGE, "C \0", "S 501 no", offers=("AUTH CRAM-MD5",)), ["CMD314"]),
    (
        "AUTH command with high bytes",
        session("C AUTH CRAM-MD5 \xe9", "S 501 no", offers=("AUTH CRAM-MD5",)),
        ["BIT201", "CMD314"],
    ),
    # a bare LF without a reply is part of the line
    ("LF, 421", [*hello(), ("C", "NOOP\n"), ("S", "421 mx.example bye\r\n"), ("FS", "")], ["BIT221"]),
    ("LF, nothing", [*hello(), ("C", "NOOP\n")], ["BIT221"]),
    ("CR inside, nothing", [*hello(), ("C", "NO\rOP")], ["BIT222"]),
    ("CR at the end, nothing", [*hello(), ("C", "NOOP\r")], []),
    ("LF, then a line", [*hello(), ("C", "NOOP\n"), ("C", "x\r\n"), ("S", "500 no\r\n")], ["BIT221"]),
    # brackets
    ("one too many", session("C MAIL FROM:<a@x.example>>", "S 501 no"), ["CMD304"]),
    ("two too many", session("C MAIL FROM:<<a@x.example>>", "S 501 no"), ["CMD304"]),
    ("a parameter directly after it", session("C MAIL FROM:<a@x.example>BODY=7BIT", "S 501 no"), ["CMD307"]),
    ("a bracket in quotes", session('C MAIL FROM:<">"@x.example>', "S 250 ok"), []),
    # each parameter is judged if its extension is listed
    (
        "the listed one is second",
        session("C MAIL FROM:<> BODY=9BIT SIZE=x", "S 501 no", offers=("SIZE",)),
        ["CMD308", "EXT502"],
    ),
    (
        "the listed one is first",
        session("C MAIL FROM:<> SIZE=x BODY=9BIT", "S 501 no", offers=("SIZE",)),
        ["CMD308", "EXT502"],
    ),
    ("none is listed", session("C MAIL FROM:<> SIZE=x BODY=9BIT", "S 555 no", offers=()), ["EXT502"]),
    (
        "both holds, not listed",
        session("C MAIL FROM:<> SIZE=1 HOLDFOR=1 HOLDUNTIL=x", "S 555 no", offers=("SIZE",)),
        ["EXT502"],
    ),
    # lines that the server reads after a BDAT that does not parse
    (
        "BDAT with text",
        [*session(offers=CHUNKS), *envelope(), ("C", "BDAT ten\r\nhello\r\n"), ("S", "501 no\r\n500 what\r\n")],
        ["CMD313"],
    ),
    # lengths
    ("EHLO 255", session(f"C EHLO {domain(255)}", "S 250 mx.example"), []),
    ("EHLO 256", session(f"C EHLO {domain(256)}", "S 250 mx.example"), ["LEN004"]),
    ("EHLO 256, 502", session(f"C EHLO {domain(256)}", "S 502 no"), ["LEN004"]),
    ("path 256", session(f"C MAIL FROM:<a@{domain(252)}>", "S 250 ok"), []),
    ("path 257", session(f"C MAIL FROM:<a@{domain(253)}>", "S 501 no"), ["LEN004"]),
    ("local-part 64", session(f"C VRFY <{'a' * 64}@x.example>", "S 252 ok"), []),
    ("local-part 65", session(f"C VRFY <{'a' * 65}@x.example>", "S 252 ok"), ["LEN004"]),
    ("list of 65", session(f"C EXPN {'a' * 65}", "S 550 no"), []),
    ("line 512", session(long("C NOOP ", 514), "S 250 ok"), []),
    ("line 513", session(long("C NOOP ", 515), "S 250 ok"), ["LEN001"]),
    (
        "MAIL 555 of SIZE and 8BITMIME",
        session(long("C MAIL FROM:<> X-P=", 557), "S 250 ok", offers=("SIZE", "8BITMIME", "XP")),
        [],
    ),
    ("MAIL 556", session(long("C MAIL FROM:<> X-P=", 558), "S 500 no", offers=("SIZE", "8BITMIME", "XP")), ["LEN001"]),
    (
        "RCPT 1041 of DSN",
        [*session(offers=("DSN", "XP")), *envelope(), *lines(long("C RCPT TO:<b@x.example> X-P=", 1043), "S 250 ok")],
        [],
    ),
    (
        "RCPT 1042",
        [*session(offers=("DSN", "XP")), *envelope(), *lines(long("C RCPT TO:<b@x.example> X-P=", 1044), "S 500 no")],
        ["LEN001"],
    ),
    ("long ETRN, not implemented", session("C ETRN " + "x" * 70, "S 502 no", offers=("ETRN",)), ["EXT512"]),
    ("HELP with an argument, not implemented", session("C HELP MAIL", "S 502 no", offers=("HELP",)), []),
]

CONTENT: list[tuple[str, Script, list[str]]] = [
    ("CRLF across chunks", chunked(HEADER + "\r\na\r", "\nb\r\n"), []),
    ("CR across chunks", chunked(HEADER + "\r\na\r", "b\r\n"), ["BIT224"]),
    ("LF across chunks", chunked(HEADER + "\r\na", "\nb\r\n"), ["BIT223"]),
    ("CR at the very end", chunked(HEADER + "\r\na\r"), ["BIT224"]),
    ("binary by BDAT", chunked(HEADER + "\r\na\0\r\n\rb\n", parameters="BODY=BINARYMIME"), []),
    ("written with LF alone", mailed(MESSAGE.replace("\r\n", "\n") + "\r\n"), ["BIT223"]),
    ("998 characters", mailed(HEADER + "\r\n" + "x" * 998 + "\r\n"), []),
    ("999 characters", mailed(HEADER + "\r\n" + "x" * 999 + "\r\n"), ["LEN003"]),
    ("998 and a stuffed dot", mailed(HEADER + "\r\n.." + "x" * 997 + "\r\n"), []),
    ("as large as allowed", mailed(MESSAGE, offers=(f"SIZE {len(MESSAGE)}",)), []),
    ("larger by one", mailed(MESSAGE, offers=(f"SIZE {len(MESSAGE) - 1}",)), ["EXT506"]),
    ("UTF-8 header, declared", mailed(EIGHT_BIT, "SMTPUTF8", UTF8), []),
    ("UTF-8 header, not declared", mailed(EIGHT_BIT, "", UTF8), ["BIT205"]),
    ("Latin-1 header, declared", mailed(EIGHT_BIT.replace("\xc3", ""), "SMTPUTF8", UTF8), ["BIT203"]),
    ("a character across chunks", [*chunked(HEADER + "X: \xc3", "\xa9\r\n\r\na\r\n")], ["BIT205"]),
]

CASES = LINES + CONTENT


@pytest.mark.parametrize(("script", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_reported(script: Script, expected: list[str]) -> None:
    assert rules(script, profile="rfc5321") == expected


EHLO_821 = [("S", GREETING), ("C", "EHLO c.example\r\n"), ("S", "250-mx.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (EHLO_821 + mailed(EIGHT_BIT, "SMTPUTF8")[3:], ["BIT205", "EXT502"]),
        (EHLO_821 + lines("C VRFY \xc3\xa9 SMTPUTF8", "S 250 <\xc3\xa9@mx.example>"), ["BIT201", "BIT204", "SEC638"]),
        (EHLO_821 + lines("C HELO x." + "a" * 62, "S 250 mx.example"), []),
        (EHLO_821 + lines("C HELO x." + "a" * 63, "S 250 mx.example"), ["LEN004"]),
        (EHLO_821 + lines("C NOOP", "S 250 ok", "C QUIT", "S 221 bye"), []),
    ],
)
def test_rfc_821_allows_no_exception(script: Script, expected: list[str]) -> None:
    assert rules(script, profile="rfc821") == expected


def test_a_declared_address_may_be_utf8_if_the_offer_was_not_captured() -> None:
    declared = [*hello()[1:], *lines("C MAIL FROM:<\xc3\xa9@x.example> SMTPUTF8", "S 250 ok")]
    assert rules(declared, onesided=True) == ["TCP906"]
    assert rules([*declared, *lines("C NOOP \xc3\xa9", "S 250 ok")], onesided=True) == ["BIT201", "TCP906"]


@pytest.mark.parametrize(
    ("profile", "reply", "severity"),
    [("submission", "250 ok", "warning"), ("submission", "501 no", "error"), ("rfc5321", "250 ok", "error")],
)
def test_a_submission_server_may_complete_an_address(profile: str, reply: str, severity: str) -> None:
    login = lines(*CHALLENGE, "C " + "YSBi" * 12, "S 235 ok")
    script = [*hello("AUTH CRAM-MD5"), *login, *lines("C MAIL FROM:<joe>", "S " + reply)]
    assert [(f.rule, f.severity) for f in findings(script, profile=profile)] == [("CMD304", severity)]


@pytest.mark.parametrize(("offers", "severity"), [((), "warning"), (("SOML",), "info")])
def test_an_obsolete_verb_that_is_listed_is_info(offers: tuple[str, ...], severity: str) -> None:
    script = session("C SOML FROM:<>", "S 250 ok", offers=offers)
    assert [(f.rule, f.severity) for f in findings(script)] == [("CMD315", severity)]

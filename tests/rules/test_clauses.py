"""Clauses of the rule book that no other test checks: whole sessions with exactly the rules that fire."""

from __future__ import annotations

from typing import Any

import pytest
from scripts import GREETING, MESSAGE, Script, envelope, hello, lines, rules, talk

QUIT = lines("C QUIT", "S 221 mx.example bye")
FIN_C, FIN_S = ("FC", ""), ("FS", "")
OFFERED = hello("PIPELINING", "SIZE 10240000", "8BITMIME")
STATUS = hello("PIPELINING", "ENHANCEDSTATUSCODES")
BYE = lines("C QUIT", "S 221 2.0.0 bye")
HELLO, SERVER_HELLO = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", "\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03"
TLS: Script = [("C", HELLO), ("S", SERVER_HELLO)]
STARTTLS = hello("STARTTLS", "PIPELINING", "8BITMIME")
HEADER = MESSAGE.partition("\r\n\r\n")[0] + "\r\n"
MIME = HEADER + "MIME-Version: 1.0\r\n"
FROM = lines("C MAIL FROM:<a@client.example>", "S 250 OK")


def data(content: str, final: str = "250 OK") -> list[tuple[str, bytes | str]]:
    return [*lines("C DATA", "S 354 go"), ("C", content + ".\r\n"), ("S", final + "\r\n")]


def mail(content: str = MESSAGE, final: str = "250 OK") -> list[tuple[str, bytes | str]]:
    return [*envelope(), *data(content, final)]


def ended_at(script: str) -> list[tuple[str, bytes | str]]:
    """A message that the server ended at ``script``, whose last bytes only look like the end."""
    return [*OFFERED, *envelope(), *lines("C DATA", "S 354 go"), ("C", HEADER + "\r\nx" + script), ("S", "250 ok\r\n")]


def ask(code: str) -> list[tuple[str, bytes | str]]:
    return lines("C VRFY b", f"S {code}")


REPLIES: dict[str, tuple[Script, str]] = {
    "a reply that never ends announces the close too": ([*OFFERED, ("S", "421-closing\r\n"), FIN_S], "RPL404"),
    "the reply to QUIT too": ([*OFFERED, ("C", "QUIT\r\n"), ("S", "221-bye\r\n"), FIN_S], "RPL404"),
    "another one is cut off": ([*OFFERED, ("C", "HELP\r\n"), ("S", "214-a\r\n"), FIN_S], "RPL404 TCP902"),
    "TLS is wanted first": ([*OFFERED, *lines("C MAIL FROM:<a@x.example>", "S 454 TLS first"), *QUIT], ""),
    "success of no command, and unknown": ([*OFFERED, *lines("C NOOP", "S 255 x"), *QUIT], "RPL409 RPL410"),
    "unknown and unsolicited": ([*OFFERED, *lines("C NOOP", "S 250 OK", "S 541 x"), *QUIT], "RPL409 RPL411"),
    "more than one 354": (
        [*OFFERED, *envelope(), ("C", "DATA\r\n"), ("S", "354 go\r\n"), *data(MESSAGE)[1:], *QUIT],
        "RPL411",
    ),
    "unsolicited after a refused STARTTLS": (
        [*STARTTLS, *lines("C STARTTLS", "S 454 no", "S 250 x"), *QUIT],
        "RPL411 SEC607",
    ),
    "250 starts no TLS": ([*STARTTLS, *lines("C STARTTLS", "S 250 ok"), *QUIT], "RPL410"),
    "a space follows a status code": ([*STATUS, *ask("550 5.1.1"), *BYE], "RPL417"),
    "and no text is needed": ([*STATUS, *ask("550 5.1.1 "), *BYE], ""),
    "unsolicited replies have one too": ([*STATUS, *lines("S 421 idle"), FIN_S], "RPL417"),
    "of the right class": ([*STATUS, *lines("S 421 5.3.2 idle"), FIN_S], "RPL416"),
    "the class differs, and the lines do": ([*STATUS, *ask("550-5.1.1 a\r\n550 4.1.1 b"), *BYE], "RPL416 RPL418"),
    "the reply to HELO has none": (
        [*STATUS, *lines("C HELO x.example", "S 250 mx", "C RSET", "S 250 ok"), *QUIT],
        "",
    ),
    "the first line of EHLO was lost": (
        [
            *lines(f"S {GREETING.strip()}", "C EHLO x.example"),
            *[("S", "250-mx.example\r\n250-PIPE"), ("GS", "10"), ("S", "250 8BITMIME\r\n")],
            *mail(),
            *QUIT,
        ],
        "TCP906",
    ),
    "refused before the end of data": (
        [
            *OFFERED,
            *envelope(),
            *lines("C DATA", "S 354 go"),
            ("C", MESSAGE),
            *lines("S 552 big", "C more", "C ."),
            *QUIT,
        ],
        "RPL411",
    ),
    "a server that closes after the greeting": ([("S", GREETING), FIN_S], "TCP902"),
    "a client that closes after the greeting": ([("S", GREETING), FIN_C], "TCP901"),
    "QUIT is answered before the end": ([*OFFERED, ("C", "QUIT\r\n"), FIN_S], "RPL412 TCP902"),
}

SECURITY: dict[str, tuple[Script, str]] = {
    "after the 220 the session is a new one, in plain text too": (
        [*STARTTLS, *lines("C STARTTLS", "S 220 go"), *mail(), *QUIT],
        "SEC602 SEQ101 SEQ120",
    ),
    "and the server must not offer TLS in it": (
        [*STARTTLS, *lines("C STARTTLS", "S 220 go"), *STARTTLS[1:], *mail(), *QUIT],
        "EXT511 SEC602",
    ),
    "perhaps the handshake was lost": (
        [*STARTTLS, *lines("C STARTTLS", "S 220 go"), ("GC", "20"), *OFFERED[1:], *QUIT],
        "TCP906",
    ),
    "421 in plain text after 220": ([*STARTTLS, *lines("C STARTTLS", "S 220 go", "S 421 failed"), FIN_S], "SEC604"),
    "injected and answered in plain text": (
        [*STARTTLS, ("C", "STARTTLS\r\nRSET\r\n"), ("S", "220 go\r\n250 OK\r\n"), *TLS],
        "SEC601 SEC604",
    ),
    "a handshake sent too early is not an injection": (
        [*STARTTLS, ("C", "STARTTLS\r\n" + HELLO), *lines("S 220 go"), TLS[1]],
        "",
    ),
    "mechanisms in lower case": ([*hello("AUTH plain"), *QUIT], "SEC610"),
    "not base64, and meant as a password": (
        [*hello("AUTH PLAIN"), *lines("C AUTH PLAIN not!base64", "S 501 x"), *QUIT],
        "CMD314 SEC609 SEC610",
    ),
    "a dot after a look-alike": ([*OFFERED, *mail(HEADER + "\r\na\n.\nb\r\n.c\r\n"), *QUIT], "BIT223 MSG706 SEC612"),
    "cut off after a look-alike": (
        [*OFFERED, *envelope(), *lines("C DATA", "S 354 go"), ("C", HEADER + "\r\na\n.\nb"), FIN_C],
        "BIT223 SEC612",
    ),
    "QUIT in a message smuggles nothing": ([*OFFERED, *mail(HEADER + "\r\na\n.\nQUIT\r\n"), *QUIT], "BIT223 SEC612"),
    "a word that starts with DATA": ([*OFFERED, *mail(HEADER + "\r\na\n.\nData is fine\r\n"), *QUIT], "BIT223 SEC612"),
    "accepted at CRLF dot LF": ([*ended_at("\r\n.\n"), *QUIT], "BIT223 SEC612 SEC615"),
    "accepted at CRLF dot CR": ([*ended_at("\r\n.\r"), *QUIT], "BIT224 SEC612 SEC615"),
    "accepted, and the next mail": ([*ended_at("\r\n.\n"), *mail(), *QUIT], "BIT223 SEC612 SEC615"),
    "a timeout after it": (
        [*ended_at("\r\n.\n")[:-1], *lines("S 421 timeout"), FIN_S],
        "BIT223 SEC612",
    ),
    "half a line before the greeting": (
        [("C", "EHLO"), ("S", GREETING), ("C", " x.example\r\n"), OFFERED[-1], *QUIT],
        "SEC618",
    ),
    "a line without an end": ([*OFFERED, ("C", "NOOP " + "x" * 3000)], "LEN001 SEC626"),
    "AUTH may have such a line": ([*hello("AUTH PLAIN"), ("C", "AUTH PLAIN " + "QUFB" * 700)], "LEN001 SEC610"),
    "a Telnet client negotiates first": (
        [("C", "\xff\xfb\x1f"), ("S", "521 go away\r\n"), ("C", "\r\n"), FIN_S],
        "BIT201 SEC618",
    ),
    "a handshake and no TLS": ([("S", GREETING), ("C", HELLO)], "SEC616"),
    "the percent hack with a short name": (
        [*OFFERED, *FROM, *lines("C RCPT TO:<b%y@mx.example>", "S 550 no", "C RSET", "S 250 OK"), *QUIT],
        "SEC622",
    ),
    "GSSAPI encrypts what follows": (
        [
            *hello("AUTH GSSAPI"),
            *lines("C AUTH GSSAPI YIIC", "S 334 YIIC", "C YIIC", "S 235 ok"),
            *[("C", "\0\0\0\x04\x05\x04\x01\xff"), ("S", "\0\0\0\x04\x05\x04\x01\xff")],
        ],
        "TCP906",
    ),
    "DIGEST-MD5 may not encrypt": (
        [*hello("AUTH DIGEST-MD5"), *lines("C AUTH DIGEST-MD5", "S 334 YQ==", "C Yg==", "S 235 ok"), *mail(), *QUIT],
        "",
    ),
}

PART = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
NESTED = (
    MIME
    + 'Content-Type: multipart/mixed; boundary="out"\r\n\r\n--out\r\nContent-Type: multipart/mixed; boundary=in\r\n'
    "\r\n--in\r\n" + PART + "{}\r\n--in--\r\n--out--\r\n"
)

MESSAGES: dict[str, tuple[str, str]] = {
    "a bare LF ends no header line": (HEADER.replace("test", "x\nyz") + "\r\nhello\r\n", "BIT223"),
    "a bare LF may hide a field": (HEADER.replace("test", "x\nBcc: v@x.example") + "\r\nhello\r\n", "BIT223 SEC619"),
    "a field that is not repeated": (HEADER.replace("test", "x\nTo: v@x.example") + "\r\nhello\r\n", "BIT223 SEC619"),
    "a message all of LF is a message": (MESSAGE.replace("\r\n", "\n") + "\r\n", "BIT223"),
    "a part in a part": (NESTED.format("aGVsbG8="), ""),
    "and what is wrong in it": (NESTED.format("####"), "MSG712"),
    "no time zone": (HEADER.replace(" +0000", "") + "\r\nx\r\n", "MSG707"),
}


def fired(script: Script, **how: Any) -> str:
    inside = any(who == "TLS" for who, _ in script)
    found = sorted({f.rule for f in talk(script, **how).findings}) if inside else rules(script, **how)
    return " ".join(found)


@pytest.mark.parametrize("name", REPLIES)
def test_replies(name: str) -> None:
    script, expected = REPLIES[name]
    assert fired(script) == expected


@pytest.mark.parametrize("name", SECURITY)
def test_security(name: str) -> None:
    script, expected = SECURITY[name]
    assert fired(script) == expected


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    content, expected = MESSAGES[name]
    assert fired([*OFFERED, *mail(content), *QUIT]) == expected


def test_inside_tls_the_client_speaks_first() -> None:
    inside: Script = [*lines("S 250 OK"), *OFFERED[1:], *QUIT]
    injected = [*STARTTLS, ("C", "STARTTLS\r\nRSET\r\n"), ("S", "220 go\r\n"), ("TLS", "")]
    assert fired([*injected, *inside]) == "SEC601 SEC603"
    assert fired([*STARTTLS, *lines("C STARTTLS", "S 220 go"), ("TLS", ""), *inside]) == "RPL411"


def test_lmtp_requires_503_for_mail_data_without_recipient() -> None:
    start = [("S", GREETING), ("C", "LHLO client.example\r\n"), OFFERED[-1]]
    refused = lines("C RCPT TO:<b@mx.example>", "S 550 no")
    rest = [*lines("C RSET", "S 250 OK"), *QUIT]
    lockstep = [*start, *FROM, *refused]
    assert fired([*lockstep, *lines("C DATA", "S 554 no"), *rest], profile="lmtp") == "RPL408 SEQ105"
    assert fired([*lockstep, *lines("C DATA", "S 503 no"), *rest], profile="lmtp") == "SEQ105"
    group: Script = [
        ("C", "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
        ("S", "250 OK\r\n550 no\r\n554 no\r\n"),
    ]
    assert fired([*start, *group, *rest], profile="lmtp") == "RPL408"
    assert fired([*OFFERED, *group, *rest]) == ""

"""Dialogues with secrets in many places, for tests that search reports for them."""

from __future__ import annotations

import base64

from scripts import GREETING, Script, envelope, hello, lines

__all__ = ["BODY", "LOGIN", "PASSWORD", "PLAIN", "SCRIPTS", "b64"]

PASSWORD = "tr0ub4dor+3/Zq9x"
USER = "correcthorse"
BODY = "the-merger-is-on-friday"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = b64(f"\0{USER}\0{PASSWORD}")
LOGIN = [b64(USER), b64(PASSWORD)]
OFFERS = hello("AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2", "XCLIENT LOGIN", "PIPELINING", "BURL imap")
BYE = lines("C QUIT", "S 221 bye")

SCRIPTS: dict[str, Script] = {
    "initial response": [*OFFERS, *lines(f"C AUTH PLAIN {PLAIN}", "S 235 ok"), *BYE],
    "exchange": [
        *OFFERS,
        *lines(
            "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", f"C {LOGIN[0]}", "S 334 UGFzc3dvcmQ6", f"C {LOGIN[1]}", "S 535 no"
        ),
        *BYE,
    ],
    "answer not base64": [*OFFERS, *lines("C AUTH PLAIN", "S 334 ", f"C {PASSWORD}", f"S 501 bad: {PASSWORD}"), *BYE],
    "mechanism refused and sent on": [
        *OFFERS,
        *lines("C AUTH LOGIN", "S 504 no such mechanism", f"C {LOGIN[0]}", f"S 500 unknown command {LOGIN[0]}"),
        *lines(f"C {LOGIN[1]}", f'S 500 unknown command "{LOGIN[1].upper()}"'),
        *BYE,
    ],
    "pipelined before the refusal": [
        *OFFERS,
        ("C", f"AUTH LOGIN\r\n{LOGIN[0]}\r\n{LOGIN[1]}\r\n"),
        *lines("S 503 no", "S 500 what", "S 500 what"),
        *BYE,
    ],
    "glued": [*OFFERS, *lines(f"C AUTHPLAIN {PLAIN}", f"S 500 unknown: AUTHPLAIN {PLAIN}"), *BYE],
    "no mechanism": [*OFFERS, *lines(f"C AUTH {PLAIN}", "S 504 what"), *BYE],
    "leading blank": [*OFFERS, *lines(f"C  AUTH PLAIN {PLAIN}", "S 500 what"), *BYE],
    "tabs": [*OFFERS, *lines(f"C AUTH\tPLAIN\t{PLAIN}", "S 500 what"), *BYE],
    "lower case": [*OFFERS, *lines(f"C auth plain {PLAIN}", "S 235 ok"), *BYE],
    "in plain words": [*OFFERS, *lines(f"C AUTH PLAIN {USER} {PASSWORD}", "S 501 what"), *BYE],
    "after another verb": [
        *OFFERS,
        *lines(f"C NOOP AUTH PLAIN {PLAIN}", "S 250 ok", f"C NOOP {PLAIN}", "S 250 ok"),
        *BYE,
    ],
    "after EHLO": [("S", GREETING), *lines(f"C EHLO AUTH PLAIN {PLAIN}", "S 501 what"), *BYE],
    "after a bare line feed": [*OFFERS, ("C", f"RSET\nAUTH PLAIN {PLAIN}\r\n"), *lines("S 500 what"), *BYE],
    "xclient": [*OFFERS, *lines(f"C XCLIENT ADDR=192.0.2.9 LOGIN={PASSWORD}", "S 220 ok"), *BYE],
    "pop3": [
        *OFFERS,
        *lines(f"C USER {USER}", "S 500 what", f"C PASS {PASSWORD}", f"S 500 what is PASS {PASSWORD}"),
        *BYE,
    ],
    "imap": [*OFFERS, *lines(f"C a1 LOGIN {USER} {PASSWORD}", "S 500 what"), *BYE],
    "http": [
        *OFFERS,
        *lines(
            f"C GET /?user=x&password={PASSWORD} HTTP/1.1",
            "S 500 what",
            f"C Authorization: Basic {b64(USER + ':' + PASSWORD)}",
        ),
        *lines("S 500 what"),
        *BYE,
    ],
    "burl": [
        *OFFERS,
        *envelope(),
        *lines(f"C BURL imap://u@imap.example/x;uid=1;urlauth=submit+u:internal:{PASSWORD} LAST", "S 554 no"),
        *BYE,
    ],
    "token": [*OFFERS, *lines(f"C AUTH XOAUTH2 {b64(f'user=x auth=Bearer {PASSWORD}')}", "S 235 ok"), *BYE],
    "message": [
        *OFFERS,
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", f"Subject: x\r\n\r\n{PASSWORD} {BODY}\xe9\x00\n{BODY}\r\n.\r\n"),
        *lines("S 250 ok"),
        *BYE,
    ],
    "message without an empty line": [
        *OFFERS,
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", f"{BODY}\xe9 {PASSWORD}\r\n {BODY}\r\nnot a field {BODY}\r\n.\r\n"),
        *lines("S 250 ok"),
        *BYE,
    ],
    "text after a refused DATA": [
        *OFFERS,
        *lines("C DATA", "S 503 no"),
        *lines(f"C Dear {BODY} {PASSWORD}", "S 500 unknown", f"C use {PASSWORD}", "S 500 what", "C .", "S 500 what"),
        *BYE,
    ],
    "malformed server line": [
        *OFFERS,
        *lines(f"C AUTH PLAIN {PLAIN}", f"S you sent AUTH PLAIN {PLAIN}", "S 235 ok"),
        *BYE,
    ],
}

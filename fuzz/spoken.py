"""The text of both sides: lines of SMTP and parts of messages. An input refers to them by number."""

# Inputs that found a fault refer to lines by number, so new lines are added after the existing ones.

from __future__ import annotations

__all__ = ["LINES", "NUMBERS", "line", "number_of"]

LINES = (
    *(
        b"220 mx ESMTP\r\n",
        b"250 ok\r\n",
        b"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 STARTTLS\r\n",
        b"354 go\r\n",
    ),
    *(b"334 VXNlcm5hbWU6\r\n", b"235 ok\r\n", b"503 no\r\n", b"550-5.1.1 no\r\n", b"421 bye\r\n", b"221 bye\r\n"),
    *(
        b"EHLO c.example\r\n",
        b"HELO c\r\n",
        b"LHLO c\r\n",
        b"MAIL FROM:<a@x.example>\r\n",
        b"RCPT TO:<b@y.example>\r\n",
    ),
    *(
        b"DATA\r\n",
        b"BDAT 5\r\nabcde",
        b"BDAT 18446744073709551616 LAST\r\n",
        b"BURL x LAST\r\n",
        b"RSET\r\n",
        b"QUIT\r\n",
    ),
    *(
        b"Subject: x\r\n\r\nhello\r\n.\r\n",
        b"\r\n.\n",
        b"\n.\r\n",
        b".\r\n",
        b"\0.\0\r\n",
        b"AUTH LOGIN\r\n",
        b"YQ==\r\n",
    ),
    *(b"AUTH PLAIN AGEAYg==\r\n", b"STARTTLS\r\n", b"\x16\x03\x01\x00\x05hello", b"VRFY a\r\n", b"GET / HTTP/1.1\r\n"),
    *(b"NOOP\n", b"X\r", b"250", b" ok\r\n", b"\r\n", b"\n", b"250-\xff\r\n", b"A" * 2000, b"From: a@b.example\r\n"),
    *(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"221 2.0.0 a\r\n",
    ),
)

_DATE = b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@x.example\r\n"
_MORE_FROM = 120
_MORE = (
    # a message in pieces, with the commands after it
    *(_DATE + b"\r\nhel", b"lo\r\n", b"lo\r\n.\r\n", b"\r\n.\r\nQUIT\r\n", b"\r\n.\r\nMAIL FROM:<a@x.example>\r\n"),
    *(b"caf\xc3\xa9\r\n", _DATE + b"\r\n\xe9\r\n.\r\n", _DATE + b"\r\nhello\r\n.\r\n", b"..x\r\n", _DATE),
    *(b"\r\n", b"\r\n.", b"\r", b".", b"\r\n.\r\nRSET\r\nMAIL FROM:<a@x.example> SIZE=50\r\n", b"x" * 90),
    # sizes and other offers
    *(b"250-mx\r\n250-SIZE 2000\r\n250 AUTH PLAIN LOGIN\r\n", b"250-mx\r\n250-PIPELINING\r\n250 SIZE 100\r\n"),
    *(b"MAIL FROM:<a@x.example> SIZE=50\r\n", b"MAIL FROM:<a@x.example> SIZE=3000 BODY=8BITMIME\r\n"),
    *(b"250-mx\r\n250-STARTTLS\r\n250 8BITMIME\r\n", b"250-mx\r\n250 SMTPUTF8\r\n", b"250-mx\r\n250 PIPELINING\r\n"),
    *(b"RCPT TO:<c@y.example> NOTIFY=NEVER\r\n", b"RCPT TO:<c@y.example>\r\n", b"EHLO d.example\r\n"),
    # several at once
    *(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"),
    *(b"RCPT TO:<b@y.example>\r\nDATA\r\n", b"250 ok\r\n354 go\r\n", b"250 ok\r\n221 bye\r\n", b"RSET\r\nQUIT\r\n"),
    # encrypted, logins, chunks, refusals
    *(b"220 go ahead\r\n", b"\x16\x03\x03\x00\x05world", b"\x17\x03\x03\x00\x05again", b"\x15\x03\x03\x00\x02\1\0"),
    *(b"AUTH PLAIN\r\n", b"334 \r\n", b"*\r\n", b"535 5.7.8 no\r\n", b"BDAT 10 LAST\r\n0123456789", b"BDAT 0 LAST\r\n"),
    *(
        b"250 2.1.0 fine\r\n",
        b"451 4.7.1 later\r\n",
        b"452 4.5.3 too many\r\n",
        b"554 5.7.1 no\r\n",
        b"220-mx\r\n220 mx\r\n",
    ),
)
NUMBERS = (*range(len(LINES) + 1), *range(_MORE_FROM, _MORE_FROM + len(_MORE)))
"""All numbers of lines. For most targets 0 means no line; the first line has the number ``len(LINES)`` too."""


def line(number: int) -> bytes:
    """Return the line of a number up to 200."""
    place = number - _MORE_FROM
    return _MORE[place] if 0 <= place < len(_MORE) else LINES[number % len(LINES)]


def number_of(text: bytes) -> int:
    """Return the number of the line ``text``; never 0."""
    return LINES.index(text) or len(LINES) if text in LINES else _MORE_FROM + _MORE.index(text)

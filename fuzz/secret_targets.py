"""The target of redaction: two secrets of a kind give the same report, whatever both sides said around them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
from material import Material
from scripts import connections, hello, segments

if TYPE_CHECKING:
    from scripts import Script

__all__ = ["secrets"]

# Two of a kind: no words of a language, no base64 (their lengths are no multiples of four), no private verbs (X). As
# sent and in base64 they begin and end alike, with a letter or with a digit: if a word follows without a line end, that
# decides whether it is a word of its own.
PAIRS = ((b"q7#Kz!9", b"w2!Jv#5"), (b"jZ%4k", b"vQ!7m"), (b"Kq7+wJ2!vZ9#zzQkj8", b"Wv3!zK8#qJ5+kkZwq7"))
_USER = b"bfghmpuy"
_CLIENT = (
    *(b"AUTH LOGIN", b"AUTH PLAIN", b"AUTH PLAIN {L}", b"AUTH CRAM-MD5", b"AUTH {P}", b"AUTG PLAIN {L}", b"XAUTH"),
    *(b"{B}", b"{P}", b"{U} {P}", b"{L}", b"C: {P}", b"*", b".", b"PASS {P}", b"PASS:{P}", b"a1 LOGIN {U} {P}"),
    *(b"NOOP AUTH PLAIN {L}", b"HELP {P}", b"VRFY {P}", b"XCLIENT LOGIN={P}", b"NOOP", b"RSET", b"QUIT", b"DATA"),
    *(b"EHLO c.example", b"STARTTLS", b"RCPT TO:<b@mx.example>", b"MAIL FROM:<a@c.example>", b"XEXCH50 5 2"),
    *(b"MAIL FROM:<a@c.example> AUTH={P}", b"MAIL FROM:<a@c.example> PASS={P}", b"RCPT TO:<smtp://u:{P}@mx.example>"),
    *(b"BURL imap://u@mx/;urlauth=x:internal:{P} LAST", b"Authorization: Basic {B}", b"GET /?p={P} HTTP/1.1"),
    *(b"NOOP\n{P}", b"AUTH LOGIN\n{P}", b"PASS\0{P}", b"PASS \xe9{P}", b"password: {P}", b"curl -u {U}:{P}"),
)
_SERVER = (
    *(b"250 ok", b"235 ok", b"220 go", b"354 go", b"334 ", b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6", b"334 {B}"),
    *(b"535 no", b"504 no", b"503 no", b"500 what", b"421 bye", b"535 5.7.8 bad {P}", b"500 what is '{P}'"),
    *(b"501 x{P}x", b"500-unknown\r\n500 {B}", b"501 {L}", b"250 ok, though {P}", b"{P}", b"Password:", b"login:"),
    *(b"250 token={P}", b"501 no\n501 {P}", b"500 {P} and {P}", b"999 {P}", b"501 a\0{P}"),
)
_ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\r\r\n")


def _filled(text: bytes, secret: bytes) -> bytes:
    plain, coded = base64.b64encode(b"\0" + _USER + b"\0" + secret), base64.b64encode(secret)
    for name, value in ((b"{L}", plain), (b"{B}", coded), (b"{P}", secret), (b"{U}", _USER)):
        text = text.replace(name, value)
    return text


def secrets(data: bytes) -> None:
    """What a server repeats was a secret before: the dialogue begins with a login."""
    take = Material(data)
    pair = take.choice(PAIRS)
    midstream = bool(take.number() & 1)
    turns = [("C", b"AUTH PLAIN {L}\r\n"), ("S", b"535 no\r\n")]
    for _ in range(40):
        if not take:
            break
        side, number = ("C", _CLIENT) if take.number() & 1 else ("S", _SERVER)
        turns.append((side, take.choice(number) + take.choice(_ENDS)))
    reports = []
    for secret in pair:
        script: Script = [
            *hello("AUTH PLAIN LOGIN", "PIPELINING"),
            *[(side, _filled(text, secret)) for side, text in turns],
        ]
        report = msgspec.to_builtins(connections(segments(script, midstream=midstream)))
        for one in report:
            for message in one["messages"]:
                message["sha256"] = ""  # of the message, which is not in the report
        reports.append(report)
        for found in (secret, base64.b64encode(secret).rstrip(b"=")):
            assert found not in msgspec.json.encode(report), found
    assert reports[0] == reports[1]

"""Hostile text, as a client, a server and a file name could send it to a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from captures import Conversation, pcap

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ATTACKS", "FILE_NAME", "hostile_capture"]

ATTACKS = [
    b"<script>window.hacked = 1</script>",
    b'"><img src=x onerror="window.hacked=1">',
    b"'><svg/onload=window.hacked=1>",
    b"</style></title></script><script>window.hacked=1</script>",
    b"<a href=javascript:window.hacked=1>x</a><iframe srcdoc='<script>parent.hacked=1</script>'>",
    b"{{ 7 * 7 }} {% raw %} ${7*7} <!-- --> ]]> &lt;script&gt;",
    b"`code` **bold** [link](http://evil.example/) ![](http://evil.example/x.png) | cell | #12 @someone",
    b"\xe2\x80\xaegpj.exe \xe2\x80\x8b\x1b[31mred\x07 \x00 \xff",
    b"=cmd|' /C calc'!A0",
]
FILE_NAME = "<img src=x onerror=window.hacked=1>\u202e\u200b\u3164\ufe0f\u2800\u0336.pcap"


def _lines() -> Iterator[tuple[bytes, bytes]]:
    yield b"EHLO <b onclick=window.hacked=1>client</b>", b"250-<script>window.hacked=1</script>\r\n250 SIZE <i>"
    for attack in ATTACKS:
        yield attack, b"500 " + attack
        yield b"MAIL FROM:<" + attack + b">", b"501 " + attack
        yield b"RCPT TO:<" + attack + b">", b"503 " + attack


def hostile_capture() -> bytes:
    """A pcap file in which both sides send such text, in commands, replies, addresses, a message and its subject."""
    talk = Conversation().open().server(b"220 <script>window.hacked=1</script> ESMTP\r\n")
    for command, reply in _lines():
        talk.client(command + b"\r\n").server(reply + b"\r\n")
    talk.client(b"MAIL FROM:<a@client.example>\r\n").server(b"250 ok\r\n")
    talk.client(b"RCPT TO:<b@mx.example>\r\n").server(b"250 ok\r\n")
    talk.client(b"DATA\r\n").server(b"354 go\r\n")
    talk.client(b"Subject: <script>window.hacked=1</script>\r\nX: \xff\r\n\r\nbody\r\n.\r\n").server(
        b"250 <b>ok</b>\r\n"
    )
    talk.client(b"QUIT\r\n").server(b"221 bye\r\n")
    # Here the server alone is hostile, so what it says is no echo, and the report shows it.
    other = Conversation(43211).open().server(b"220 mx.example ESMTP\r\n")
    other.client(b"EHLO client.example\r\n").server(b"250 mx.example\r\n")
    for attack in ATTACKS:
        other.client(b"RCPT TO:<b@mx.example>\r\n").server(b"250 " + attack + b"\r\n")
    return pcap([*talk.close().records, *other.close().records])

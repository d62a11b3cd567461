"""The addresses of an envelope are as sent, whether they are well-formed or not."""

from __future__ import annotations

import pytest
from captures import flow
from scripts import END, MESSAGE, hello, lines, play

from smtpwire.analyzer.exchanges.exchange import Exchange
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.exchanges.turns import mailbox
from smtpwire.analyzer.lines.command_line import read_line


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("MAIL FROM:<>", ""),
        ("MAIL FROM: <>", ""),
        ("MAIL FROM:<a@client.example> SIZE=5", "a@client.example"),
        ("RCPT TO:<@r.example:b@mx.example>", "b@mx.example"),
        ("RCPT TO:<Postmaster>", "Postmaster"),
        ("MAIL FROM:<jack>", "jack"),
        ("RCPT TO: bob", "bob"),
        ("RCPT TO:bob NOTIFY=NEVER", "bob"),
        ("MAIL FROM:a@client.example", "a@client.example"),
        ("MAIL FROM:<a b@client.example>", "ab@client.example"),
        ("MAIL FROM:<a@client_1.example> SIZE=5", "a@client_1.example"),
        ("MAIL FROM:<a@[192.0.2]>", "a@[192.0.2]"),
        ('MAIL FROM:"Jo Do" <a@client.example> SIZE=5', "a@client.example"),
        ("RCPT TO:<b@mx.example>,<c@mx.example>", "b@mx.example,c@mx.example"),
        ("MAIL FROM<a@client.example>", "a@client.example"),
        ("MAIL a@client.example", "a@client.example"),
        ("MAIL FROM:<a@client.example", "a@client.example"),
        ("MAIL FROM:from", "from"),
        ("MAIL", None),
        ("MAIL FROM", None),
        ("MAIL FROM:", None),
    ],
)
def test_the_address(line: str, address: str | None) -> None:
    raw = line.encode()
    value = read_line(raw, b"\r\n", len(raw) + 2)
    assert mailbox(Exchange(value.act, 0, 0, 0, value)) == address


def test_the_report_has_them() -> None:
    sent = lines("C MAIL FROM:<jack>", "S 250 ok", "C RCPT TO: bob", "S 250 ok", "C RCPT TO:<carol>", "S 550 no")
    script = [*hello(), *sent, *lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 queued"), *END]
    (message,) = play(script).messages
    assert message.from_ == "jack"
    assert [(one.address, one.code) for one in message.recipients] == [("bob", 250), ("carol", 550)]


@pytest.mark.parametrize(
    ("client", "server", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("127.0.0.1", "127.0.0.2", True),
        ("192.0.2.1", "127.0.0.1", False),
    ],
)
def test_whether_both_sides_are_one_host(client: str, server: str, same: bool) -> None:
    record = ConnectionRecord(1, flow(client, server, 4, 25), profile="rfc5321", opening="handshake", started_ns=0)
    assert record.on_one_host is same

"""Bytes that the peer never acknowledged, and that their sender replaced, are no part of the stream."""

from __future__ import annotations

import pytest
from captures import ACK, CLIENT, FIN, PSH, SERVER, START, SYN, flow

from smtpwire.analyzer import model
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.redact.redactor import Redactor

SIZE = 1400
GREETING = "220 mx.example ESMTP\r\n"
EHLO = "EHLO client.example\r\n"
LIST = "250-mx.example\r\n250 SIZE 2000\r\n"


class Wire:
    """One connection. ``say``: bytes of a side, acknowledged by the other, up to ``acked`` if that is given; ``at``:
    at that offset, and the stream goes on after it."""

    def __init__(self) -> None:
        self.tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
        self.keys = {"C": flow(CLIENT, SERVER, 40_000, 25), "S": flow(SERVER, CLIENT, 25, 40_000)}
        self.sent = {"C": 0, "S": 0}
        self.acked = {"C": 0, "S": 0}
        self.frame = 0
        for side, flags in (("C", SYN), ("S", SYN | ACK), ("C", ACK)):
            self.send(side, flags)
            self.acked[side] = self.sent[side]

    def send(self, side: str, flags: int, payload: bytes = b"") -> None:
        self.frame += 1
        peer = "S" if side == "C" else "C"
        ack = self.acked[peer] if flags & ACK else 0
        place = self.keys[side], self.sent[side], ack, flags, payload, 0
        self.tracker.segment(*place, self.frame, START + self.frame * 1_000_000)
        self.sent[side] += len(payload) + bool(flags & (SYN | FIN))

    def say(self, side: str, text: str, *, at: int | None = None, acked: int | None = None) -> None:
        if at is not None:
            self.sent[side] = 1 + at
        data = text.encode()
        for start in range(0, len(data), SIZE):
            self.send(side, PSH | ACK, data[start : start + SIZE])
        self.acked[side] = self.sent[side] if acked is None else 1 + acked
        self.send("S" if side == "C" else "C", ACK)

    def finish(self) -> model.Connection:
        self.tracker.close()
        (connection,) = map(Redactor(), self.tracker.done)
        return connection


def replies(connection: model.Connection) -> list[int | None]:
    return [turn.code for turn in connection.dialogue if isinstance(turn, model.ReplyTurn)]


def found(connection: model.Connection) -> list[tuple[str, str]]:
    return [(f.rule, f.message.partition("; ")[2]) for f in connection.findings]


LATER = "this report shows the later copy: the receiver did not accept the first one."
FIRST = "this report shows the first copy."


@pytest.mark.parametrize(
    "junk", ["250-zzz\r\n", "250-zz\r\n250-z", "2", "250-" + "z" * 5000 + "\r\n", "250-" + "z" * 30_000]
)
def test_a_line_of_the_server_that_never_arrived(junk: str) -> None:
    wire = Wire()
    wire.say("S", GREETING + junk, acked=len(GREETING))
    wire.say("C", EHLO)
    wire.say("S", LIST, at=len(GREETING))
    wire.say("C", "QUIT\r\n")
    wire.say("S", "221 bye\r\n")
    wire.send("S", FIN | ACK)
    wire.acked["S"] += 1
    wire.send("C", FIN | ACK)
    connection = wire.finish()
    assert replies(connection) == [220, 250, 221]
    assert connection.server_bytes == len(GREETING + LIST + "221 bye\r\n")
    if len(junk) > 1:
        assert found(connection) == [("TCP905", LATER)]
        assert connection.findings[0].side == "path"


@pytest.mark.parametrize("junk", ["250-zzz\r\n", "250-" + "z" * (len(LIST) - 4), "250-" + "z" * 200])
def test_a_copy_that_differs_stays_out_if_the_first_one_had_arrived(junk: str) -> None:
    wire = Wire()
    wire.say("S", GREETING + junk)
    wire.say("C", EHLO)
    wire.say("S", LIST, at=len(GREETING))
    connection = wire.finish()
    assert ("TCP905", FIRST) in found(connection)


def test_a_later_copy_in_several_segments_goes_beyond_the_first_one() -> None:
    wire = Wire()
    wire.say("S", GREETING + "250-zzzzzzzzzz", acked=len(GREETING))
    wire.say("C", EHLO)
    wire.sent["S"] = 1 + len(GREETING)
    for line in ("250-mx\r\n", "250-PIPELINING\r\n", "250 SIZE 2000\r\n"):
        wire.send("S", PSH | ACK, line.encode())
    wire.acked["S"] = wire.sent["S"]
    wire.send("C", ACK)
    connection = wire.finish()
    assert replies(connection) == [220, 250]
    assert found(connection) == [("TCP905", LATER)]


def test_a_longer_copy_that_nobody_acknowledged_only_adds_its_end() -> None:
    wire = Wire()
    wire.say("S", GREETING + "250-zz", acked=len(GREETING))
    wire.say("C", EHLO)
    wire.sent["S"] = 1 + len(GREETING)
    wire.send("S", PSH | ACK, LIST.encode())
    connection = wire.finish()
    assert connection.server_bytes == len(GREETING + LIST)
    assert found(connection) == [("TCP905", FIRST)]


def test_bytes_that_arrived_stay() -> None:
    wire = Wire()
    wire.say("S", GREETING + "250-" + "z" * 200 + "\r\n")
    wire.say("C", EHLO)
    kept = wire.sent["S"]
    wire.say("S", LIST, at=len(GREETING), acked=kept - 1)
    wire.sent["S"] = kept
    wire.say("S", "250 SIZE 2000\r\n")
    connection = wire.finish()
    assert replies(connection) == [220, 250]
    assert ("TCP905", FIRST) in found(connection)


def test_a_complete_reply_stays_because_something_was_made_of_it() -> None:
    wire = Wire()
    wire.say("S", GREETING)
    wire.say("C", EHLO)
    wire.say("S", "250 mx.example greets you with many words and no extensions at all\r\n", acked=len(GREETING))
    wire.say("S", LIST, at=len(GREETING))
    wire.say("C", "NOOP\r\n")
    assert ("TCP905", FIRST) in found(wire.finish())


def test_a_line_of_the_client_that_never_arrived() -> None:
    wire = Wire()
    wire.say("S", GREETING)
    wire.say("C", "VRFY somebody or somebody else or somebody else agai", acked=0)
    wire.say("C", EHLO, at=0)
    wire.say("S", LIST)
    connection = wire.finish()
    assert [turn.verb for turn in connection.dialogue if isinstance(turn, model.CommandTurn)] == ["EHLO"]
    assert found(connection) == [("TCP905", LATER)]


def commands(connection: model.Connection) -> list[str | None]:
    return [turn.verb for turn in connection.dialogue if isinstance(turn, model.CommandTurn)]


@pytest.mark.parametrize(
    ("first", "later", "verbs"),
    [
        ("MAIL FROM:<a@client.example>\r\n", "RSET\r\n", ["EHLO", "RSET"]),
        ("RSET\r\nVRFY somebody\r\n", "NOOP\r\n", ["EHLO", "NOOP"]),
        ("RSET\r\nVRFY somebody\r\nVR", "RSET\r\nNOOP\r\n", ["EHLO", "RSET", "NOOP"]),
        ("QUIT\r\nQUIT\r\n", "RSET\r\n", ["EHLO", "RSET"]),
        ("MAIL FROM:<a@client.example>\r\n", "MAIL FROM:<>\r\n", ["EHLO", "MAIL"]),
        ("NOOP\r\n", "RSET\r\n", ["EHLO", "RSET"]),
        ("NOOP\r\n", "MAIL FROM:<a@client.example>\r\n", ["EHLO", "MAIL"]),
    ],
)
def test_a_command_that_never_arrived(first: str, later: str, verbs: list[str]) -> None:
    wire = Wire()
    wire.say("S", GREETING)
    wire.say("C", EHLO)
    wire.say("S", "250-mx.example\r\n250 PIPELINING\r\n")
    wire.say("C", first, acked=len(EHLO))
    wire.say("C", later, at=len(EHLO))
    wire.say("S", "250 ok\r\n" * (len(verbs) - 1))
    connection = wire.finish()
    assert commands(connection) == verbs
    assert found(connection) == [("TCP905", LATER)]
    assert connection.client_bytes == len(EHLO + later)


@pytest.mark.parametrize("first", ["STARTTLS\r\nVRFY somebody\r\n", "DATA\r\nVRFY somebody\r\n"])
def test_a_command_that_changes_how_the_next_bytes_are_read_stays(first: str) -> None:
    wire = Wire()
    wire.say("S", GREETING)
    wire.say("C", EHLO)
    wire.say("S", LIST)
    wire.say("C", first, acked=len(EHLO))
    wire.say("C", "RSET\r\n", at=len(EHLO))
    connection = wire.finish()
    assert commands(connection)[1] == first.split(maxsplit=1)[0]
    assert ("TCP905", FIRST) in found(connection)


def test_bytes_after_the_fin_that_never_arrived() -> None:
    wire = Wire()
    wire.say("S", GREETING)
    wire.say("C", "QUIT\r\n")
    end = len(GREETING + "221 bye\r\n")
    wire.say("S", "221 bye\r\n500 zzzzzzzzzzz", acked=end)
    wire.sent["S"] = 1 + end
    wire.send("S", FIN | ACK)
    wire.acked["S"] = 2 + end
    wire.send("C", FIN | ACK)
    connection = wire.finish()
    assert replies(connection) == [220, 221]
    assert (found(connection), connection.closing, connection.server_bytes) == ([], "fin", end)


def test_a_retransmission_with_the_same_bytes_is_no_replacement() -> None:
    wire = Wire()
    wire.say("S", GREETING)
    wire.say("C", EHLO)
    wire.say("S", LIST, acked=len(GREETING))
    kept = wire.sent["S"]
    wire.say("S", LIST[:16], at=len(GREETING), acked=kept - 1)
    wire.sent["S"] = kept
    wire.say("C", "QUIT\r\n")
    wire.say("S", "221 bye\r\n")
    connection = wire.finish()
    assert replies(connection) == [220, 250, 221]
    assert found(connection) == []

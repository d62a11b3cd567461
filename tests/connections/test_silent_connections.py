"""A connection on which nobody says anything is reported if the server ends it, or the client after it has waited."""

from __future__ import annotations

import pytest
from captures import ACK, CLIENT, FIN, RST, SERVER, START, SYN, flow

from smtpwire.analyzer import model
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.redact.redactor import Redactor

SECOND = 1_000_000_000
Step = tuple[str, int, float]
"""Side, flags, and the seconds that pass before it."""

SHAKE: list[Step] = [("C", SYN, 0), ("S", SYN | ACK, 0.01), ("C", ACK, 0.01)]
SERVER_LEAVES: list[Step] = [("S", FIN | ACK, 0.1), ("C", FIN | ACK, 0.1), ("S", ACK, 0.01)]


def client_leaves(seconds: float, flags: int = FIN | ACK) -> list[Step]:
    return [("C", flags, seconds), ("S", FIN | ACK, 0.1), ("C", ACK, 0.1)]


class Wire:
    """Segments of one connection to a tracker."""

    def __init__(self, tracker: Tracker, port: int, client_port: int = 40_000) -> None:
        self.tracker = tracker
        self.keys = {"C": flow(CLIENT, SERVER, client_port, port), "S": flow(SERVER, CLIENT, port, client_port)}
        self.next = {"C": 1000, "S": 5000}
        self.time_ns, self.frame = START, 0

    def send(self, side: str, flags: int, wait: float = 0, payload: bytes = b"") -> None:
        self.time_ns += int(wait * SECOND)
        self.frame += 1
        ack = self.next["S" if side == "C" else "C"] if flags & ACK else 0
        self.tracker.segment(self.keys[side], self.next[side], ack, flags, payload, 0, self.frame, self.time_ns)
        self.next[side] += len(payload) + bool(flags & (SYN | FIN))


def heard(steps: list[Step], port: int = 25, limits: Limits = DEFAULT_LIMITS) -> list[model.Connection]:
    tracker = Tracker(RuleBook(Options().rules(), limits), limits=limits)
    wire = Wire(tracker, port)
    for step in steps:
        wire.send(*step)
    tracker.close()
    return list(map(Redactor(), tracker.done))


@pytest.mark.parametrize("port", [25, 587, 2525, 24])
def test_the_server_closes(port: int) -> None:
    (connection,) = heard([*SHAKE, *SERVER_LEAVES], port)
    (finding,) = connection.findings
    assert (finding.rule, finding.severity, finding.side, finding.certainty) == ("TCP909", "info", "server", "certain")
    assert finding.message == "The server closed the connection without a greeting."
    assert (connection.opening, connection.closing, connection.dialogue) == ("handshake", "fin", [])
    assert (connection.client_bytes, connection.server_bytes, finding.frame) == (0, 0, 4)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ([("S", RST | ACK, 0.1)], "The server reset the connection without a greeting."),
        ([("S", FIN | ACK, 0.1)], "The server closed the connection without a greeting."),
        ([("S", FIN | ACK, 310), ("C", RST, 1)], "The server closed the connection without a greeting."),
        (client_leaves(30), "No greeting came in 30 s."),
        (client_leaves(300), "No greeting came in 300 s."),
        ([("C", RST, 60)], "No greeting came in 60 s."),
    ],
)
def test_other_ends(rest: list[Step], message: str) -> None:
    (connection,) = heard([*SHAKE, *rest])
    assert [(f.rule, f.message) for f in connection.findings] == [("TCP909", message)]


@pytest.mark.parametrize(
    "steps",
    [
        [*SHAKE, *client_leaves(0.001)],
        [*SHAKE, *client_leaves(29)],
        [*SHAKE, *client_leaves(0.001, RST), ("S", RST, 1)],
        [*SHAKE, ("C", FIN | ACK, 0.1), ("S", ACK, 0.1), ("S", RST | ACK, 300)],
        [*SHAKE[:2], ("C", RST, 0.001)],
        [*SHAKE[:2], ("S", RST | ACK, 63)],
        [SHAKE[0], ("S", RST | ACK, 0.001)],
        SHAKE,
        SHAKE[:2],
    ],
    ids=["scan", "29 s", "reset", "client first", "half open", "never complete", "refused", "open", "no answer"],
)
def test_what_is_no_silence_of_the_server(steps: list[Step]) -> None:
    assert heard(steps) == []


@pytest.mark.parametrize("port", [465, 80])
def test_ports_on_which_the_server_does_not_speak_first(port: int) -> None:
    assert heard([*SHAKE, *SERVER_LEAVES], port) == []
    assert heard([*SHAKE, *client_leaves(60)], port) == []


def test_a_client_that_speaks_after_the_server_has_closed() -> None:
    tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
    wire = Wire(tracker, 25)
    for step in [*SHAKE, SERVER_LEAVES[0]]:
        wire.send(*step)
    wire.send("C", ACK, 0.1, b"EHLO client.example\r\n")
    wire.send("C", FIN | ACK, 0.1)
    tracker.close()
    (connection,) = tracker.done
    assert "TCP909" not in {finding.rule for finding in connection.findings}


def test_a_server_that_speaks_after_the_client_has_closed() -> None:
    tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
    wire = Wire(tracker, 25)
    for step in [*SHAKE, ("C", FIN | ACK, 40)]:
        wire.send(*step)
    wire.send("S", ACK, 0.1, b"220 mx.example ESMTP\r\n")
    wire.send("S", FIN | ACK, 0.1)
    tracker.close()
    (connection,) = tracker.done
    assert [type(turn) for turn in connection.dialogue] == [model.ReplyTurn]
    assert "TCP909" not in {finding.rule for finding in connection.findings}


def test_lost_bytes_are_no_silence() -> None:
    tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
    wire = Wire(tracker, 25)
    for step in SHAKE:
        wire.send(*step)
    wire.next["S"] += 40
    for step in SERVER_LEAVES:
        wire.send(*step)
    tracker.close()
    (connection,) = tracker.done
    assert {finding.rule for finding in connection.findings} == {"TCP906"}


def test_scans_are_not_followed() -> None:
    tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
    for port in range(1000, 1200):
        wire = Wire(tracker, 25, port)
        for step in [*SHAKE, *client_leaves(0.01)]:
            wire.send(*step)
        assert len(tracker.streams.table) == 0

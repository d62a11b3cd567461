"""A PROXY header before the first command is no part of the session, whether the server expects it or not."""

from __future__ import annotations

import pytest
from scripts import END, GREETING, MAIL, Cut, Script, by, by_byte, connections, hello, lines, play, rules, segments

from smtpwire.analyzer import model
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.exchanges.connection_report import TimeFormat
from smtpwire.analyzer.exchanges.conversation import Conversation, Run
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.lines.proxy_header import ProxyHeader
from smtpwire.analyzer.redact.redactor import Redactor

LINE = b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 25\r\n"
ENDS = bytes([203, 0, 113, 9, 198, 51, 100, 25, 0xA1, 0x02, 0, 25])
BINARY = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + ENDS
BINARY6 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(range(200, 236))
HEADERS = pytest.mark.parametrize(
    "header", [LINE, b"PROXY UNKNOWN\r\n", BINARY, BINARY6], ids=["1", "none", "2", "2v6"]
)
CUTS = pytest.mark.parametrize("cut", [None, by(7), by_byte], ids=["whole", "by 7", "by octet"])
DIALOGUE: Script = [*hello("PIPELINING"), *MAIL, *END]


def answers(connection: model.Connection) -> list[tuple[str, int | None]]:
    """Each reply with the verb of the command that it answers; "" for none."""
    found: list[tuple[str, int | None]] = []
    for turn in connection.dialogue:
        if isinstance(turn, model.ReplyTurn):
            answered = None if turn.answers is None else connection.dialogue[turn.answers]
            found.append((answered.verb or "?" if isinstance(answered, model.CommandTurn) else "", turn.code))
    return found


@HEADERS
@CUTS
@pytest.mark.parametrize("early", [True, False])
def test_the_session_begins_after_the_header(header: bytes, cut: Cut | None, early: bool) -> None:
    script: Script = [("C", header), *DIALOGUE] if early else [DIALOGUE[0], ("C", header), *DIALOGUE[1:]]
    connection = play(script, cut=cut)
    assert [f.rule for f in connection.findings] == ["TCP907"]
    assert answers(connection) == answers(play(DIALOGUE))
    first = next(turn for turn in connection.dialogue if isinstance(turn, model.CommandTurn))
    assert (first.verb, first.offset) == ("EHLO", len(header))  # its octets still count


@HEADERS
def test_header_and_first_command_in_one_segment(header: bytes) -> None:
    script: Script = [DIALOGUE[0], ("C", header + b"EHLO client.example\r\n"), *DIALOGUE[2:]]
    assert rules(script) == ["TCP907"]


@HEADERS
def test_a_client_that_speaks_after_the_header_before_the_greeting_is_early(header: bytes) -> None:
    script: Script = [("C", header + b"EHLO client.example\r\n"), DIALOGUE[0], *DIALOGUE[2:]]
    connection = play(script)
    assert [(f.rule, f.offset) for f in connection.findings] == [("TCP907", 0), ("SEC618", len(header))]
    apart: Script = [("C", header), ("C", b"EHLO client"), DIALOGUE[0], ("C", b".example\r\n"), *DIALOGUE[2:]]
    assert rules(apart) == ["SEC618", "TCP907"]


@HEADERS
def test_a_client_that_sends_only_the_header(header: bytes) -> None:
    assert "SEC618" not in rules([("C", header), ("S", GREETING), ("FC", ""), ("FS", "")])


@pytest.mark.parametrize("cut", [None, by_byte], ids=["whole", "by octet"])
def test_what_is_no_header_is_an_unknown_command(cut: Cut | None) -> None:
    script: Script = [("S", GREETING), ("C", LINE.replace(b"TCP4", b"TCP5")), *lines("S 500 no"), *DIALOGUE[1:]]
    connection = play(script, cut=cut)
    assert [f.rule for f in connection.findings] == ["CMD301"]
    assert answers(connection)[1] == ("PROXY", 500)


def test_the_same_line_in_the_middle_of_a_session_is_an_unknown_command() -> None:
    assert rules([*hello(), ("C", LINE), *lines("S 500 no"), *END]) == ["CMD301"]


def test_an_empty_line_is_answered_before_anything_else_comes() -> None:
    connection = play([("S", GREETING), *lines("C ", "S 500 empty"), *DIALOGUE[1:]])
    assert answers(connection)[1] == ("?", 500)


def test_half_a_header_at_the_end() -> None:
    connection = play([("S", GREETING), ("C", LINE[:20]), ("FS", ""), ("FC", "")])
    assert "SEC618" not in {f.rule for f in connection.findings}


@HEADERS
@pytest.mark.parametrize("port", [25, 2599])
def test_the_session_is_found_after_the_header_on_any_port(header: bytes, port: int) -> None:
    assert rules([("C", header), *DIALOGUE], port=port, cut=by_byte) == ["TCP907"]


def test_another_protocol_after_the_header_is_not_smtp() -> None:
    sent = segments([("C", LINE), ("C", b"GET / HTTP/1.1\r\n\r\n"), ("S", b"HTTP/1.1 200 OK\r\n\r\n")], port=2599)
    assert connections(sent) == []


def test_what_the_header_says_is_kept() -> None:
    talk = Conversation(
        ConnectionRecord(1, bytes(12), profile="rfc5321", opening="handshake", started_ns=0),
        Run(RuleBook((), DEFAULT_LIMITS), DEFAULT_LIMITS, TimeFormat()),
    )
    feed = ConversationFeed(talk)
    feed.server(GREETING.encode(), 0, 3, 1000, 0)
    feed.client(BINARY[:5], 0, 4, 2000, 0)
    feed.client(BINARY[5:] + b"EHLO x\r\n", 5, 5, 3000, 0)
    assert talk.proxy is not None
    assert (talk.proxy.frame, talk.proxy.time_ns) == (4, 2000)
    assert talk.proxy.header == ProxyHeader(
        2, "PROXY", 28, model.Endpoint("203.0.113.9", 41218), model.Endpoint("198.51.100.25", 25)
    )
    assert not talk.proxy.held


def test_bytes_lost_after_the_header() -> None:
    script: Script = [("S", GREETING), ("C", LINE), ("GC", "14"), *lines("S 250 ok"), *DIALOGUE[1:]]
    assert {f.rule for f in play(script).findings} <= {"TCP906", "TCP907"}


def test_bytes_lost_inside_the_header() -> None:
    script: Script = [("S", GREETING), ("C", BINARY[:14]), ("GC", "14"), *DIALOGUE[1:]]
    assert {f.rule for f in play(script).findings} <= {"TCP906", "TCP907"}


# -- a server that does not expect it ----------------------------------------------------------------------------------

REFUSED = [("TCP907", "path", "info"), ("TCP908", "client", "warning")]


@pytest.mark.parametrize("early", [True, False])
def test_one_reply_to_the_line(early: bool) -> None:
    start: Script = [("C", LINE), ("S", GREETING)] if early else [("S", GREETING), ("C", LINE)]
    script: Script = [*start, *lines("S 554 5.5.1 what"), *DIALOGUE[1:]]
    connection = play(script)
    assert [(f.rule, f.side, f.severity) for f in connection.findings] == REFUSED
    assert answers(connection)[:3] == [("", 220), ("", 554), ("EHLO", 250)]


def test_a_second_reply_answers_nothing() -> None:
    script: Script = [("C", LINE), ("S", GREETING), *lines("S 500 what", "S 500 what"), *DIALOGUE[1:]]
    findings = play(script).findings
    assert [f.rule for f in findings] == ["TCP907", "TCP908", "RPL411"]
    assert findings[2].caused_by == 1


def test_the_refusal_of_the_first_command_is_no_answer_to_the_line() -> None:
    script: Script = [("C", LINE), ("S", GREETING), *lines("C EHLO client.example", "S 554 go away"), *END]
    assert answers(play(script))[1] == ("EHLO", 554)


@pytest.mark.parametrize("code", [500, 502, 503, 554])
def test_replies_to_the_lines_of_a_binary_header(code: int) -> None:
    refusals = lines(*[f"S {code} what"] * 3)
    script: Script = [DIALOGUE[0], ("C", BINARY + b"EHLO client.example\r\n"), *refusals, *DIALOGUE[1:]]
    connection = play(script)
    assert [(f.rule, f.side, f.severity) for f in connection.findings] == REFUSED
    assert answers(connection)[1:5] == [("", code)] * 3 + [("EHLO", 250)]


def test_the_first_command_is_the_end_of_the_last_line_of_a_binary_header() -> None:
    refusals = lines(*["S 500 what"] * 3)
    script: Script = [DIALOGUE[0], ("C", BINARY), *refusals, DIALOGUE[1], *lines("S 500 what"), *DIALOGUE[1:]]
    connection = play(script)
    assert answers(connection)[1:6] == [("", 500)] * 4 + [("EHLO", 250)]
    assert [(f.rule, f.side, f.severity) for f in connection.findings] == REFUSED


def test_a_server_that_took_the_binary_header_may_refuse_the_first_command() -> None:
    script: Script = [("C", BINARY), ("S", GREETING), *lines("C EHLO client.example", "S 554 go away"), *END]
    assert answers(play(script))[1] == ("EHLO", 554)


@pytest.mark.parametrize("cut", [None, by_byte], ids=["whole", "by octet"])
def test_with_more_replies_than_commands_the_first_one_answers_the_line(cut: Cut | None) -> None:
    script: Script = [("S", GREETING), ("C", LINE + b"EHLO client.example\r\n"), *lines("S 554 what"), *DIALOGUE[2:]]
    connection = play(script, cut=cut)
    assert answers(connection)[:4] == [("", 220), ("", 554), ("EHLO", 250), ("MAIL", 250)]
    assert [(f.rule, f.side, f.severity) for f in connection.findings] == REFUSED


def test_with_as_many_replies_as_commands_each_answers_its_command() -> None:
    for header in (LINE, BINARY):
        script: Script = [("S", GREETING), ("C", header + b"EHLO client.example\r\n"), *lines("S 554 no"), *END]
        connection = play(script)
        assert answers(connection)[1:3] == [("EHLO", 554), ("QUIT", 221)]
        assert "TCP908" not in {f.rule for f in connection.findings}


def test_a_close_notice_after_a_refusal_is_no_second_answer() -> None:
    script: Script = [
        ("S", GREETING),
        ("C", LINE + b"EHLO client.example\r\n"),
        *lines("S 554 no", "S 421 bye", "FS ", "FC "),
    ]
    connection = play(script)
    assert answers(connection)[1:3] == [("EHLO", 554), ("", 421)]
    assert "TCP908" not in {f.rule for f in connection.findings}


def test_what_the_server_does_after_that_follows_from_the_header() -> None:
    script: Script = [
        ("C", LINE),
        ("S", GREETING),
        *lines("S 554 what", "S 500 what", "C EHLO client.example"),
        ("FS", ""),
    ]
    findings = play([*script, ("FC", "")]).findings
    found = {f.rule: f.caused_by for f in findings}
    assert found == {"TCP907": None, "TCP908": None, "RPL411": 1, "RPL412": 1, "TCP902": 1}
    alone = play([*hello(), *lines("S 500 what", "C EHLO client.example"), ("FS", ""), ("FC", "")]).findings
    assert {f.rule: f.caused_by for f in alone} == {"RPL411": None, "RPL412": None, "TCP902": None}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (LINE, "PROXY v1: the client is 203.0.113.9:41218, for 198.51.100.25:25."),
        (BINARY, "PROXY v2: the client is 203.0.113.9:41218, for 198.51.100.25:25."),
        (b"PROXY UNKNOWN\r\n", "PROXY v1: the header gives no internet addresses."),
        (
            b"PROXY TCP6 2001:db8::9 2001:db8::25 5 25\r\n",
            "PROXY v1: the client is [2001:db8::9]:5, for [2001:db8::25]:25.",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
            "PROXY v2 LOCAL: the proxy speaks for itself (a health check).",
        ),
    ],
)
def test_the_finding_says_what_the_header_says(header: bytes, message: str) -> None:
    (finding,) = play([("C", header), *DIALOGUE]).findings
    assert (finding.rule, finding.side, finding.severity, finding.certainty) == ("TCP907", "path", "info", "certain")
    assert (finding.message, finding.offset, finding.length) == (message, 0, len(header))


def test_the_addresses_of_the_header_are_redacted() -> None:
    tracker = Tracker(RuleBook(("TCP907",), DEFAULT_LIMITS))
    for one in segments([("C", LINE), *DIALOGUE]):
        tracker.segment(*one)
    tracker.close()
    (connection,) = map(Redactor(Redact.PII), tracker.done)
    assert "203.0.113.9" not in repr(connection)
    assert "198.51.100.25" not in repr(connection)


@HEADERS
def test_a_header_alone_is_listed_although_the_server_never_greets(header: bytes) -> None:
    connection = play([("C", header), ("FS", "")])
    assert [one.rule for one in connection.findings if one.rule == "TCP907"] == ["TCP907"]
    assert list(connections(segments([("C", b"PROXY TCP4\r\n"), ("FS", "")]))) == []

"""A PROXY header before the first command is no part of the session, whether the server expects it or not."""

from __future__ import annotations

import pytest
from scripts import END, GREETING, MAIL, Cut, Script, by, by_byte, connections, hello, lines, play, rules, segments

from smtpwire.analyzer import model
from smtpwire.analyzer.exchanges.connection_report import TimeFormat
from smtpwire.analyzer.exchanges.conversation import Conversation, Run
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.lines.proxy_header import ProxyHeader

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
    assert connection.findings == []
    assert answers(connection) == answers(play(DIALOGUE))
    first = next(turn for turn in connection.dialogue if isinstance(turn, model.CommandTurn))
    assert (first.verb, first.offset) == ("EHLO", len(header))  # its octets still count


@HEADERS
def test_header_and_first_command_in_one_segment(header: bytes) -> None:
    script: Script = [DIALOGUE[0], ("C", header + b"EHLO client.example\r\n"), *DIALOGUE[2:]]
    assert rules(script) == []


@HEADERS
def test_a_client_that_speaks_after_the_header_before_the_greeting_is_early(header: bytes) -> None:
    script: Script = [("C", header + b"EHLO client.example\r\n"), DIALOGUE[0], *DIALOGUE[2:]]
    connection = play(script)
    assert [(f.rule, f.offset) for f in connection.findings] == [("SEC618", len(header))]
    apart: Script = [("C", header), ("C", b"EHLO client"), DIALOGUE[0], ("C", b".example\r\n"), *DIALOGUE[2:]]
    assert rules(apart) == ["SEC618"]


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
    assert play([("C", header), *DIALOGUE], port=port, cut=by_byte).findings == []


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
    assert {f.rule for f in play(script).findings} <= {"TCP906"}


def test_bytes_lost_inside_the_header() -> None:
    script: Script = [("S", GREETING), ("C", BINARY[:14]), ("GC", "14"), *DIALOGUE[1:]]
    assert {f.rule for f in play(script).findings} <= {"TCP906"}


# -- a server that does not expect it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
def test_one_reply_to_the_line(early: bool) -> None:
    start: Script = [("C", LINE), ("S", GREETING)] if early else [("S", GREETING), ("C", LINE)]
    script: Script = [*start, *lines("S 554 5.5.1 what"), *DIALOGUE[1:]]
    connection = play(script)
    assert connection.findings == []
    assert answers(connection)[:3] == [("", 220), ("", 554), ("EHLO", 250)]


def test_a_second_reply_answers_nothing() -> None:
    script: Script = [("C", LINE), ("S", GREETING), *lines("S 500 what", "S 500 what"), *DIALOGUE[1:]]
    assert rules(script) == ["RPL411"]


def test_the_refusal_of_the_first_command_is_no_answer_to_the_line() -> None:
    script: Script = [("C", LINE), ("S", GREETING), *lines("C EHLO client.example", "S 554 go away"), *END]
    assert answers(play(script))[1] == ("EHLO", 554)


@pytest.mark.parametrize("code", [500, 502, 503])
def test_replies_to_the_lines_of_a_binary_header(code: int) -> None:
    refusals = lines(*[f"S {code} what"] * 3)
    script: Script = [DIALOGUE[0], ("C", BINARY + b"EHLO client.example\r\n"), *refusals, *DIALOGUE[1:]]
    connection = play(script)
    assert connection.findings == []
    assert answers(connection)[1:5] == [("", code)] * 3 + [("EHLO", 250)]


def test_the_first_command_is_the_end_of_the_last_line_of_a_binary_header() -> None:
    refusals = lines(*["S 500 what"] * 3)
    script: Script = [DIALOGUE[0], ("C", BINARY), *refusals, DIALOGUE[1], *lines("S 500 what"), *DIALOGUE[1:]]
    connection = play(script)
    assert answers(connection)[1:6] == [("", 500)] * 4 + [("EHLO", 250)]
    assert connection.findings == []


def test_a_server_that_took_the_binary_header_may_refuse_the_first_command() -> None:
    script: Script = [("C", BINARY), ("S", GREETING), *lines("C EHLO client.example", "S 554 go away"), *END]
    assert answers(play(script))[1] == ("EHLO", 554)

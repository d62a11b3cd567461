"""An exchange is judged once it is known what became of it, and a message once it is known where it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from captures import CLIENT, SERVER, flow
from scripts import MESSAGE, Script, envelope, hello, lines

from smtpwire.analyzer.exchanges.connection_report import TimeFormat
from smtpwire.analyzer.exchanges.conversation import Conversation, Run
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.exchanges.starttls_history import OfferMemory, StartTlsHistory
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from smtpwire.analyzer.exchanges.exchange import Exchange

DATA = [*envelope(), *lines("C DATA", "S 354 go")]


class Order:
    """A judge that notes what it is given, in order."""

    def __init__(self, limits: Limits) -> None:
        self.servers: OfferMemory = StartTlsHistory(limits)
        self.given: list[str] = []

    def exchange(self, x: Exchange, talk: Any) -> None:
        self.given.append(f"{x.line.name or x.act.name} {x.code or '-'}")

    def content(self, x: Exchange, talk: Any) -> None:
        assert x.content is not None
        self.given.append(f"content {x.content.size}")

    def ended(self, talk: Any) -> None:
        self.given.append("end")


class Trial:
    """A conversation; ``after`` returns what was judged because of the entries."""

    def __init__(self, *keywords: str, limits: Limits = DEFAULT_LIMITS, profile: str = "rfc5321") -> None:
        self.order = Order(limits)
        key = flow(CLIENT, SERVER, 43210, 25)
        record = ConnectionRecord(1, key, profile=profile, opening="handshake", started_ns=0)
        self.feed = ConversationFeed(Conversation(record, Run(self.order, limits, TimeFormat())))
        self.offsets = {"C": 0, "S": 0}
        self.after(hello(*keywords))

    def after(self, script: Script) -> list[str]:
        known = len(self.order.given)
        for who, text in script:
            data = text if isinstance(text, bytes) else text.encode("latin-1")
            take, peer = (self.feed.client, "S") if who == "C" else (self.feed.server, "C")
            take(data, self.offsets[who], 1, 1, self.offsets[peer])
            self.offsets[who] += len(data)
        return self.order.given[known:]

    def finished(self) -> list[str]:
        known = len(self.order.given)
        self.feed.finish()
        return self.order.given[known:]


def test_a_command_is_judged_when_its_reply_is_complete() -> None:
    trial = Trial()
    assert trial.after([("C", "NOOP\r\n")]) == []
    assert trial.after([("S", "250-a\r\n")]) == []
    assert trial.after([("S", "250 b\r\n")]) == ["NOOP 250"]


def test_pipelined_commands_are_judged_in_the_order_of_their_replies() -> None:
    trial = Trial("PIPELINING")
    assert trial.after([("C", "RSET\r\nNOOP\r\nVRFY b\r\n"), *lines("S 250 ok")]) == ["RSET 250"]
    assert trial.after(lines("S 250 ok", "S 252 perhaps")) == ["NOOP 250", "VRFY 252"]


def test_what_is_never_answered_is_judged_before_the_connection() -> None:
    trial = Trial("PIPELINING")
    trial.after([("C", "RSET\r\nNOOP\r\n")])
    assert trial.finished() == ["RSET -", "NOOP -", "end"]


def test_a_message_is_judged_after_the_reply_to_its_end() -> None:
    trial = Trial()
    trial.after(DATA)
    assert trial.after([("C", f"{MESSAGE}.\r\n")]) == []
    assert trial.after(lines("S 250 queued")) == ["END 250", f"content {len(MESSAGE)}"]


def test_a_message_with_a_look_alike_of_its_end_waits_for_the_next_command() -> None:
    trial, text = Trial(), f"{MESSAGE}\n.\n more\r\n"
    trial.after(DATA)
    assert trial.after([("C", f"{text}.\r\n"), *lines("S 250 queued")]) == ["END 250"]
    assert trial.after(lines("C NOOP")) == [f"content {len(text)}"]
    assert trial.after(lines("S 250 ok")) == ["NOOP 250"]


def test_a_message_with_a_look_alike_of_its_end_waits_no_longer_than_the_connection() -> None:
    trial, text = Trial(), f"{MESSAGE}\n.\n more\r\n"
    trial.after([*DATA, ("C", f"{text}.\r\n"), *lines("S 250 queued")])
    assert trial.finished() == [f"content {len(text)}", "end"]


def test_a_message_that_the_server_ended_at_a_look_alike_is_judged_at_once() -> None:
    trial = Trial()
    trial.after([*DATA, ("C", f"{MESSAGE}\n.\n")])
    (end, content) = trial.after(lines("S 250 queued"))
    assert end == "END 250"
    assert content.startswith("content ")


def test_lines_that_may_be_mail_data_are_judged_when_a_lone_dot_shows_that_they_are() -> None:
    trial = Trial()
    refused = [*envelope(), *lines("C DATA", "S 554 no", "C Subject: x", "S 500 what", "C hello", "S 500 what")]
    assert trial.after(refused) == ["MAIL 250", "RCPT 250", "DATA 554"]
    assert trial.after(lines("C .")) == ["SUBJECT: 500", "HELLO 500"]
    assert trial.after(lines("S 500 what")) == [". 500"]


def test_lines_that_may_be_mail_data_are_judged_when_a_command_shows_that_they_are_not() -> None:
    trial = Trial()
    trial.after([*envelope(), *lines("C DATA", "S 554 no", "C Subject: x", "S 500 what")])
    assert trial.after(lines("C MAIL FROM:<a@x>")) == ["SUBJECT: 500"]
    assert trial.after(lines("S 250 ok")) == ["MAIL 250"]


def test_a_chunk_answered_before_its_last_octet_is_judged_then_and_the_message_when_it_is_complete() -> None:
    trial = Trial("CHUNKING")
    trial.after(envelope())
    assert trial.after([("C", "BDAT 6 LAST\r\nabc"), *lines("S 250 ok")]) == ["BDAT 250"]
    assert trial.after([("C", "de")]) == []
    assert trial.after([("C", "f")]) == ["content 6"]


def test_commands_beyond_the_limit_are_judged_without_their_replies() -> None:
    trial = Trial("PIPELINING", limits=Limits(outstanding=3))
    assert trial.after([("C", 4 * "NOOP\r\n")]) == ["NOOP -"]
    assert trial.after(3 * lines("S 250 ok")) == 3 * ["NOOP 250"]

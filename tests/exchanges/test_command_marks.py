"""Commands that exceed the limits of a session are marked, and only these (RFC 9422)."""

from __future__ import annotations

from smtpwire.analyzer.exchanges.command_marks import LimitCounts
from smtpwire.analyzer.exchanges.exchange import Exchange, Mark, ReplySeen
from smtpwire.analyzer.exchanges.session import Session
from smtpwire.analyzer.lines.acts import Act
from smtpwire.analyzer.lines.command_line import read_line
from smtpwire.dissectors.lines.replies import parse_reply

OVER = Mark.OVER_LIMIT | Mark.OVER_DOMAINS


class Limited:
    """A session with a server that announces ``limits``; commands are answered with 250 at once."""

    def __init__(self, limits: str) -> None:
        self.session = Session(midstream=False)
        self.session.greeted(Exchange(Act.GREETING, 0, 0, 0), 220)
        self.marks = LimitCounts()
        self.dialogue: list[Exchange] = []
        self.send("EHLO x", f"250-mx\r\n250 LIMITS {limits}\r\n", count=False)

    def send(self, line: str, reply: str = "250 ok\r\n", *, count: bool = True) -> int:
        """Send a line. Return the marks about limits that it gets."""
        value = read_line(line.encode(), b"\r\n", len(line) + 2)
        x = Exchange(value.act, 0, 0, 0, value)
        self.dialogue.append(x)
        self.session.sent(x, -1)
        if count:
            self.marks.count(x, [*self.dialogue])
        answer = parse_reply(reply.encode())
        x.take_reply(ReplySeen(answer, 0, 0, 0), 1)
        self.session.due.clear()
        self.session.answered(x, answer)
        return x.marks & OVER


def test_one_mail_too_many_is_marked() -> None:
    limited = Limited("MAILMAX=2")
    found = []
    for _ in range(3):
        found.append(limited.send("MAIL FROM:<a@x>"))
        limited.send("RSET", count=False)
    assert found == [0, 0, Mark.OVER_LIMIT]


def test_a_mail_that_was_not_looked_at_when_it_was_sent_counts_too() -> None:
    limited = Limited("MAILMAX=1")
    limited.send("MAIL FROM:<a@x>", count=False)
    limited.send("RSET", count=False)
    assert limited.send("MAIL FROM:<a@x>") == Mark.OVER_LIMIT


def test_recipients_are_counted_in_each_transaction() -> None:
    limited = Limited("RCPTMAX=2")
    for _ in range(2):
        limited.send("MAIL FROM:<a@x>")
        assert [limited.send(f"RCPT TO:<{name}@x>") for name in "bcd"] == [0, 0, Mark.OVER_LIMIT]
        limited.send("RSET", count=False)


def test_domains_are_counted_in_the_whole_session_and_each_once() -> None:
    limited = Limited("RCPTDOMAINMAX=1")
    limited.send("MAIL FROM:<a@x>")
    assert [limited.send(f"RCPT TO:<b@{name}>") for name in ("x", "X", "y")] == [0, 0, Mark.OVER_DOMAINS]
    limited.send("RSET", count=False)
    limited.send("MAIL FROM:<a@x>")
    assert limited.send("RCPT TO:<b@x>") == 0
    assert limited.send("RCPT TO:<b@z>") == Mark.OVER_DOMAINS


def test_a_limit_that_is_not_announced_marks_nothing() -> None:
    limited = Limited("RCPTMAX=1")
    assert [limited.send("MAIL FROM:<a@x>") for _ in range(5)] == 5 * [0]

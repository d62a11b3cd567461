"""Both views of a pipelined session: the client is judged by what it could know, the server by its own state."""

from __future__ import annotations

import pytest

from smtpwire.analyzer.exchanges.exchange import Exchange, Mark, ReplySeen
from smtpwire.analyzer.exchanges.session import MAX_PRESUMED, Session
from smtpwire.analyzer.exchanges.state_table import Act, Phase
from smtpwire.analyzer.lines.command_line import read_line
from smtpwire.dissectors.lines.replies import parse_reply


class Pipe:
    """A session to which lines are sent and replies come; ``seen`` counts replies as the client does."""

    def __init__(self, *keywords: str, midstream: bool = False) -> None:
        self.session = Session(midstream=midstream)
        self.ends = [0]  # offset after the nth reply
        if not midstream:
            greeting = Exchange(Act.GREETING, 0, 0, 0)
            self.session.greeted(greeting, 220)
            self.send("EHLO x")
            self.reply("\r\n".join(["250-mx", *(f"250-{keyword}" for keyword in keywords), "250 HELP"]))

    def send(self, line: str, seen: int = -1) -> Exchange:
        """Send a line. ``seen``: number of replies that had reached the client, -1: all."""
        value = read_line(line.encode(), b"\r\n", len(line) + 2)
        x = Exchange(value.act, 0, 0, 0, value, 0, value.marks)
        self.session.sent(x, self.ends[-1] if seen < 0 else self.ends[seen])
        return x

    def reply(self, text: str) -> Exchange:
        """Send the reply to the oldest command without one."""
        reply = parse_reply(text.encode() + b"\r\n")
        x = self.session.due.pop(0)
        start = self.ends[-1]
        self.ends.append(start + len(text) + 2)
        x.take_reply(ReplySeen(reply, start, 0, 0), self.ends[-1])
        self.session.answered(x, reply)
        return x


def breaks(*found: Exchange) -> list[tuple[str | None, str | None]]:
    """Return the rules violated in the client's view and in the server's view."""
    return [(x.breaks, x.server_breaks) for x in found]


def test_without_pipelining_both_views_are_the_same() -> None:
    pipe = Pipe()
    for line, code in (("MAIL FROM:<a@x>", "250"), ("RCPT TO:<b@x>", "250"), ("DATA", "354")):
        x = pipe.send(line)
        pipe.reply(f"{code} ok")
        assert x.state is x.before
        assert x.ahead is None
    assert pipe.session.state.phase is Phase.CONTENT


def test_pipelined_commands_are_judged_by_the_presumed_state() -> None:
    pipe = Pipe("PIPELINING")
    mail, rcpt, data = (pipe.send(line) for line in ("MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA"))
    assert [x.state and x.state.phase for x in (mail, rcpt, data)] == [Phase.READY, Phase.MAIL, Phase.RCPT]
    assert data.ahead is rcpt
    for code in ("250", "250", "354"):
        pipe.reply(f"{code} ok")
    assert breaks(mail, rcpt, data) == [(None, None)] * 3


def test_a_refusal_that_the_client_could_not_see_is_not_its_fault() -> None:
    pipe = Pipe("PIPELINING")
    group = [pipe.send(line) for line in ("MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA")]
    for _ in group:
        pipe.reply("550 no")
    assert breaks(*group) == [(None, None), (None, "SEQ103"), (None, "SEQ104")]
    assert group[1].marks & Mark.SERVER_ORDER
    assert not group[1].marks & Mark.CLIENT_ORDER


def test_a_refusal_that_the_client_has_seen_is_its_fault() -> None:
    pipe = Pipe("PIPELINING")
    pipe.send("MAIL FROM:<a@x>")
    pipe.send("RCPT TO:<b@x>")
    pipe.reply("550 no")
    presumed = pipe.send("DATA")  # the RCPT in flight may still succeed, for all the client can know
    pipe.reply("503 no")
    wrong = pipe.send("RCPT TO:<c@x>")
    assert presumed.breaks is None
    pipe.reply("503 no")
    pipe.reply("503 no")
    late = pipe.send("RCPT TO:<c@x>")
    pipe.reply("503 no")
    assert breaks(wrong, late) == [("SEQ103", "SEQ103")] * 2


def test_the_acknowledgement_decides_and_not_the_order_in_the_capture() -> None:
    for seen, expected in ((1, None), (2, "SEQ103")):
        pipe = Pipe("PIPELINING")
        pipe.send("MAIL FROM:<a@x>")
        pipe.reply("550 no")
        rcpt = pipe.send("RCPT TO:<b@x>", seen=seen)
        pipe.reply("503 no")
        assert breaks(rcpt) == [(expected, "SEQ103")]


def test_the_presumed_state_is_computed_again_after_a_refusal() -> None:
    pipe = Pipe("PIPELINING")
    pipe.send("MAIL FROM:<a@x>")
    pipe.send("RSET")
    pipe.reply("250 ok")
    pipe.send("MAIL FROM:<b@x>", seen=2)
    pipe.reply("250 reset")
    pipe.reply("550 no")
    rcpt = pipe.send("RCPT TO:<c@x>")
    assert rcpt.state is not None
    assert rcpt.state.phase is Phase.READY
    assert rcpt.breaks == "SEQ103"


def test_an_illegal_command_in_flight_is_not_presumed_to_succeed() -> None:
    pipe = Pipe("PIPELINING")
    first, second = pipe.send("RCPT TO:<b@x>"), pipe.send("DATA")
    assert (first.breaks, second.breaks) == ("SEQ103", "SEQ104")


def test_accepted_and_refused_recipients_are_counted() -> None:
    pipe = Pipe()
    mail = pipe.send("MAIL FROM:<a@x>")
    pipe.reply("250 ok")
    for code in (250, 550, 251, 450):
        pipe.send("RCPT TO:<b@x>")
        pipe.reply(f"{code} ok")
    transaction = mail.opens
    assert transaction is not None
    assert [x.code for x in transaction.recipients] == [250, 550, 251, 450]
    assert transaction.accepted == 2


def test_mail_data_without_a_recipient_is_marked() -> None:
    pipe = Pipe()
    pipe.send("MAIL FROM:<a@x>")
    pipe.reply("250 ok")
    data = pipe.send("DATA")
    pipe.reply("354 go")
    assert data.breaks == "SEQ105"
    assert data.marks & Mark.EMPTY_TRANSACTION


def test_binary_content_cannot_be_sent_by_data() -> None:
    pipe = Pipe("CHUNKING", "BINARYMIME")
    pipe.send("MAIL FROM:<a@x> BODY=BINARYMIME")
    pipe.reply("250 ok")
    pipe.send("RCPT TO:<b@x>")
    pipe.reply("250 ok")
    assert pipe.send("DATA").breaks == "SEQ110"


@pytest.mark.parametrize(("code", "phase"), [(220, Phase.GREETED), (554, Phase.TURNED_AWAY), (421, Phase.CLOSING)])
def test_the_greeting_decides_whether_there_is_service(code: int, phase: Phase) -> None:
    session = Session(midstream=False)
    session.greeted(Exchange(Act.GREETING, 0, 0, 0), code)
    assert session.state.phase is phase


def test_in_mid_stream_nothing_is_sure_until_a_hello() -> None:
    pipe = Pipe(midstream=True)
    rcpt = pipe.send("RCPT TO:<b@x>")
    pipe.reply("250 ok")
    assert (rcpt.breaks, rcpt.sure) == (None, False)
    pipe.send("EHLO x")
    pipe.reply("250 mx")
    assert pipe.send("RCPT TO:<b@x>").breaks == "SEQ103"


def test_after_a_loss_commands_in_flight_and_later_ones_are_not_judged() -> None:
    pipe = Pipe("PIPELINING")
    early = pipe.send("RCPT TO:<b@x>")
    assert early.marks & Mark.CLIENT_ORDER
    pipe.session.doubt()
    late = pipe.send("DATA")
    assert (early.breaks, early.sure) == (None, False)
    assert (late.breaks, late.sure) == (None, False)


def test_commands_that_are_never_answered_can_be_given_up() -> None:
    pipe = Pipe("PIPELINING")
    first, second = pipe.send("NOOP"), pipe.send("RSET")
    assert pipe.session.give_up(1) == [first]
    assert list(pipe.session.due) == [second]
    assert first.after is pipe.session.state


def test_commands_wrongly_disputed_by_the_server_are_remembered() -> None:
    pipe = Pipe()
    mail = pipe.send("MAIL FROM:<a@x>")
    pipe.reply("503 no")
    pipe.session.dispute(mail)
    assert pipe.session.causes.disputed == {Act.MAIL}
    rcpt = pipe.send("RCPT TO:<b@x>")
    pipe.reply("503 no")
    pipe.session.dispute(rcpt)  # this one was really out of order
    assert pipe.session.causes.disputed == {Act.MAIL}


def test_a_long_queue_without_replies_costs_no_more_for_each_command() -> None:
    pipe = Pipe("PIPELINING")
    pipe.send("MAIL FROM:<a@x>")
    sent = [pipe.send("RCPT TO:<b@x>") for _ in range(3 * MAX_PRESUMED)]
    assert {x.breaks for x in sent} == {None}
    pipe.reply("550 no")
    after = pipe.send("RCPT TO:<c@x>")
    assert after.breaks is None  # too many in flight to compute the presumed state
    assert not after.sure


def test_a_client_that_acknowledges_nothing_is_judged_by_what_it_could_have_seen_long_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smtpwire.analyzer.exchanges.session.MAX_UNSEEN", 3)
    pipe = Pipe("PIPELINING")
    sent = []
    for line, code in (("MAIL FROM:<a@x>", "550"), *(4 * [("NOOP", "250")])):
        sent.append(pipe.send(line, seen=1))
        pipe.reply(f"{code} ok")
    assert [x.in_flight for x in sent] == [False, True, True, True, True]
    assert pipe.send("RCPT TO:<b@x>", seen=1).breaks == "SEQ103"


def test_below_this_limit_a_refusal_that_was_not_acknowledged_stays_unseen() -> None:
    pipe = Pipe("PIPELINING")
    sent = []
    for line, code in (("MAIL FROM:<a@x>", "550"), *(4 * [("NOOP", "250")])):
        sent.append(pipe.send(line, seen=1))
        pipe.reply(f"{code} ok")
    assert [x.in_flight for x in sent] == 5 * [True]
    assert pipe.send("RCPT TO:<b@x>", seen=1).breaks is None


def test_an_exchange_that_left_the_window_keeps_no_earlier_one_alive() -> None:
    pipe = Pipe("PIPELINING")
    first, second = pipe.send("MAIL FROM:<a@x>"), pipe.send("RCPT TO:<b@x>")
    assert second.ahead is first
    pipe.reply("250 ok")
    pipe.reply("250 ok")
    assert pipe.send("DATA").ahead is None
    assert second.ahead is None

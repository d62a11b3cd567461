"""Connections that are gathered: what is plain is told at the end, what is not goes to the reassembler as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from captures import ACK, FIN, PSH, RST, SYN
from repeats import MINUTE, SECOND, dialogue, told
from scripts import CLIENT_PORT, END, MAIL, MESSAGE, WHOLE, Segment, envelope, hello, lines

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def tracker(*, learn: bool = True, limits: Limits = DEFAULT_LIMITS) -> Tracker:
    return Tracker(RuleBook(Options().rules(), limits), learn=learn, limits=limits)


def feed(to: Tracker, sent: Iterable[Segment]) -> None:
    for one in sent:
        to.segment(*one)


def reports(sent: list[Segment], every: int = 0, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
    """What is reported of the segments, with a sweep after so many of them; the same without any gathering."""
    found = []
    for learn in (True, False):
        to = tracker(learn=learn, limits=limits)
        for number, one in enumerate(sent, 1):
            to.segment(*one)
            if every and number % every == 0:
                to.sweep(one.time_ns)
        to.close()
        found.append(told(sorted(to.done, key=lambda connection: connection.id)))
    assert found[0] == found[1]
    return found[0]


def known() -> list[Segment]:
    return [one for number in range(2) for one in dialogue(WHOLE, number)]


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8, 13])
def test_what_is_set_aside_goes_on_as_if_nothing_had_been(every: int) -> None:
    """With a sweep after every few segments connections are packed and unpacked all the time."""
    assert len(reports([*known(), *dialogue(WHOLE, 2), *dialogue(WHOLE[:-4], 3)], every)) == 4


@pytest.mark.parametrize("place", range(3, 24))
def test_a_pause_of_many_blocks_at_any_place_changes_nothing(place: int) -> None:
    plain, full = tracker(), tracker(learn=False)
    sent = [*known(), *dialogue(WHOLE, 2)]
    at = len(sent) - len(dialogue(WHOLE, 2)) + place
    for to in (plain, full):
        feed(to, sent[:at])
        for _ in range(5):
            to.sweep()
        feed(to, sent[at:])
        to.close()
    assert told(plain.done) == told(full.done)
    assert plain.judged == 2


def test_what_nobody_knows_is_set_aside_too_and_told_once() -> None:
    to = tracker()
    begun = [dialogue(hello("PIPELINING"), number) for number in range(6)]
    for sent in begun:
        feed(to, sent)
        for _ in range(4):
            to.sweep()
    assert to.streams.open == 0
    assert to.judged < 6, "those that come as far as another one are not judged before they go on"
    to.close()
    assert [(c.id, c.closing, len(c.dialogue)) for c in to.done] == [(n, "open", 3) for n in range(1, 7)]


def test_findings_of_what_was_set_aside_are_told_once() -> None:
    script = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no"), *END]
    sent = dialogue(script)
    for place in range(4, len(sent)):
        to = tracker()
        feed(to, sent[:place])
        for _ in range(4):
            to.sweep()
        feed(to, sent[place:])
        to.close()
        (connection,) = to.done
        assert [f.rule for f in connection.findings] == ["SEQ103"], place


def test_a_connection_that_is_too_large_is_given_up() -> None:
    body = MESSAGE + "".join(f"line {number}\r\n" for number in range(200_000)) + ".\r\n"
    long = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", body), *lines("S 250 ok"), *END]
    assert len(reports([*known(), *dialogue(long, 2)], every=50)) == 3


def test_the_bound_for_all_of_them_gives_up_what_is_beyond() -> None:
    sent = [one for number in range(2, 12) for one in dialogue(WHOLE[:-4], number)]
    assert len(reports([*known(), *sent], every=4, limits=Limits(gathered_bytes=1))) == 12
    assert len(reports([*known(), *sent], every=4, limits=Limits(gathered_bytes=0))) == 12


def test_much_that_was_said_before_a_pause_is_not_kept() -> None:
    """A conversation that waits takes less."""
    body = MESSAGE + "".join(f"line {number}\r\n" for number in range(2000))
    long = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", body)]
    to = tracker()
    feed(to, [*known(), *dialogue(long, 2), *dialogue(WHOLE[:-4], 3)])
    for _ in range(5):
        to.sweep()
    assert to.streams.open == 1
    assert to.open == 2
    to.close()
    assert [len(c.dialogue) for c in to.done] == [13, 13, 10, 11]
    assert len(reports([*known(), *dialogue(long, 2)], every=7)) == 3


def test_one_that_is_set_aside_half_closed_ends_with_the_other_half() -> None:
    for learn in (True, False):
        to = tracker(learn=learn)
        sent = dialogue(WHOLE, 2)
        feed(to, [*known(), *sent[:-1]])
        for _ in range(4):
            to.sweep()
        assert len(to.ended) == 2
        feed(to, sent[-1:])
        assert len(to.ended) == 3


def test_what_the_client_acknowledged_before_a_syn_came_counts() -> None:
    syn, answer, ack, *rest = dialogue(WHOLE)
    early, forged = ack._replace(ack=ack.ack - 100), answer._replace(seq=answer.seq + 500)
    (report,) = reports([syn, early, forged, *rest])
    assert b'"gaps":[{"side":"server","offset":0,"length":100,' in report


@pytest.mark.parametrize("known", [0, 2])
def test_an_offer_of_a_connection_that_was_set_aside_is_no_newer_for_that(known: int) -> None:
    offering = [*hello("STARTTLS"), *MAIL, *END]
    first, last = dialogue(offering, 2), dialogue([*hello("PIPELINING"), *MAIL, *END], 4)
    said = []
    for learn in (True, False):
        to = tracker(learn=learn)
        for number in range(known):
            feed(to, dialogue(offering, number))
        feed(to, first[:9])
        for _ in range(4):
            to.sweep()
        feed(to, [*dialogue(offering, 3), *first[9:], *last])
        to.close()
        said.append(told(to.done))
        assert f"in connection {known + 2} " in to.done[-1].findings[0].message
    assert said[0] == said[1]


def test_what_an_offer_that_vanished_tells_of_a_connection_is_not_lost_when_it_waits() -> None:
    offering = [*hello("STARTTLS"), *MAIL, *END]
    without = dialogue([*hello("PIPELINING"), *MAIL, *END], 1)
    for learn in (True, False):
        to = tracker(learn=learn)
        feed(to, [*dialogue(offering, 0), *without[:9]])
        for _ in range(4):
            to.sweep()
        feed(to, [*dialogue(offering, 2), *without[9:]])
        assert "SEC633" in {finding.rule for finding in to.done[-1].findings}


def test_idle_connections_are_closed_in_time() -> None:
    limits = Limits(idle_seconds=60)
    to = tracker(limits=limits)
    feed(to, [*known(), *dialogue(WHOLE[:-4], 2)])
    now = dialogue(WHOLE, 2)[-1].time_ns
    to.sweep(now + 30 * 10**9)
    to.sweep(now + 10_000 * 10**9)
    assert len(to.ended) == 2, "one time far ahead may be damaged"
    to.sweep(now + 10_001 * 10**9)
    assert [note for c in to.done for note in c.notes] == ["no longer followed: idle for more than 60 s"]


def test_connections_that_are_closed_together_are_told_in_the_order_in_which_they_began() -> None:
    for learn in (True, False):
        to = tracker(learn=learn, limits=Limits(idle_seconds=60))
        feed(to, dialogue(WHOLE[:-4], 0)[:8])
        for _ in range(4):
            to.sweep()  # which sets it aside
        server_syn_missing = dialogue(WHOLE[:-4], 1)[3:]
        feed(to, [one._replace(time_ns=one.time_ns - 10 * MINUTE + SECOND) for one in server_syn_missing])
        now = dialogue(WHOLE, 1)[-1].time_ns
        to.sweep(now + 10_000 * 10**9)
        to.sweep(now + 10_001 * 10**9)
        assert [(c.id, c.opening) for c in to.done] == [(1, "handshake"), (2, "midstream")]


def test_first_words_that_acknowledge_what_was_not_captured_wait_for_it() -> None:
    """So the connection gets its number when it ends, behind one that began later."""
    found = []
    for learn in (True, False):
        to = tracker(learn=learn)
        talks = [dialogue([*hello(), *END], number) for number in range(5)]
        *handshake, words = talks[3][:4]
        talks[3] = [*handshake, words._replace(ack=words.ack + 1)]
        feed(to, [one for talk in talks for one in talk])
        to.close()
        found.append(told(to.done))
        assert [connection.client.port - CLIENT_PORT for connection in to.done] == [0, 1, 2, 4, 3]
        assert [connection.id for connection in to.done] == [1, 2, 3, 4, 5]
    assert found[0] == found[1]


def test_a_connection_whose_first_words_came_from_elsewhere_keeps_its_place_when_it_waits() -> None:
    """Its SYN counts as somebody else's then, so it began when the server answered, behind another connection."""
    found = []
    for learn in (True, False):
        to = tracker(learn=learn)
        syn, *rest = dialogue(hello())
        stray = rest[3]._replace(seq=rest[3].seq - (1 << 30) & 0xFFFFFFFF)
        feed(to, [syn, *rest[:2], stray, *rest[2:]])
        other = dialogue(hello(), 1)[3:]
        feed(to, [one._replace(time_ns=syn.time_ns + number) for number, one in enumerate(other, 1)])
        for _ in range(4):
            to.sweep()  # which sets it aside, if that makes no difference
        to.close()
        found.append(told(to.done))
        assert [connection.opening for connection in to.done] == ["midstream", "handshake"]
    assert found[0] == found[1]


def test_too_many_at_once_are_given_up_by_age() -> None:
    limits = Limits(connections=5)
    to = tracker(limits=limits)
    feed(to, known())
    feed(to, [one for number in range(2, 10) for one in dialogue(WHOLE[:-4], number)])
    to.sweep()
    assert sum("more than 5 connections" in note for c in to.done for note in c.notes) >= 3
    to.close()
    assert len(to.done) == 10


def odd(change: Callable[[list[Segment]], list[Segment]]) -> None:
    """What is changed in the third connection changes the report as it does without gathering."""
    assert reports([*known(), *change(dialogue(WHOLE, 2)), *dialogue(WHOLE, 3)])


@pytest.mark.parametrize("place", range(1, 27))
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, RST, RST | ACK, FIN | ACK, PSH, 0])
def test_odd_flags_at_any_place(place: int, flags: int) -> None:
    odd(lambda sent: [*sent[:place], sent[place]._replace(flags=flags), *sent[place + 1 :]])


@pytest.mark.parametrize("place", range(1, 27))
@pytest.mark.parametrize("by", [-1, 1, 1 << 16, 1 << 31])
def test_other_numbers_at_any_place(place: int, by: int) -> None:
    odd(lambda sent: [*sent[:place], sent[place]._replace(seq=sent[place].seq + by & 0xFFFFFFFF), *sent[place + 1 :]])
    odd(lambda sent: [*sent[:place], sent[place]._replace(ack=sent[place].ack + by & 0xFFFFFFFF), *sent[place + 1 :]])


@pytest.mark.parametrize("place", range(1, 27))
def test_lost_and_repeated_segments_at_any_place(place: int) -> None:
    odd(lambda sent: [*sent[:place], *sent[place + 1 :]])
    odd(lambda sent: [*sent[: place + 1], sent[place], *sent[place + 1 :]])
    odd(lambda sent: [*sent[: place - 1], sent[place], sent[place - 1], *sent[place + 1 :]])


def test_data_with_the_fin_and_behind_it() -> None:
    def with_fin(sent: list[Segment]) -> list[Segment]:
        at = next(n for n, one in enumerate(sent) if one.payload.startswith(b"221"))
        return [*sent[:at], sent[at]._replace(flags=sent[at].flags | FIN), *sent[at + 1 :]]

    odd(with_fin)
    odd(lambda sent: [*sent, sent[-1]._replace(flags=ACK | PSH, payload=b"MAIL\r\n", seq=sent[-1].seq + 1)])


def test_the_ports_may_be_used_again_at_once() -> None:
    first, second = dialogue(WHOLE, 2), dialogue(WHOLE, 2)
    moved = [
        one._replace(seq=one.seq + 77_777, ack=one.ack + 77_777 if one.flags & ACK else 0, frame=one.frame + 90_000)
        for one in second
    ]
    assert len(reports([*known(), *first, *moved])) == 4
    assert len(reports([*known(), *first[:12], *moved])) == 4


def eight(text: str) -> list[tuple[str, bytes | str]]:
    return [(who, str(line).replace("hello", text)) for who, line in WHOLE]


def test_where_a_rule_tells_of_bytes_in_a_message_it_must_be_the_same_place() -> None:
    """BIT206 and the like name the first byte above 127 and say how many there are."""
    here, there, more = eight("h\xe9llo"), eight("he\xe9lo"), eight("h\xe9l\xe9o")
    judged = []
    for last in (here, there, more):
        to = tracker()
        feed(to, [one for number, script in enumerate([here, here, last]) for one in dialogue(script, number)])
        to.close()
        full = tracker(learn=False)
        feed(full, [one for number, script in enumerate([here, here, last]) for one in dialogue(script, number)])
        full.close()
        assert told(to.done) == told(full.done)
        assert all(connection.findings for connection in to.done)
        judged.append(to.judged)
    assert judged == [2, 3, 3]

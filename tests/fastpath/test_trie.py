"""Beaten ways: when one connection is told from others, and when it never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from repeats import MINUTE, SECOND, compared, dialogue, played
from scripts import END, GREETING, MAIL, hello, lines

from smtpwire.analyzer import model
from smtpwire.analyzer.exchanges.state_table import Act
from smtpwire.analyzer.fastpath import trie as beaten
from smtpwire.analyzer.fastpath.trie import CLIENT, MAX_PLACES, Place, Ways, fits
from smtpwire.analyzer.rules import RULES, Evidence, OnExchange, registry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts import Script

    from smtpwire.analyzer.exchanges.conversation import Conversation
    from smtpwire.analyzer.exchanges.exchange import Exchange

WHOLE = [*hello("PIPELINING", "SIZE 100000"), *MAIL, *END]


def found(*scripts: Script) -> int:
    """How many of these connections, one after the other, are told from others; all as if each were judged."""
    return compared([one for number, script in enumerate(scripts) for one in dialogue(script, number)]).found


def test_the_third_of_its_kind_is_told_from_two() -> None:
    assert [found(*[WHOLE] * times) for times in (1, 2, 3, 4)] == [0, 0, 1, 2]


def test_its_report_names_its_own_ends_times_mailboxes_and_texts() -> None:
    other = [
        (
            who,
            str(text).replace("a@client", "zoe@home").replace("queued", "as 99").replace("Subject: test", "Subject: q"),
        )
        for who, text in WHOLE
    ]
    reports = compared([*dialogue(WHOLE), *dialogue(WHOLE, 1), *dialogue(other, 2)])
    assert reports.found == 1
    last = reports.connections[-1]
    assert last.client.port == reports.connections[0].client.port + 2
    assert last.started != reports.connections[1].started
    (message,) = last.messages
    assert (message.from_, message.subject, message.code) == ("zoe@home.example", "q", 250)
    assert [turn.lines for turn in last.dialogue if isinstance(turn, model.ReplyTurn)][-2] == ["as 99"]


def test_findings_are_told_too() -> None:
    undated = [(who, str(text).replace("Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n", "")) for who, text in WHOLE]
    reports = compared([one for number in range(3) for one in dialogue(undated, number)])
    assert reports.found == 1
    assert [f.rule for f in reports.connections[-1].findings] == ["MSG701"]
    assert reports.connections[-1].findings[0].frame > reports.connections[1].findings[0].frame


def test_two_that_differ_in_anything_that_counts_make_no_way() -> None:
    refused = [*hello(), *lines("C MAIL FROM:<a@client.example>", "S 550 no"), *END]
    assert found(WHOLE, refused, WHOLE, refused) == 0


def test_a_rule_from_elsewhere_is_asked_every_time() -> None:
    asked = 0

    def about_rcpt(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
        """Counts."""
        nonlocal asked
        asked += 1
        yield Evidence(f"RCPT number {asked}")

    try:
        rule("XRC001", "rcpt-counted", "info", "client", "house", on=OnExchange(acts=frozenset({Act.RCPT})))(about_rcpt)
        sent = [one for number in range(5) for one in dialogue(WHOLE, number)]
        reports = played(sent, learn=True)
    finally:
        registry._DECLARED.pop("XRC001")
    assert "XRC001" not in RULES
    assert reports.found == 0
    said = [f.message for one in reports.connections for f in one.findings if f.rule == "XRC001"]
    assert said == [f"RCPT number {number}" for number in range(1, 6)]


def test_an_offer_that_vanishes_is_noticed_on_a_beaten_way() -> None:
    with_tls = [*hello("STARTTLS"), *END]
    without = [*hello("SIZE"), *END]
    reports = compared(
        [one for number, s in enumerate([without] * 3 + [with_tls] + [without] * 2) for one in dialogue(s, number)]
    )
    fired = [[f.rule for f in one.findings if f.rule == "SEC633"] for one in reports.connections]
    assert fired == [[], [], [], [], ["SEC633"], ["SEC633"]]
    assert reports.found == 1


def test_a_vanished_offer_is_not_told_of_other_networks() -> None:
    """Two connections of one network may report the same of an offer that others never saw."""

    def script(last: str) -> Script:
        return [("S", "220 mx.example hi\r\n"), *lines("C EHLO [192.0.2.1]", "S 250-mx.example", f"S 250 {last}"), *END]

    sent = [one for n, last in enumerate(["STARTTLS", "SIZE", "SIZE"]) for one in dialogue(script(last), n)]
    client, stranger = bytes((192, 0, 2, 1)), bytes((10, 1, 1, 1))
    for number in (3, 4):
        sent += [one._replace(key=one.key.replace(client, stranger)) for one in dialogue(script("SIZE"), number)]
    reports = compared(sent)
    assert [bool(one.findings) for one in reports.connections] == [False, True, True, False, False]


def test_what_a_finding_says_of_one_connection_is_not_said_of_another() -> None:
    """The message names the client's address."""
    script = [*hello("XCLIENT"), *lines("C XCLIENT NAME=spike.example", "S 250 ok"), *END]
    sent = [*dialogue(script), *dialogue(script, 1)]
    client, other = bytes((192, 0, 2, 1)), bytes((10, 1, 1, 1))
    sent += [one._replace(key=one.key.replace(client, other)) for one in dialogue(script, 2)]
    reports = compared(sent)
    assert "10.1.1.1" in reports.connections[-1].findings[0].message


def test_secrets_never_become_part_of_a_way() -> None:
    script = [
        *hello("AUTH PLAIN LOGIN"),
        *lines("C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 235 ok"),
        *MAIL,
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C YWxpY2U=", "S 334 UGFzc3dvcmQ6", "C c2VjcmV0", "S 235 ok"),
        *END,
    ]
    before = set(CLIENT)
    reports = compared([one for number in range(4) for one in dialogue(script, number)])
    assert reports.found == 0
    known = {name for name in CLIENT if name not in before} | names(reports.tracker.ways)
    assert not [name for name in known if b"AGFs" in name or b"YWxp" in name or b"c2Vj" in name]


def names(ways: Ways) -> set[bytes]:
    """Every step of every way."""
    places, found = list(ways._roots.values()), set()
    while places:
        place = places.pop()
        for table in (place.ways, place.replies):
            found |= {name for name in table if name is not None}
            places += table.values()
    return found


def test_ways_are_bounded() -> None:
    """Clients that never say the same twice cost no more than ``MAX_PLACES``, and what repeats is learned again."""
    ways = Ways()
    pattern = compared(dialogue(WHOLE)).tracker.ways  # any: what counts is how many places there are
    (root,) = pattern._roots.values()
    while root.pattern is None:
        (root,) = [*root.ways.values(), *root.replies.values()]
    most = 0
    for number in range(MAX_PLACES):
        trail = [(False, b"NOOP %d\r\n" % number, Place(0, None)), (False, b"QUIT\r\n", Place(0, None))]
        ways.learn(25, trail, root.pattern)
        most = max(most, ways._places)
        if number % 1000 == 0:
            assert len(names(ways)) <= MAX_PLACES + 2
    assert MAX_PLACES < most <= MAX_PLACES + 2


def test_what_is_remembered_of_segments_is_bounded() -> None:
    for number in range(beaten.MAX_MEMO + 10):
        assert CLIENT[b"NOOP %d\r\n" % number] == b"NOOP %d\r\n" % number
    assert len(CLIENT) <= beaten.MAX_MEMO
    long = b"NOOP " + b"x" * beaten.MAX_MEMO_BYTES + b"\r\n"
    assert CLIENT[long] == long
    assert long not in CLIENT


@pytest.mark.parametrize(("size", "room", "fit"), [(1000, 1000, True), (1001, 1000, False), (1001, 1 << 30, True)])
def test_a_number_behind_size_must_fit_what_was_announced(size: int, room: int, fit: bool) -> None:
    data = b"MAIL FROM:<a@x.example> SIZE=%d\r\n" % size
    assert fits(CLIENT[data], data, room) is fit


@pytest.mark.parametrize("pause", [SECOND // 2, 2 * SECOND, 2 * MINUTE, 4 * MINUTE, 6 * MINUTE])
@pytest.mark.parametrize("place", range(3, 18))
def test_pauses_are_judged_as_they_are(pause: int, place: int) -> None:
    sent = [*dialogue(WHOLE), *dialogue(WHOLE, 1), *dialogue(WHOLE, 2, {place: pause}), *dialogue(WHOLE, 3)]
    assert compared(sent).found >= 1


def test_a_client_that_is_on_the_same_host_has_its_own_ways() -> None:
    loopback = bytes((127, 0, 0, 1))
    sent = [*dialogue(WHOLE), *dialogue(WHOLE, 1)]
    for one in dialogue(WHOLE, 2):
        key = loopback + loopback + one.key[8:]
        sent.append(one._replace(key=key))
    assert compared(sent).found == 0


def test_a_greeting_that_comes_first_or_not_is_another_way() -> None:
    early = [("C", "EHLO client.example\r\n"), ("S", GREETING), *WHOLE[2:]]
    assert found(early, early, early, WHOLE, WHOLE, WHOLE) == 1

"""Findings of open connections: each is reported once, as it would be reported at the end."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from captures import START, Conversation
from netns import frames_of

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.findings.baseline import Baseline, entry
from smtpwire.analyzer.findings.suppress import Peer
from smtpwire.analyzer.live.live_audit import LiveAudit
from smtpwire.analyzer.segments.decoder import SegmentDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smtpwire.analyzer.model import Connection, Finding

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap"))
TEN_MINUTES = 600_000_000_000


class Run:
    """Feeds frames, and keeps what was reported for each connection."""

    def __init__(self, options: Options | None = None) -> None:
        self.audit = LiveAudit(options or Options())
        self.reported: dict[int, list[Finding]] = {}
        self.ended: dict[int, Connection] = {}
        self._decoder = SegmentDecoder(self.audit.tracker.segment)
        self._number = 0

    def feed(self, frames: Iterable[bytes], time_ns: int = START, every: int = 1) -> Run:
        for count, frame in enumerate(frames, 1):
            self._number += 1
            self._decoder.frame(1, time_ns + self._number * 1000, frame, len(frame), self._number)
            if count % every == 0:
                self.take()
        return self

    def take(self) -> None:
        for one in self.audit.updates():
            self.reported.setdefault(one.connection.id, []).extend(one.findings)
            if one.ended:
                self.ended[one.connection.id] = one.connection

    def close(self) -> Run:
        for one in self.audit.last_updates():
            self.reported.setdefault(one.connection.id, []).extend(one.findings)
            self.ended[one.connection.id] = one.connection
        return self

    @property
    def rules(self) -> list[str]:
        return [finding.rule for findings in self.reported.values() for finding in findings]


def frames(talk: Conversation) -> list[bytes]:
    return [record.data for record in talk.records]


def wrong() -> Conversation:
    one = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@client.example>\r\n")
    return one.server(b"250 ok\r\n")


def first_breach(finding: Finding) -> Finding:
    """Return ``finding`` without the number of breaches of its fact, which grows after it was reported."""
    if "breaches" not in finding.values:
        return finding
    values = {name: value for name, value in finding.values.items() if name != "breaches"}
    message = finding.message.partition(" It is the first of ")[0]
    return msgspec.structs.replace(finding, message=message, values=values, count=1)


@pytest.mark.parametrize("redact", list(Redact))
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_reported_findings_are_those_of_the_connection_at_its_end(sample: Path, redact: Redact) -> None:
    live = Run(Options(redact=redact)).feed(frames_of(sample)).close()
    for number, connection in live.ended.items():
        expected = list(map(first_breach, connection.findings))
        reported = list(map(first_breach, live.reported[number]))
        if redact is Redact.PII:  # pseudonyms of late findings may know more names
            expected = [msgspec.structs.replace(one, message="", evidence="") for one in expected]
            reported = [msgspec.structs.replace(one, message="", evidence="") for one in reported]
        assert reported == expected


@pytest.mark.parametrize("every", [1, 7, 10_000])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_connections_equal_those_of_an_audit(sample: Path, every: int) -> None:
    live = Run().feed(frames_of(sample), every=every).close()
    plain = Audit()
    decoder = SegmentDecoder(plain.tracker.segment)
    for number, frame in enumerate(frames_of(sample), 1):
        decoder.frame(1, START + number * 1000, frame, len(frame), number)
    expected = {connection.id: connection for connection in plain.close()}
    assert {n: msgspec.to_builtins(c) for n, c in live.ended.items()} == {
        n: msgspec.to_builtins(c) for n, c in expected.items()
    }
    assert live.audit.summary == plain.summary


def test_a_finding_is_reported_with_the_frame_that_proves_it() -> None:
    live = Run()
    reported = [len(live.rules) for frame in frames(wrong()) if live.feed([frame])]
    assert reported == [0, 0, 0, 0, 0, 2]


class TestRepeatedDialogues:
    """Equal dialogues one after another: no finding is late or missing."""

    def test_a_repeated_finding_is_early_too(self) -> None:
        live = Run()
        for port in range(2000, 2010):
            one = Conversation(port).open().server(b"220 mx.example ESMTP\r\n")
            one.client(b"MAIL FROM:<a@client.example>\r\n").server(b"250 ok\r\n")
            live.feed(frames(one))
            assert live.rules.count("SEQ101") == port - 1999
            count = len(one.records)
            live.feed(frames(one.client(b"QUIT\r\n").server(b"221 bye\r\n").close())[count:])
            assert len(live.ended) == port - 1999
            assert live.rules.count("SEQ101") == port - 1999

    def test_new_rules_apply_to_known_dialogues(self) -> None:
        live = Run(Options(select=("BIT",)))
        talks = [wrong_until_the_end(port) for port in range(2000, 2020)]
        for one in talks[:10]:
            live.feed(frames(one))
        live.feed(frames(talks[10])[:4])
        live.audit.change(Options(select=("SEQ",)))
        live.feed(frames(talks[10])[4:])
        for one in talks[11:]:
            live.feed(frames(one))
        assert live.rules.count("SEQ101") == 10


def wrong_until_the_end(port: int) -> Conversation:
    one = Conversation(port).open().server(b"220 mx.example ESMTP\r\n").client(b"MAIL FROM:<a@client.example>\r\n")
    return one.server(b"250 ok\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n").close()


class TestSuppression:
    def test_an_unwanted_cause_leaves_no_invalid_index(self) -> None:
        live = Run(Options(peers=(Peer(ip_network("192.0.2.1"), None, frozenset({"SEQ101"})),)))
        live.feed(frames(wrong())).close()
        assert live.rules[0] == "SEQ120"
        assert live.reported[1][0].caused_by is None
        assert live.reported[1] == live.ended[1].findings

    def test_a_finding_in_the_baseline_is_counted_once(self) -> None:
        first = Run(Options(redact=Redact.NONE)).feed(frames(wrong())).close()
        known = Baseline([entry(first.ended[1].findings[0], first.ended[1])])
        live = Run(Options(baseline=known)).feed(frames(wrong())).close()
        assert "SEQ101" not in live.rules
        assert live.audit.summary.suppressed == 1


class TestStanding:
    def test_a_view_does_not_change_what_it_shows(self) -> None:
        login = wrong().client(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n").server(b"535 no\r\n")
        watched = Run(Options(redact=Redact.PII))
        for frame in frames(login):
            watched.feed([frame])
            for view in watched.audit.standing():
                assert "AGFsaWNl" not in str(view)
                assert "<a@client.example>" not in str(view.dialogue)
        watched.close()
        unwatched = Run(Options(redact=Redact.PII)).feed(frames(login)).close()
        one, other = watched.ended[1], unwatched.ended[1]
        assert [type(turn) for turn in one.dialogue] == [type(turn) for turn in other.dialogue]
        assert [finding.rule for finding in one.findings] == [finding.rule for finding in other.findings]

    def test_a_view_of_a_long_dialogue_has_its_start_and_its_end(self) -> None:
        one = Conversation().open().server(b"220 mx\r\n").client(b"EHLO c.example\r\n").server(b"250 mx\r\n")
        for _ in range(600):
            one.client(b"NOOP\r\n").server(b"250 ok\r\n")
        one.client(b"MAIL FROM:<a@c.example>\r\n").server(b"503 no\r\n")
        live = Run().feed(frames(one))
        (view,) = live.audit.standing()
        assert len(view.dialogue) == 500
        (finding,) = (one for one in live.reported[1] if one.rule == "SEQ123")
        assert finding.turn == 1204
        assert live.close().reported[1] == live.ended[1].findings


class TestChange:
    def test_other_rules_apply_to_open_connections(self) -> None:
        live = Run(Options(select=("BIT",)))
        one = wrong()
        live.feed(frames(one))
        assert live.rules == []
        count = len(one.records)
        live.audit.change(Options(select=("SEQ",)))
        live.feed(frames(one.client(b"DATA\r\n").server(b"354 go\r\n"))[count:])
        assert live.rules
        assert all(rule.startswith("SEQ") for rule in live.rules)

    def test_offers_of_starttls_are_remembered_whatever_rules_are_selected(self) -> None:
        def session(port: int, keyword: bytes) -> list[bytes]:
            one = Conversation(port).open().server(b"220 mx.example ESMTP\r\n").client(b"EHLO client.example\r\n")
            return frames(one.server(b"250-mx.example\r\n250 %s\r\n" % keyword))

        live = Run(Options(ignore=("SEC633",))).feed(session(2000, b"STARTTLS"))
        live.audit.change(Options())
        assert "SEC633" in live.feed(session(2001, b"8BITMIME")).rules

    def test_a_rule_that_does_not_exist_changes_nothing(self) -> None:
        live = Run()
        with pytest.raises(UsageError):
            live.audit.change(Options(select=("NIX",)))
        assert set(live.feed(frames(wrong())).rules) >= {"SEQ101"}


class TestClock:
    @pytest.mark.parametrize("by", [TEN_MINUTES * 20, -TEN_MINUTES * 20])
    def test_a_step_makes_no_connection_idle(self, by: int) -> None:
        one = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"EHLO c.example\r\n")
        live = Run().feed(frames(one))
        live.audit.clock_set(by)
        count = len(one.records)
        one.server(b"250 mx.example\r\n").client(b"QUIT\r\n").server(b"221 bye\r\n").close()
        live.feed(frames(one)[count:], START + by)
        assert list(live.ended) == [1]
        (note,) = live.ended[1].notes
        assert note == f"the clock was set by {by / 1e9:+.1f} s during this connection: times are not judged"
        assert live.rules == []

    def test_without_it_the_step_would_count_as_time(self) -> None:
        one = Conversation().open().server(b"220 mx.example ESMTP\r\n").client(b"EHLO c.example\r\n")
        live = Run().feed(frames(one))
        count = len(one.records)
        one.server(b"250 mx.example\r\n")
        live.feed(frames(one)[count:], START + TEN_MINUTES * 20)
        other = Conversation(port=50000).open().server(b"220 mx\r\n")
        live.feed(frames(other), START + TEN_MINUTES * 40)
        assert "idle for more than" in live.ended[1].notes[0]


def test_ended_connections_leave_nothing_in_memory() -> None:
    live = Run()
    for port in range(1024, 1124):
        one = Conversation(port).open().server(b"220 mx\r\n").client(b"MAIL FROM:<a@b.example>\r\n")
        one.server(b"250 ok\r\n")
        live.feed(frames(one.client(b"QUIT\r\n").server(b"221 bye\r\n").close()))
    assert len(live.ended) == 100
    assert not live.audit._touched
    assert not live.audit._reported
    assert not live.audit._unclocked

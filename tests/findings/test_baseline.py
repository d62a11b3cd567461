"""The baseline: which findings count as the same, and the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from handmade import connection, finding

from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.findings.baseline import Entry, entry, fingerprint, read_baseline, write_baseline

if TYPE_CHECKING:
    from pathlib import Path

    from smtpwire.analyzer.model import Finding

COMMAND, REPLY, MESSAGE, AUTH = 1, 2, 8, 7  # places in handmade.every_turn


def shape(evidence: str, turn: int | None = COMMAND) -> str:
    found = finding(evidence=evidence, turn=turn)
    return entry(found, connection(1, [found])).shape


class TestSameViolation:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("MAIL FROM:<anna@a.example> SIZE=1200", "MAIL FROM:<berta@mx7.b.example> SIZE=88"),
            ("EHLO worker-7f9c2", "EHLO worker-81bb0"),
            ("RCPT TO:<b@[192.0.2.1]>", "RCPT TO:<c@[198.51.100.77]>"),
            ("MAIL FROM:<jos\\xc3\\xa9@a.example>", "MAIL FROM:<ren\\xc3\\xa8\\xc3\\xa9@a.example>"),
            ("mail from:<a@a.example>", "MAIL from:<a@a.example>"),
        ],
    )
    def test_commands_of_one_form(self, one: str, other: str) -> None:
        assert shape(one) == shape(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("MAIL FROM:<a@a.example>", "MAIL FROM:a@a.example"),
            ("MAIL FROM:<a@a.example>", "MAIL FROM: <a@a.example>"),
            ("MAIL FROM:<a@a.example>", "MAIL FROM:<>"),
            ("MAIL FROM:<a@a.example>", "RCPT TO:<a@a.example>"),
            ("MAIL FROM:<a@a.example> SIZE=1", "MAIL FROM:<a@a.example> BODY=7BIT"),
            ("MAIL FROM:<a@a.example>", "MAIL FROM:<a\\xe9@a.example>"),
            ("AUTH PLAIN", "AUTH LOGIN"),
        ],
    )
    def test_commands_of_another_form(self, one: str, other: str) -> None:
        assert shape(one) != shape(other)

    def test_replies_by_their_codes(self) -> None:
        queued = "250 2.0.0 Ok: queued as 4Zx1kD2z3Pz"
        assert shape(queued, REPLY) == shape("250 2.0.0 Ok: queued as BCDFGH", REPLY) == "250 2.0.0"
        assert shape("503 Already identified", REPLY) == "503"

    def test_messages_by_the_header_field(self) -> None:
        assert shape("Subject: Gr\\xfc\\xdfe", MESSAGE) == shape("subject: caf\\xe9", MESSAGE) == "subject:"
        assert shape("just text caf\\xe9", MESSAGE) == ""

    def test_a_finding_without_a_turn_has_no_shape(self) -> None:
        assert shape("21:30:01 anything", None) == shape("anything", AUTH) == ""

    def test_client_time_and_frame_do_not_matter(self) -> None:
        one, other = finding(frame=6, offset=0), finding(frame=60, offset=500, message="worded differently")
        first, second = connection(1, [one]), connection(2, [other])
        second.client = type(second.client)("192.0.2.99", 9)
        assert entry(one, first) == entry(other, second)
        assert fingerprint(one, first) == fingerprint(other, second)

    @pytest.mark.parametrize("changed", ["rule", "side", "port"])
    def test_rule_side_and_server_matter(self, changed: str) -> None:
        one = finding()
        other = finding("SEQ102" if changed == "rule" else "SEQ101", side="server" if changed == "side" else "client")
        first, second = connection(1, [one]), connection(2, [other])
        if changed == "port":
            second.server = type(second.server)(second.server.address, 587)
        assert entry(one, first) != entry(other, second)
        assert fingerprint(one, first) != fingerprint(other, second)

    def test_an_entry_is_readable(self) -> None:
        found = finding(evidence="MAIL FROM:<a@a.example> SIZE=1200 SMTPUTF8")
        expected = Entry("SEQ101", "[2001:db8::2]:25", "client", "MAIL *:<*@*> SIZE= *")
        assert entry(found, connection(1, [found])) == expected


class TestFile:
    def entries(self) -> list[Entry]:
        found: list[Finding] = [finding("SEQ102"), finding("SEQ101"), finding("SEQ102", frame=9)]
        one = connection(1, found)
        return [entry(f, one) for f in found]

    def test_known_findings_are_counted_and_stale_entries_too(self, tmp_path: Path) -> None:
        path = tmp_path / "known.json"
        assert write_baseline(path, self.entries()) == 2
        baseline = read_baseline(path)
        one = connection(1, [finding("SEQ102"), finding("BIT201")])
        assert [baseline.knows(f, one) for f in one.findings] == [True, False]
        assert (baseline.suppressed, baseline.stale) == (1, 1)
        assert baseline.summary() == "baseline: 1 known finding omitted, 1 entry is stale"

    def test_it_is_sorted_and_stable(self, tmp_path: Path) -> None:
        one, other = tmp_path / "a.json", tmp_path / "b.json"
        write_baseline(one, self.entries())
        write_baseline(other, reversed(self.entries()))
        assert one.read_bytes() == other.read_bytes()
        assert [row["rule"] for row in json.loads(one.read_bytes())["findings"]] == ["SEQ101", "SEQ102"]
        assert list(tmp_path.iterdir()) == [one, other] or list(tmp_path.iterdir()) == [other, one]

    def test_an_older_baseline_is_replaced_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "known.json"
        write_baseline(path, self.entries())
        assert write_baseline(path, []) == 0
        capture = tmp_path / "a.pcap"
        capture.write_bytes(b"\xd4\xc3\xb2\xa1")
        with pytest.raises(UsageError, match="not a baseline"):
            write_baseline(capture, [])
        assert capture.read_bytes() == b"\xd4\xc3\xb2\xa1"

    def test_a_link_at_the_temporary_name_is_not_followed(self, tmp_path: Path) -> None:
        path, victim = tmp_path / "known.json", tmp_path / "victim"
        victim.write_text("precious")
        (tmp_path / ".known.json.new").symlink_to(victim)
        write_baseline(path, self.entries())
        assert victim.read_text() == "precious"
        assert read_baseline(path).stale > 0

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "not a baseline"),
            ("{}", "not a baseline"),
            ('{"smtpwire_baseline": 1, "findings": [{"rule": 5}]}', "not a baseline"),
            ('{"smtpwire_baseline": 2, "findings": []}', "a baseline of another version"),
        ],
    )
    def test_an_invalid_baseline_is_reported(self, tmp_path: Path, text: str, said: str) -> None:
        path = tmp_path / "known.json"
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError, match=said):
            read_baseline(path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no such baseline"):
            read_baseline(tmp_path / "known.json")
        assert read_baseline(tmp_path / "known.json", missing_ok=True).stale == 0

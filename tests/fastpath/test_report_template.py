"""Patterns: a report taken apart and written again, for its own steps and for others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from repeats import played
from scripts import CLIENT_PORT, END, MAIL, MESSAGE, Segment, hello, segments

from smtpwire.analyzer import model
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.fastpath.recorder import Scout
from smtpwire.analyzer.fastpath.report_template import Pattern, Step, derive, write
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS

WHOLE = [*hello("PIPELINING"), *MAIL, *END]


class Noted:
    """A connection judged in full, with the steps that a scout noted and the pattern that they make."""

    def __init__(self, sent: list[Segment]) -> None:
        self.tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS))
        scouts: list[Scout] = []
        for one in sent:
            self.tracker.segment(*one)
            scouts += [f.listener for f in self.tracker.streams.flows() if isinstance(f.listener, Scout)]
        scout = scouts[0]
        self.tracker.close()
        (self.record,) = self.tracker.done
        self.steps: list[Step] = list(scout._steps)
        self.names = [name for _, name, _ in scout._trail or []]

    def pattern(self, record: model.Connection | None = None) -> Pattern | None:
        return derive(record or self.record, self.steps, self.names, self.tracker.clock, calm=True)

    def written(self, pattern: Pattern) -> model.Connection:
        """A report from ``pattern``, for the steps of this connection."""
        empty = msgspec.structs.replace(
            self.record, dialogue=[], messages=[], findings=[], notes=[], tls="none", closing="open"
        )
        write(pattern, self.steps, empty, self.tracker.clocks)
        return empty


def copy(record: model.Connection) -> model.Connection:
    return msgspec.json.decode(msgspec.json.encode(record), type=model.Connection)


PIPELINED = [
    *hello("PIPELINING", "SIZE"),
    ("C", "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\nRCPT TO:<c@mx.example>\r\nDATA\r\n"),
    ("S", "250 ok\r\n250 yes\r\n250 fine\r\n354 go\r\n"),
    ("C", MESSAGE + ".\r\nQUIT\r\n"),
    ("S", "250 queued\r\n221 bye\r\n"),
    ("FC", ""),
    ("FS", ""),
]


@pytest.mark.parametrize("script", [WHOLE, PIPELINED, [*hello(), *MAIL, *MAIL, *END], [*hello("STARTTLS"), *END]])
def test_a_report_is_written_as_it_was_taken(script: list[tuple[str, str]]) -> None:
    noted = Noted(segments(script))
    pattern = noted.pattern()
    assert pattern is not None
    assert noted.written(pattern) == noted.record


@pytest.mark.parametrize("script", [WHOLE, PIPELINED])
def test_one_pattern_serves_two_connections(script: list[tuple[str, str]]) -> None:
    other = [
        (who, text.replace("a@client", "somebody@other").replace("<c@mx", "<much.longer.name@mx").replace("yes", "aye"))
        for who, text in script
    ]
    one, two = Noted(segments(script)), Noted(segments(other, client_port=CLIENT_PORT + 1, first={"C": 7, "S": 9}))
    assert one.pattern() == two.pattern()
    pattern = one.pattern()
    assert pattern is not None
    assert two.written(pattern) == two.record
    assert two.record != one.record


def test_what_a_report_says_is_part_of_its_pattern() -> None:
    noted = Noted(segments(WHOLE))
    known = noted.pattern()
    changes = {
        "profile": "submission",
        "tls": "starttls",
        "closing": "rst",
        "notes": ["something"],
        "protocol": "lmtp",
    }
    for field, value in changes.items():
        record = copy(noted.record)
        setattr(record, field, value)
        assert noted.pattern(record) != known, field


def test_what_no_step_explains_makes_no_pattern() -> None:
    noted = Noted(segments(WHOLE))
    assert noted.pattern(copy(noted.record)) is not None
    record = copy(noted.record)
    record.gaps.append(model.Gap("client", 5, 5, 9))
    assert noted.pattern(record) is None
    moved: tuple[dict[str, Any], ...] = ({"frame": 9999}, {"offset": 99_999}, {"time": "2020-01-01T00:00:00.000000Z"})
    other: tuple[dict[str, Any], ...] = ({"size": 1}, {"complete": False}, {"sha256": None})
    for change in moved:
        record = copy(noted.record)
        record.dialogue[2] = msgspec.structs.replace(record.dialogue[2], **change)
        assert noted.pattern(record) is None, change
    for change in other:
        record = copy(noted.record)
        record.messages[0] = msgspec.structs.replace(record.messages[0], **change)
        assert noted.pattern(record) is None, change


def test_a_mailbox_that_stands_in_no_line_makes_no_pattern() -> None:
    noted = Noted(segments(WHOLE))
    record = copy(noted.record)
    record.messages[0].from_ = "mallory@elsewhere.example"
    assert noted.pattern(record) is None


def test_the_place_of_a_finding_moves_with_the_text_in_front_of_it() -> None:
    """The second line of a group begins later where the mailbox in the first is longer."""
    group = [*hello(), ("C", "MAIL FROM:<a@client.example>\r\nFOO\r\n"), ("S", "250 ok\r\n500 what\r\n"), *END]
    longer = [(who, str(text).replace("<a@", "<a.much.longer.name@")) for who, text in group]
    reports = [played(segments(script), learn=False).connections[0] for script in (group, longer)]
    places = [{f.offset for f in one.findings if f.evidence == "FOO"} for one in reports]
    assert places[0]
    one, two = Noted(segments(group)), Noted(segments(longer))
    pattern = one.pattern()
    if pattern is not None:
        assert two.written(pattern).findings == two.record.findings
    assert {place + len("a.much.longer.name") - 1 for place in places[0]} == places[1]

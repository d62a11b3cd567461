"""The bytes that all connections together hold are bounded, whatever they are, and the report says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from scripts import MESSAGE, Segment, by, connections, envelope, hello, lines, segments

from smtpwire.analyzer import model
from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.streams.memory_pressure import FLOW_COST, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LIMIT = 1 << 20
LIMITS = replace(DEFAULT_LIMITS, all_held_bytes=LIMIT)
GREETED = hello("PIPELINING", "CHUNKING")
TEXT = "X-Field: of a header that never ends\r\n" * 1000


def after_a_gap(port: int) -> list[Segment]:
    """Segments whose first byte never comes and that the peer never acknowledges."""
    sent = segments([*GREETED, ("C", "N"), ("C", "x" * 40_000)], client_port=port)
    lost = next(at for at, one in enumerate(sent) if one.payload == b"N")
    return [*sent[:lost], *(one for one in sent[lost + 1 :] if len(one.payload) > 1)]


def for_the_peer(port: int) -> list[Segment]:
    """Replies that, by their ACKs, follow client bytes that never come."""
    script = [*GREETED, ("C", "x" * 40_000), ("S", "250-ok\r\n" * 5000)]
    sent = segments(script, client_port=port, cut=by(10_000))
    return [one for one in sent if len(one.payload) < 1000 or one.key[-2:] != b"\0\x19"]


def played(*script: tuple[str, str | bytes]) -> Callable[[int], list[Segment]]:
    return lambda port: segments([*GREETED, *script], client_port=port)


HELD: dict[str, Callable[[int], list[Segment]]] = {
    "after a gap": after_a_gap,
    "for the peer": for_the_peer,
    "half a line of the client": played(("C", "X" * 40_000)),
    "half a line of the server": played(("S", "X" * 40_000)),
    "half a reply": played(("C", "HELP\r\n"), ("S", "214-text\r\n" * 4000)),
    "after DATA": played(*envelope(), ("C", "DATA\r\n" + "x" * 40_000)),
    "half a header": played(*envelope(), *lines("C DATA", "S 354 go"), ("C", TEXT)),
    "half a header, in a chunk": played(*envelope(), ("C", f"BDAT {len(TEXT)} LAST\r\n{TEXT[:-1]}")),
    "the first bytes of what may be SMTP": lambda port: segments(
        [("S", "220 " + "x" * 4000)], port=9999, client_port=port
    ),
}


def held(tracker: Tracker) -> int:
    return sum(map(weight, tracker.streams.table))


def followed(kinds: Iterable[Callable[[int], list[Segment]]], count: int) -> tuple[Tracker, int]:
    """Play ``count`` connections of each kind. Returns the most bytes held between two sweeps."""
    tracker, most, frame = Tracker(RuleBook(Options().rules(), LIMITS), limits=LIMITS), 0, 0
    for make in kinds:
        for number in range(count):
            for one in make(20_000 + number):
                frame += 1
                tracker.segment(*one._replace(frame=frame))
            tracker.sweep()
            most = max(most, held(tracker))
    return tracker, most


@pytest.mark.parametrize("kind", HELD)
def test_held_bytes_do_not_grow_with_the_number_of_connections(kind: str) -> None:
    tracker, most = followed([HELD[kind]], 3 * LIMIT // (4000 if "first" in kind else 40_000))
    # The first bytes of a connection are counted with their usual size.
    assert LIMIT // 2 < most < (LIMIT * 2 if "first" in kind else LIMIT * 5 // 4)
    notes = [note for one in tracker.done for note in one.notes] + tracker.pressure().problems(LIMITS)
    assert any(f"all connections together held more than {LIMIT} bytes" in one for one in notes)


def test_without_the_limit_held_bytes_grow() -> None:
    limits = replace(LIMITS, all_held_bytes=0)
    tracker = Tracker(RuleBook(Options().rules(), limits), limits=limits)
    for number in range(80):
        for one in after_a_gap(20_000 + number):
            tracker.segment(*one)
        tracker.sweep()
    assert held(tracker) > 2 * LIMIT
    assert tracker.pressure().problems(LIMITS) == []


def test_connections_that_hold_little_are_not_relieved() -> None:
    """Half a command waits while others attack; its other half is still understood."""
    tracker = Tracker(RuleBook(Options().rules(), LIMITS), limits=LIMITS)
    quiet = segments([*GREETED, ("C", "VRFY po"), ("C", "stmaster\r\n"), ("S", "252 who knows\r\n")], client_port=999)
    half = next(at for at, one in enumerate(quiet) if one.payload == b"VRFY po") + 1
    for one in quiet[:half]:
        tracker.segment(*one)
    for number in range(80):
        for one in HELD["half a line of the client"](20_000 + number):
            tracker.segment(*one)
        tracker.sweep()
    assert tracker.streams.housekeeping.evicted
    for one in quiet[half:]:
        tracker.segment(*one)
    tracker.close()
    (report,) = (one for one in tracker.done if one.client.port == 999)
    assert [turn.verb for turn in report.dialogue if isinstance(turn, model.CommandTurn)] == ["EHLO", "VRFY"]
    assert report.notes == []


def test_a_relieved_connection_continues_after_its_gaps() -> None:
    script = [*GREETED, ("C", "N"), ("C", "OOP\r\n" * 2000), *lines("S 250 ok", "C QUIT", "S 221 bye")]
    sent = segments(script, client_port=999)
    lost = next(at for at, one in enumerate(sent) if one.payload == b"N")
    answer_at = next(at for at, one in enumerate(sent) if one.payload == b"250 ok\r\n")
    tracker = Tracker(RuleBook(Options().rules(), LIMITS), limits=replace(LIMITS, all_held_bytes=4000))
    for one in [*sent[:lost], *(one for one in sent[lost + 1 : answer_at] if one.payload)]:
        tracker.segment(*one)
    tracker.sweep()
    assert tracker.streams.housekeeping.evicted == 0
    (flow,) = tracker.streams.table
    assert flow.disorder is not None
    assert (flow.disorder.client.held, flow.disorder.client.recent) == ([], b"")
    for one in sent[answer_at:]:
        tracker.segment(*one)
    tracker.close()
    (report,) = tracker.done
    assert [(gap.side, gap.offset, gap.length) for gap in report.gaps] == [("client", 21, 1)]
    assert isinstance(report.dialogue[-1], model.ReplyTurn)


def test_plain_traffic_is_never_weighed() -> None:
    """Nothing of it is kept, so only the connections themselves count."""
    script = [*GREETED, *envelope(), *lines("C DATA", "S 354 go"), ("C", MESSAGE + "text\r\n" * 9000 + ".\r\n")]
    sent = segments([*script, *lines("S 250 ok", "C QUIT", "S 221 bye"), ("FC", ""), ("FS", "")])
    tracker = Tracker(RuleBook(Options().rules(), LIMITS), limits=LIMITS)
    for one in sent:
        tracker.segment(*one)
    assert tracker.streams.housekeeping.shared.grown < 2 * FLOW_COST
    assert connections(sent)[0].findings == []

"""A report does not depend on how bytes were cut into segments, on copies of segments, on their order on the way, or on
other connections in the same capture: only frames and times do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import MAIL, WHOLE, WRONG, at_random, connections, hello, lines, segments
from secret_dialogues import SCRIPTS
from strategies import dialogues

from smtpwire.analyzer.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts import Script, Segment

    from smtpwire.analyzer.model import Connection

PIPELINED: Script = [
    *hello("PIPELINING"),
    ("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"),
    *lines("S 250 ok", "S 550 no", "S 354 go"),
    ("C", "Subject: x\r\n\r\na\rb\0\n.\nc\r\n..\r\n.\r\n"),
    *lines("S 250-queued\r\n250 as 1", "C QUIT", "S 221 bye", "FS ", "FC "),
]
CHUNKED: Script = [
    *hello("CHUNKING"),
    *MAIL[:4],
    ("C", "BDAT 7\r\na: b\r\n\rBDAT 4 LAST\r\n\nc\xe9\n"),
    *lines("S 250 ok", "S 250 ok", "C QUIT", "S 221 bye", "FC ", "FS "),
]
KNOWN: dict[str, Script] = {"whole": WHOLE, "wrong": WRONG, "pipelined": PIPELINED, "chunked": CHUNKED, **SCRIPTS}
_PLACE = re.compile(r"frame [0-9]+|[0-9.]+ (?:ms|s|seconds?)\b")
_OF_SEGMENTS = {"CMD323", "MSG719"}  # these rules ask how the bytes were cut, and explain findings of others
_OTHERS = tuple(sorted(set(RULES) - _OF_SEGMENTS))


def essence(connection: Connection) -> Any:
    """Return the report without frames and times."""
    report = msgspec.to_builtins(connection)
    for name in ("id", "started", "ended", "client", "captures"):
        report.pop(name, None)
    report["findings"] = [
        (one["rule"], one["side"], one["certainty"], one["offset"], _PLACE.sub("", one["message"]))
        for one in report["findings"]
    ]
    for turn in [*report["dialogue"], *report["gaps"]]:
        turn.pop("frame", None)
        turn.pop("time", None)
    return report


def by_itself(connection: Connection) -> Any:
    """Return the essence without the finding that compares connections: an offer of STARTTLS that vanished."""
    connection.findings = [one for one in connection.findings if one.rule != "SEC633"]
    return essence(connection)


def report(sent: Sequence[Segment]) -> Any:
    """Return the essence of the only connection."""
    (connection,) = connections([one._replace(frame=n) for n, one in enumerate(sent, 1)], select=_OTHERS)
    return essence(connection)


def twice(sent: Sequence[Segment], places: set[int]) -> list[Segment]:
    """Return the segments with a copy right after those at ``places``."""
    return [copy for n, one in enumerate(sent) for copy in [one] * (1 + (n in places))]


def swapped(sent: Sequence[Segment], places: set[int]) -> list[Segment]:
    """Return the segments with those at ``places`` after the next one, which may come from the other side."""
    found, n = list(sent), 3
    while n + 1 < len(found):
        if n in places:
            times = found[n].time_ns, found[n + 1].time_ns
            found[n], found[n + 1] = (
                found[n + 1]._replace(time_ns=times[0]),
                found[n]._replace(time_ns=times[1]),
            )
            n += 1
        n += 1
    return found


def one_after_the_other(said: Sequence[Sequence[Segment]], turns: Sequence[int]) -> list[Segment]:
    """Return the segments of all connections in one capture. ``turns``: whose segment comes next, while it has any."""
    left = [list(one) for one in said]
    found: list[Segment] = []
    order = [*turns, *(n for n in range(len(left)) for _ in left[n])]
    for n in order:
        chosen = left[n % len(left)]
        if chosen:
            found.append(chosen.pop(0)._replace(frame=len(found) + 1))
    return found


# Without lost bytes: how many frames follow decides when a loss counts as proven, and so what it was.
complete = dialogues().map(lambda said: [one for one in said if one[0] not in {"GC", "GS"}])
scripts = st.sampled_from(list(KNOWN.values())) | complete
seeds = st.integers(0, 1 << 30)
places = st.sets(st.integers(3, 200), max_size=60)


@settings(deadline=None)
@given(scripts, seeds)
def test_the_borders_of_segments_change_nothing(script: Script, seed: int) -> None:
    assert report(segments(script, cut=at_random(seed))) == report(segments(script))


@settings(deadline=None)
@given(scripts, seeds, places)
def test_copies_of_segments_change_nothing(script: Script, seed: int, which: set[int]) -> None:
    sent = segments(script, cut=at_random(seed))
    assert report(twice(sent, which)) == report(segments(script))


@settings(deadline=None)
@given(scripts, seeds, places)
def test_segments_that_arrive_after_the_next_one_change_nothing(script: Script, seed: int, which: set[int]) -> None:
    sent = segments(script, cut=at_random(seed))
    assert report(swapped(sent, which)) == report(segments(script))


@settings(deadline=None)
@given(st.lists(scripts, min_size=2, max_size=4), seeds, st.lists(st.integers(0, 3), max_size=200))
def test_other_connections_in_the_capture_change_nothing(said: list[Script], seed: int, turns: list[int]) -> None:
    sent = [segments(one, cut=at_random(seed), client_port=40_000 + n) for n, one in enumerate(said)]
    mixed = connections(one_after_the_other(sent, turns), select=_OTHERS)
    alone = {one.client.port: by_itself(one) for part in sent for one in connections(part, select=_OTHERS)}
    assert {one.client.port: by_itself(one) for one in mixed} == alone


@pytest.mark.parametrize("name", KNOWN)
def test_all_of_it_at_once_changes_nothing(name: str) -> None:
    script = KNOWN[name]
    sent = segments(script, cut=at_random(7))
    every_third = set(range(3, len(sent), 3))
    other = segments(WRONG, client_port=50_000)
    mixed = connections(
        one_after_the_other([swapped(twice(sent, every_third), every_third), other], [0, 1] * 40), select=_OTHERS
    )
    (found,) = [one for one in mixed if one.client.port != 50_000]
    assert essence(found) == report(segments(script))

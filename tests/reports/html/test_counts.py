"""The counts of the page: nothing is lost for any time span, and memory is bounded."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from handmade import connection, finding
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.reports.host_counts import MAX_HOSTS
from smtpwire.analyzer.reports.html.charts import HEIGHT, span, stack, time_chart
from smtpwire.analyzer.reports.html.counts import MAX_SLOTS, NAMED_IDS, WIDTHS, PageCounts, Timeline

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Severity

SECOND = 1_000_000_000
# The years 1 to 9999, as nanoseconds since 1970.
TIMES = st.integers(-62_135_596_800 * SECOND, 253_402_300_799 * SECOND)


@given(st.lists(st.one_of(TIMES, st.integers(0, 10 * SECOND)), max_size=60))
def test_nothing_is_lost_for_any_time_span(times: list[int]) -> None:
    timeline = Timeline()
    for ns in times:
        timeline.connection(ns)
        timeline.finding(ns, "error")
    slots = timeline.slots()
    assert sum(slot.connections for slot in slots) == len(times)
    assert sum(slot.counts["error"] for slot in slots) == len(times)
    assert len(slots) <= MAX_SLOTS
    for ns in times:
        assert any(slot.start <= ns < slot.start + timeline.width and slot.connections for slot in slots)
    assert [slot.start for slot in slots] == sorted(slot.start for slot in slots)


def test_each_width_is_a_multiple_of_the_previous_one() -> None:
    assert not [after for before, after in pairwise(WIDTHS) if after % before]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.001, "1 millisecond"), (5, "5 seconds"), (600, "10 minutes"), (3 * 3600, "3 hours")]
)
def test_a_width_has_a_name(seconds: float, words: str) -> None:
    assert span(int(seconds * SECOND)) == words


def test_a_day_has_bars_of_about_a_quarter_of_an_hour() -> None:
    timeline = Timeline()
    for hour in range(24):
        timeline.finding(hour * 3600 * SECOND, "warning")
    chart = time_chart(timeline)
    assert chart is not None
    assert chart.each == "30 minutes"
    assert chart.first == "1970-01-01 00:00:00"


@given(st.lists(st.tuples(st.integers(0, 3600), st.sampled_from(["error", "warning", "info"])), min_size=2))
def test_bars_stay_inside_the_chart(found: list[tuple[int, Severity]]) -> None:
    timeline = Timeline()
    for second, severity in found:
        timeline.finding(second * SECOND, severity)
    chart = time_chart(timeline)
    if chart is None:
        assert len(timeline.slots()) < 2
        return
    for column in chart.columns:
        assert column.x >= -0.01
        assert column.x + column.width <= 100.01
        assert all(piece.start >= 0 and piece.start + piece.length <= HEIGHT + 2 for piece in column.pieces)


def test_a_single_moment_has_no_chart() -> None:
    timeline = Timeline()
    timeline.finding(5, "error")
    assert time_chart(timeline) is None
    assert time_chart(Timeline()) is None


def test_a_stack_stays_inside_its_bar_and_shows_the_smallest() -> None:
    pieces = stack({"error": 100_000, "warning": 1, "info": 1}, 100_002)
    assert [piece.severity for piece in pieces] == ["error", "warning", "info"]
    assert all(piece.start + piece.length <= 100.01 for piece in pieces)


def test_a_scan_of_a_whole_network_does_not_fill_memory() -> None:
    counted = PageCounts()
    for number in range(MAX_HOSTS + 500):
        one = connection(number, [])
        one.client = type(one.client)(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 40000)
        counted.connection(one)
    assert len(counted.by_host.hosts["client"]) == MAX_HOSTS
    assert counted.by_host.uncounted == {"client": 500, "server": 0}
    assert counted.by_host.hosts["server"]["2001:db8::2"].connections == MAX_HOSTS + 500


def test_a_rule_counts_findings_and_connections() -> None:
    counted = PageCounts()
    for number in range(1, 31):
        counted.connection(connection(number, [finding(), finding(), finding("CMD301", severity="warning")]))
    rule = counted.rules["SEQ101"]
    assert (rule.findings, rule.connections) == (60, 30)
    assert rule.ids == list(range(1, NAMED_IDS + 1))


def test_a_rule_of_two_severities_counts_as_the_worse() -> None:
    counted = PageCounts()
    counted.connection(
        connection(1, [finding(severity="info"), finding(severity="error"), finding(severity="warning")])
    )
    assert counted.rules["SEQ101"].severity == "error"

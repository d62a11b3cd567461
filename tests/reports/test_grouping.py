"""Folding shows each thing once and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handmade import connection, finding
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.reports.grouping import SHOWN_ALIKE, ConnectionGroup, FoldedFinding, alike, fold

if TYPE_CHECKING:
    from smtpwire.analyzer.model import Finding

findings = st.builds(
    finding,
    st.sampled_from(["SEQ101", "BIT201", "RPL408"]),
    message=st.sampled_from(["one", "two", "three", "four", "five"]),
    frame=st.integers(1, 9),
    caused_by=st.none() | st.integers(-1, 12),
)


def everything(folds: list[FoldedFinding]) -> list[Finding]:
    found = []
    for one in folds:
        found += [one.finding, *one.again, *everything(one.follows)]
    return found


@given(st.lists(findings, max_size=12))
def test_no_finding_is_lost_or_doubled(found: list[Finding]) -> None:
    assert sorted(map(id, everything(fold(found)))) == sorted(map(id, found))


def test_a_consequence_is_below_its_cause_at_any_depth() -> None:
    chain = [finding(), finding("SEQ120", caused_by=0), finding("SEQ103", caused_by=1), finding("BIT201")]
    root, other = fold(chain)
    assert root.finding.rule == "SEQ101"
    assert [one.finding.rule for one in root.follows] == ["SEQ120", "SEQ103"]
    assert other.finding.rule == "BIT201"


def test_a_chain_of_ten_thousand_is_no_problem() -> None:
    chain = [finding(message=str(n), caused_by=n - 1 if n else None, frame=n) for n in range(10_000)]
    (root,) = fold(chain)
    assert root.finding is chain[0]
    assert len(everything([root])) == 10_000


def test_equal_findings_are_counted_and_different_ones_shown() -> None:
    same = [finding("CMD301", message="FROB is no command", frame=n) for n in range(5)]
    different = [finding("BIT201", message=f"byte {n}", frame=10 + n) for n in range(10)]
    folds = fold([*same, *different])
    assert (folds[0].finding.rule, len(folds[0].again)) == ("CMD301", 4)
    assert len(folds) == 1 + SHOWN_ALIKE


def test_the_root_cause_comes_first_by_frame() -> None:
    folds = fold([finding("B", frame=9), finding("A", frame=3)])
    assert [one.finding.rule for one in folds] == ["A", "B"]


def test_connections_with_the_same_findings_are_alike_in_any_frames() -> None:
    first, second = connection(1, [finding(frame=6)]), connection(2, [finding(frame=60, evidence="MAIL FROM:<z@z>")])
    assert alike(first) == alike(second)
    assert alike(first) != alike(connection(3, [finding(side="server")]))
    assert alike(first) != alike(connection(4, [finding(), finding()]))


def test_a_group_counts_all_and_names_a_few() -> None:
    group = ConnectionGroup(connection(1))
    for number in range(2, 102):
        group.add(connection(number))
    assert group.count == 101
    assert group.ids == [2, 3, 4, 5, 6, 7]
    assert (group.clients, group.servers) == ({"192.0.2.1"}, {"2001:db8::2"})

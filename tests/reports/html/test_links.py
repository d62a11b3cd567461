"""Links of the page: in a page that leaves connections and turns out, each link still leads to something."""

from __future__ import annotations

import re

import pytest
from handmade import at, connection, finding, output, summary_of

from smtpwire.analyzer.model import CommandTurn, Connection, Finding, Turn
from smtpwire.analyzer.reports.html import HtmlWriter
from smtpwire.analyzer.reports.html.ladder import MAX_FINDINGS, ladder
from smtpwire.analyzer.reports.html.selection import MAX_CHOSEN


def written(*connections: Connection) -> str:
    out, stream = output()
    writer = HtmlWriter(out, "0.1.0")
    for one in connections:
        writer.connection(one)
    writer.finish(summary_of(*connections))
    return stream.getvalue().decode()


def dead_links(page: str) -> set[str]:
    return set(re.findall(r'href="#([^"]*)"', page)) - set(re.findall(r'\bid="([^"]*)"', page))


def long_connection(number: int, turns: int, findings: list[Finding]) -> Connection:
    dialogue: list[Turn] = [CommandTurn("client", "NOOP", None, "accept", n, at(0), n) for n in range(turns)]
    one = connection(number, findings)
    one.dialogue = dialogue
    return one


def test_a_page_with_thousands_of_connections_has_no_dead_link() -> None:
    rules = [f"SEQ{n:03}" for n in range(100, 160)]
    connections = [
        connection(number, [finding(rules[number % 60]), finding(rules[number % 59], caused_by=0, turn=2)])
        for number in range(1, 3001)
    ]
    page = written(*connections)
    assert page.count('<details class="connection"') == MAX_CHOSEN
    assert dead_links(page) == set()
    for rule in rules:
        (said,) = re.findall(rf'id="rule-{rule}">.*?(<p>Found in.*?</p>)', page, re.DOTALL)
        assert said.count('href="#c') >= 1


def test_connections_that_are_not_shown_are_named_without_a_link() -> None:
    worse = [connection(n, [finding("CMD301"), *(finding(f"BIT{x:03}") for x in range(n))]) for n in range(1, 301)]
    page = written(*worse, connection(900, [finding("SEQ101", severity="info")]))
    assert 'id="c900"' not in page
    assert re.search(r'id="rule-SEQ101">.*?Found in 1 connection:\s*<span class="id">#900</span>\.', page, re.DOTALL)
    assert dead_links(page) == set()


@pytest.mark.parametrize("turns", [50, 5000])
def test_a_cause_that_is_not_shown_has_no_link(turns: int) -> None:
    findings = [finding(turn=n) for n in range(25, turns, max(turns // 80, 1))]
    findings += [finding("SEQ120", turn=turns - 1, caused_by=n) for n in range(len(findings))][:MAX_FINDINGS]
    page = written(long_connection(1, turns, findings))
    assert "follows from" in page
    assert dead_links(page) == set()


def test_findings_at_turns_that_are_left_out_are_counted() -> None:
    findings = [finding(turn=n) for n in range(25, 5000, 60)]
    made = ladder(long_connection(1, 5000, findings))
    shown = sum(len(row.notes) for row in made.rows) + len(made.notes)
    assert 0 < shown < len(findings)
    assert made.more_findings == len(findings) - shown


def test_a_page_without_room_for_dialogues_has_no_dead_link() -> None:
    def many(number: int) -> Connection:
        findings = [finding(f"CMD{number:03}", turn=n) for n in range(5)]
        findings += [finding("SEQ120", turn=None, caused_by=n) for n in range(5)]
        return long_connection(number, 100, findings)

    page = written(*(many(number) for number in range(1, 151)))
    assert "The dialogue is omitted" in page
    assert "5 more findings of this connection not shown." in page
    assert dead_links(page) == set()

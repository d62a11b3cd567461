"""Suppressed findings: between certain hosts, and the causes of the findings that remain."""

from __future__ import annotations

from copy import copy
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from handmade import connection, finding

from smtpwire.analyzer.findings.suppress import Peer, Suppression, drop
from smtpwire.analyzer.model import LeftOut, Summary


def test_a_consequence_of_a_dropped_finding_gets_the_cause_of_that_finding() -> None:
    chain = [
        finding("SEQ101"),
        finding("SEQ102", caused_by=0),
        finding("SEQ103", caused_by=1),
        finding("SEQ104", caused_by=2),
    ]
    one = connection(1, chain)
    assert drop(one, lambda f: f.rule in {"SEQ102", "SEQ103"}) == 2
    assert [(f.rule, f.caused_by) for f in one.findings] == [("SEQ101", None), ("SEQ104", 0)]


def test_causes_move_when_findings_before_them_are_dropped() -> None:
    one = connection(1, [finding("BIT201"), finding("SEQ101"), finding("SEQ120", caused_by=1)])
    assert drop(one, lambda f: f.rule == "BIT201") == 1
    assert [(f.rule, f.caused_by) for f in one.findings] == [("SEQ101", None), ("SEQ120", 0)]


@pytest.mark.parametrize(
    ("client", "server", "fits"),
    [
        ("192.0.2.0/24", None, True),
        ("198.51.100.0/24", None, False),
        (None, "0.0.0.0/0", True),
        ("192.0.2.0/24", "198.51.100.0/24", False),
        ("::/0", None, False),
    ],
)
def test_both_endpoints_must_match(client: str | None, server: str | None, fits: bool) -> None:
    one = connection(1, [])
    one.client = type(one.client)("192.0.2.1", 43210)
    one.server = type(one.server)("192.0.2.2", 25)

    def network(text: str | None) -> IPv4Network | IPv6Network | None:
        return None if text is None else ip_network(text)

    assert Peer(network(client), network(server), frozenset({"SEQ101"})).fits(one) is fits


def test_a_known_code_is_not_a_finding() -> None:
    one = connection(1, [finding("RPL409", turn=4), finding("RPL409", turn=2), finding("RPL409", turn=None), finding()])
    unwanted = Suppression((), frozenset({503}), None, Summary()).unwanted(one, copy)
    assert [unwanted(f) for f in one.findings] == [True, False, False, False]


def test_what_is_left_out_is_counted_by_its_reason_and_rule() -> None:
    everywhere = Peer(ip_network("0.0.0.0/0"), None, frozenset({"SEQ101", "BIT201"}))
    summary = Summary()
    suppression = Suppression([everywhere], frozenset({503}), None, summary)
    for number in (1, 2):
        one = connection(number, [finding("SEQ101"), finding("RPL409", turn=4), finding("MSG701")])
        drop(one, suppression.unwanted(one, copy))
        suppression.settle()
        assert [f.rule for f in one.findings] == ["MSG701"]
    drop(connection(3, [finding("SEQ101")]), suppression.unwanted(connection(3, []), copy))
    suppression.settle(counts=False)  # a connection that is not shown
    assert summary.left_out == [
        LeftOut("per-peer", "client 0.0.0.0/0", "SEQ101", 2),
        LeftOut("known-codes", "", "RPL409", 2),
    ]
    assert summary.suppressed == 4

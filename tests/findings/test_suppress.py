"""Findings that are left out: between certain hosts, and what followed from them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from handmade import connection, finding

from smtpwire.analyzer.findings.suppress import Peer, agreed, drop


def test_what_follows_from_a_dropped_finding_keeps_its_own_cause() -> None:
    chain = [
        finding("SEQ101"),
        finding("SEQ102", caused_by=0),
        finding("SEQ103", caused_by=1),
        finding("SEQ104", caused_by=2),
    ]
    one = connection(1, chain)
    assert drop(one, lambda f: f.rule in {"SEQ102", "SEQ103"}) == 2
    assert [(f.rule, f.caused_by) for f in one.findings] == [("SEQ101", None), ("SEQ104", 0)]


def test_causes_move_with_what_is_dropped_before_them() -> None:
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
def test_both_ends_have_to_fit(client: str | None, server: str | None, fits: bool) -> None:
    one = connection(1, [])
    one.client = type(one.client)("192.0.2.1", 43210)
    one.server = type(one.server)("192.0.2.2", 25)

    def network(text: str | None) -> IPv4Network | IPv6Network | None:
        return None if text is None else ip_network(text)

    assert Peer(network(client), network(server), frozenset({"SEQ101"})).fits(one) is fits


def test_a_code_that_is_known_here_is_no_finding() -> None:
    one = connection(1, [finding("RPL409", turn=4), finding("RPL409", turn=2), finding("RPL409", turn=None), finding()])
    codes = frozenset({503})
    assert [agreed(f, one, codes) for f in one.findings] == [True, False, False, False]

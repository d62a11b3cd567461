"""The names of a connection in other tools."""

from __future__ import annotations

import pytest
from handmade import connection
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.model import Connection, Endpoint
from smtpwire.analyzer.reports.siem.identity import community_id, flow_id, uid


def between(client: str, client_port: int, server: str, server_port: int) -> Connection:
    one = connection()
    one.client, one.server = Endpoint(client, client_port), Endpoint(server, server_port)
    return one


def test_the_published_example() -> None:
    # https://github.com/corelight/community-id-spec: the first TCP flow of its baseline.
    there = between("128.232.110.120", 34855, "66.35.250.204", 80)
    back = between("66.35.250.204", 80, "128.232.110.120", 34855)
    assert community_id(there) == community_id(back) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
    assert community_id(there, seed=1) != community_id(there)


ports = st.integers(1, 65535)


@given(*[st.ip_addresses(v=4).map(str), ports] * 2)
def test_the_same_as_the_reference_implementation(client: str, port: int, server: str, server_port: int) -> None:
    reference = pytest.importorskip("communityid")
    tuple_ = reference.FlowTuple.make_tcp(client, server, port, server_port)
    assert community_id(between(client, port, server, server_port)) == reference.CommunityID().calc(tuple_)


@given(*[st.ip_addresses(v=6).map(str), ports] * 2)
def test_the_same_with_ipv6(client: str, port: int, server: str, server_port: int) -> None:
    reference = pytest.importorskip("communityid")
    tuple_ = reference.FlowTuple.make_tcp(client, server, port, server_port)
    assert community_id(between(client, port, server, server_port)) == reference.CommunityID().calc(tuple_)


def test_names_are_stable_and_different() -> None:
    one, other = between("192.0.2.1", 1, "192.0.2.2", 25), between("192.0.2.1", 2, "192.0.2.2", 25)
    assert uid(one) == uid(between("192.0.2.1", 1, "192.0.2.2", 25))
    assert len({uid(one), uid(other)}) == len({flow_id(one), flow_id(other)}) == 2
    assert 0 <= flow_id(one) < 1 << 51

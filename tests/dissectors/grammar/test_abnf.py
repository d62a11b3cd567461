"""The basic rules checked against independent sources: addresses and domains; and hostile text takes linear time."""

from __future__ import annotations

import ipaddress
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import address_literals, domains, local_parts

from smtpwire.dissectors.grammar import abnf


def full(pattern: bytes, data: bytes) -> bool:
    return re.fullmatch(pattern, data, re.DOTALL) is not None


@pytest.mark.parametrize(
    "domain", [b"localhost", b"x.example", b"a-b.c--d.e", b"192.0.2.1", b"1", b"caf\xc3\xa9.example"]
)
def test_domains(domain: bytes) -> None:
    assert full(abnf.DOMAIN, domain)


@pytest.mark.parametrize(
    "domain", [b"", b".", b"a.", b".a", b"a..b", b"-a", b"a-", b"a-.b", b"a.-b", b"a_b", b"a b", b"a\n"]
)
def test_invalid_domains(domain: bytes) -> None:
    assert not full(abnf.DOMAIN, domain)


@given(domains())
def test_generated_domains(domain: bytes) -> None:
    assert full(abnf.DOMAIN, domain)
    assert not full(abnf.DOMAIN, domain + b"-")


@given(st.ip_addresses(v=6).map(lambda address: (address.exploded, address.compressed)))
def test_every_ipv6_address_is_one(forms: tuple[str, str]) -> None:
    exploded, compressed = forms
    assert full(abnf.ADDRESS_LITERAL, f"[IPv6:{exploded}]".encode())
    if ipaddress.ip_address(compressed).exploded.split(":").count("0000") != 1:
        assert full(abnf.ADDRESS_LITERAL, f"[IPv6:{compressed}]".encode())


@given(
    st.lists(st.sampled_from(["", "1", "ab", "ffff", "12345", "g", "192.0.2.1", "1.2.3.256"]), max_size=10).map(
        ":".join
    )
)
def test_nothing_else_is_an_ipv6_address(text: str) -> None:
    if full(abnf.ADDRESS_LITERAL, f"[IPv6:{text}]".encode()):
        ipaddress.IPv6Address(text)


@given(address_literals())
def test_generated_address_literals(literal: bytes) -> None:
    assert full(abnf.ADDRESS_LITERAL, literal)


@pytest.mark.parametrize(
    "literal",
    [
        b"[192.0.2.300]",
        b"[192.0.2]",
        b"[192.0.2.1.5]",
        b"[2001:db8::1]",  # no tag
        b"[::1]",
        b"[IPv6:1::2::3]",
        b"[IPv6:1:2:3:4:5:6:7::]",  # "::" for one group only
        b"[IPv6:1:2:3:4:5::192.0.2.1]",
        b"[IPv6:fe80::1%eth0]",
        b"[]",
        b"[IPv6:]",
        b"[x-tag:]",
        b"192.0.2.1",
    ],
)
def test_invalid_address_literals(literal: bytes) -> None:
    assert not full(abnf.ADDRESS_LITERAL, literal)


@given(local_parts())
def test_generated_local_parts(local: bytes) -> None:
    assert full(abnf.LOCAL_PART, local)


@pytest.mark.parametrize(
    "local", [b"", b".a", b"a.", b"a..b", b"a b", b'"a', b'a"b"', b'"a"b"', b"a@b", b'"\0"', b"a,b"]
)
def test_invalid_local_parts(local: bytes) -> None:
    assert not full(abnf.LOCAL_PART, local)


@pytest.mark.parametrize("status", [b"2.0.0", b"4.7.1", b"5.999.999"])
def test_status_codes(status: bytes) -> None:
    assert full(abnf.EXTENDED_STATUS, status)


@pytest.mark.parametrize("status", [b"3.0.0", b"2.00.0", b"2.0.01", b"5.1", b"5.1.1.1", b"5.1000.1"])
def test_invalid_status_codes(status: bytes) -> None:
    assert not full(abnf.EXTENDED_STATUS, status)


@pytest.mark.parametrize("name", abnf.__all__)
@pytest.mark.parametrize(
    "unit", [b"a", b"a-", b"a.", b"-", b"1:", b"a@", b'"', b"\\", b'"\\"', b"+2B", b"=", b"AAAA", b","]
)
def test_atoms_take_linear_time(name: str, unit: bytes) -> None:
    fullmatch = re.compile(getattr(abnf, name), re.DOTALL).fullmatch
    for before in (b"", b"[IPv6:", b'"', b"TRANSID=<"):
        began = time.perf_counter()
        fullmatch(before + unit * 30_000 + b"\0")
        assert time.perf_counter() - began < 0.5  # a quadratic one takes minutes

"""Connections are chosen by what the report shows of them."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from ipaddress import ip_network
from typing import Any

import pytest
from handmade import connection, finding

from smtpwire.analyzer.commands.filter_options import wanted_connections
from smtpwire.analyzer.errors import UsageError
from smtpwire.analyzer.findings.filters import ConnectionFilter
from smtpwire.analyzer.model import Header

NAMES = ("connection", "host", "client", "server", "from", "to", "code", "verb", "rule", "text")
START = 1_767_323_040  # second of 2026-01-02T03:04:00Z, when the connections of these tests begin


def given(**options: Any) -> dict[str, Any]:
    """What click passes on, for options by their names."""
    times = {name: options.get(name) for name in ("since", "until")}
    words = {name.rstrip("_"): value for name, value in options.items() if name not in times}
    return times | {f"{name}_": (words[name],) if name in words else () for name in NAMES}


def matches(**options: Any) -> bool:
    """Whether the connection of `handmade`, number 3, is wanted."""
    wanted = wanted_connections(given(**options))
    assert wanted is not None
    one = connection(3, [finding("SEQ101")])
    one.messages[0].header = Header(from_="Ann <ann@Header.example>", to="list@header.example", cc="cc@header.example")
    return wanted.matches(one)


@pytest.mark.parametrize(
    "options",
    [
        *({"connection": "3"}, {"connection": "1,2-4"}, {"host": "192.0.2.1"}, {"host": "2001:db8::/32"}),
        *({"client": "192.0.2.0/24"}, {"server": "2001:db8::2"}, {"server": "[2001:db8::2]"}),
        *({"from_": "A@a.example"}, {"from_": "ann@header"}, {"to": "c@b.example"}, {"to": "cc@header.example"}),
        *({"code": "451,5"}, {"code": "503"}, {"code": "5yz"}, {"verb": "mail"}, {"verb": "MAIL FROM"}),
        *({"code": "2.1"}, {"code": "2.1.0"}, {"until": "2026-01-02T03:04:00Z"}, {"until": "9999-12-31"}),
        *({"until": "2026-01-02T03:04:00.000000000Z"}, {"since": "2026-01-02T03:04:00.098999999Z"}),
        *({"text": "503-already"}, {"since": "0001-01-01"}),
        *({"rule": "SEQ"}, {"rule": "SEQ101"}, {"rule": "mail-before-hello"}),
        *({"text": "from:<A@a"}, {"text": "503 already"}, {"text": "before any ehlo"}, {"text": "hello"}),
        *({"since": "2026-01-02"}, {"until": "2026-01-02"}, {"since": "2026-01-02 03:04", "until": "2026-01-02 03:05"}),
        {"since": "2026-01-02T04:04:00+01:00"},
        {"host": "192.0.2.1", "code": "5", "rule": "SEQ101"},
    ],
)
def test_what_the_connection_has_matches(options: dict[str, str]) -> None:
    assert matches(**options)


@pytest.mark.parametrize(
    "options",
    [
        *({"connection": "2"}, {"connection": "4-9"}, {"host": "192.0.2.2"}, {"client": "2001:db8::2"}),
        *({"code": "2.1.1"}, {"code": "2.10"}, {"until": "2026-01-02T03:03"}, {"since": "2026-01-02T03:04:00.1Z"}),
        *({"server": "192.0.2.1"}, {"from_": "b@b.example"}, {"to": "a@a.example"}, {"code": "451"}, {"code": "52"}),
        *({"verb": "DATA"}, {"rule": "BIT"}, {"text": "goodbye"}, {"since": "2026-01-03"}, {"until": "2026-01-01"}),
        {"since": "2026-01-02T04:05:00+01:00"},
        {"host": "192.0.2.1", "code": "451"},
    ],
)
def test_what_it_has_not_does_not(options: dict[str, str]) -> None:
    assert not matches(**options)


def test_without_options_every_connection_is_wanted() -> None:
    assert wanted_connections(given()) is None


def test_times_without_a_zone_are_in_the_zone_that_is_asked_for() -> None:
    later = timezone(timedelta(hours=1))
    for zone, hour in ((UTC, 3), (later, 4)):
        wanted = wanted_connections(given(since=f"2026-01-02 {hour:02}:04"), zone)
        assert wanted is not None
        assert wanted.since_ns == START * 1_000_000_000


def test_a_day_counts_to_its_end() -> None:
    wanted = wanted_connections(given(until="2026-01-02"))
    assert wanted is not None
    assert wanted.until_ns is not None
    assert wanted.until_ns + 1 == (START - 3 * 3600 - 4 * 60 + 86_400) * 1_000_000_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"connection": "x"}, "no number of a connection: --connection x"),
        ({"host": "mx.example"}, "no address or network: --host mx.example"),
        ({"code": "999999"}, "no reply code: --code 999999"),
        ({"rule": "NOPE"}, "no such rule"),
        ({"since": "yesterday"}, "no time: --since yesterday"),
        ({"verb": ","}, "nothing is named: --verb ','"),
        ({"text": ""}, "nothing is named: --text ''"),
    ],
)
def test_a_value_that_means_nothing_is_an_error_that_names_it(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        wanted_connections(given(**options))
    assert says in str(caught.value)


def test_header_fields_are_read_only_if_mailboxes_are_asked_for() -> None:
    assert ConnectionFilter(senders=("a@",)).needs_headers
    assert not ConnectionFilter(hosts=(ip_network("10.0.0.0/8"),)).needs_headers

"""The start of TLS in any division into segments and records: who said hello, the version, and fatal alerts."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpwire.analyzer.lines.tls_handshake import TLS13, Alert, TlsHandshake, begins_record


def record(kind: int, body: bytes) -> bytes:
    return bytes((kind, 3, 1)) + len(body).to_bytes(2, "big") + body


def hello(kind: int, version: int, extensions: bytes | None = None) -> bytes:
    body = version.to_bytes(2, "big") + bytes(range(32)) + b"\x04abcd\0\x2f\0"
    if extensions is not None:
        body += len(extensions).to_bytes(2, "big") + extensions
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


CLIENT = record(0x16, hello(1, 0x0303))
ALPN = b"\0\x10\0\x05\0\x03\x02h2"
TLS13_CHOSEN = b"\0\x2b\0\x02\x03\x04"


def taken(*sent: tuple[Literal["client", "server"], bytes], size: int = 10_000) -> TlsHandshake:
    one = TlsHandshake()
    offsets: dict[str, int] = {"client": 0, "server": 0}
    for frame, (side, data) in enumerate(sent, 1):
        for at in range(0, len(data), size):
            one.take(side, data[at : at + size], offsets[side] + at, frame, frame * 1000)
        offsets[side] += len(data)
    return one


SIZES = pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])


@SIZES
@pytest.mark.parametrize(
    ("message", "version"),
    [
        (hello(2, 0x0300), 0x0300),
        (hello(2, 0x0301, b""), 0x0301),
        (hello(2, 0x0302, ALPN), 0x0302),
        (hello(2, 0x0303, ALPN), 0x0303),
        (hello(2, 0x0303, ALPN + TLS13_CHOSEN), TLS13),
        (hello(2, 0x0301, TLS13_CHOSEN), TLS13),
        (hello(11, 0x0301), None),
        (b"\x02\0\0\x01\x03", None),
        pytest.param(b"\x02\0\0\x0a\x03\x03" + bytes(60), None, id="too short for a session id"),
        pytest.param(b"\x02\0\0\x28\x03\x01" + b"\xff" * 60, None, id="a session id beyond the end"),
    ],
)
def test_the_version_that_the_server_chose(message: bytes, version: int | None, size: int) -> None:
    one = taken(("client", CLIENT), ("server", record(0x16, message)), size=size)
    assert (one.client_hello, one.server_hello, one.version, one.over) == (True, True, version, False)
    assert one.chosen_at == (0, 2, 2000)


@SIZES
def test_a_hello_divided_over_records(size: int) -> None:
    message = hello(2, 0x0302, ALPN)
    parts = b"".join(record(0x16, message[at : at + 1]) for at in range(len(message)))
    assert taken(("client", CLIENT), ("server", parts), size=size).version == 0x0302


@SIZES
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_fatal_alert(side: Literal["client", "server"], size: int) -> None:
    start: list[tuple[Literal["client", "server"], bytes]] = [
        ("client", CLIENT),
        ("server", record(0x16, hello(2, 0x0303))),
    ]
    one = taken(*start, (side, record(0x14, b"\x01") + record(0x15, b"\x02\x30")), size=size)
    before = len(start[0][1] if side == "client" else start[1][1])
    assert one.over
    assert one.alert is not None
    assert one.alert == Alert(one.alert.side, 48, before + 6, 3, 3000)
    assert one.alert.side == side


@SIZES
@pytest.mark.parametrize(
    ("body", "over"), [(b"\x01\x00", True), (b"\x02\x00", True), (b"\x01\x5a", False), (bytes(24), False)]
)
def test_other_alerts(body: bytes, over: bool, size: int) -> None:
    one = taken(("client", CLIENT), ("server", record(0x15, body)), size=size)
    assert (one.alert, one.over) == (None, over)


@pytest.mark.parametrize("after", [record(0x17, b"secret"), b"500 what\r\n"])
def test_what_ends_the_part_in_the_clear(after: bytes) -> None:
    one = taken(("client", CLIENT), ("server", after), ("server", record(0x15, b"\x02\x28")))
    assert one.over
    assert one.alert is None


@SIZES
def test_a_hello_in_the_form_of_ssl_2(size: int) -> None:
    one = taken(("client", b"\x80\x1c\x01\x03\x01" + bytes(25)), ("server", record(0x15, b"\x02\x46")), size=size)
    assert one.client_hello
    assert one.alert is not None


@given(
    st.lists(
        st.builds(
            lambda kind, length, body: record(kind, bytes((2, 0, 0, length)) + body),
            st.sampled_from([0x14, 0x15, 0x16, 0x16, 0x16, 0x17]),
            st.integers(0, 90),
            st.binary(max_size=8) | st.binary(min_size=35, max_size=80),
        )
        | st.binary(max_size=12),
        max_size=4,
    ).map(b"".join),
    st.integers(1, 9),
)
def test_any_octets_are_read_alike_in_any_division(data: bytes, size: int) -> None:
    whole, divided = taken(("client", CLIENT), ("server", data)), taken(("client", CLIENT), ("server", data), size=size)
    assert (whole.version, whole.over, whole.alert) == (divided.version, divided.over, divided.alert)


def test_an_endless_hello_is_not_kept() -> None:
    one = taken(("client", CLIENT), ("server", record(0x16, b"\x02\xff\xff\xff" + bytes(60_000)) * 20), size=5000)
    assert one.version is None


@pytest.mark.parametrize(
    ("data", "expected"), [(b"\x14\x03", True), (b"\x17\x03", True), (b"\x18\x03", False), (b"\x16\x04", False)]
)
def test_the_first_octets_of_a_record(data: bytes, expected: bool) -> None:
    assert begins_record(data) is expected
    assert begins_record(b"x" + data, 1) is expected

"""The server of the metrics: what anybody who can connect may send, and what it costs."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smtpwire.analyzer.live import metrics_server
from smtpwire.analyzer.live.metrics_server import CONNECTIONS, REQUEST_BYTES, MetricsServer, listening
from smtpwire.analyzer.live.syslog_sink import NumericAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = b"smtpwire_frames_total 5\n"


class Served:
    def __init__(self, host: str = "127.0.0.1") -> None:
        self.made = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        address = NumericAddress(host, self.port, "mx.example")
        self.server = MetricsServer(listening(address), address, self.page)

    def page(self) -> tuple[str, bytes]:
        self.made += 1
        return "text/plain", PAGE

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, request: bytes) -> bytes:
        with self.connect() as one:
            one.sendall(request)
            return received(one)

    def get(self, host: bytes = b"localhost") -> bytes:
        return self.ask(b"GET /metrics HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")


def descriptors() -> int:
    """Return how many this process has; 0 if the system does not say."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0


def received(one: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := one.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.server.close()


def test_it_answers_and_closes(served: Served) -> None:
    head, _, body = served.get().partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Length: %d" % len(PAGE) in head
    assert b"Connection: close" in head
    assert body == PAGE


def test_a_request_in_pieces_is_a_request(served: Served) -> None:
    with served.connect() as one:
        for piece in (b"GET / HT", b"TP/1.0\r\n", b"A: b\r\n", b"\r\n"):
            one.sendall(piece)
            time.sleep(0.02)
        assert received(one).endswith(PAGE)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b"421"),
        (b"HEAD / HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /metrics?name[]=x HTTP/1.1\r\n\r\n", b"200"),
    ],
)
def test_other_requests_have_a_short_answer(served: Served, request_: bytes, status: bytes) -> None:
    answer = served.ask(request_)
    assert answer.split(b" ")[1] == status
    assert answer.endswith(PAGE) is (status == b"200" and request_.startswith(b"GET"))


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:9187", b"127.0.0.1", b"127.0.0.1:1", b"[::1]:9187"])
def test_a_browser_is_answered_under_names_that_need_no_dns(served: Served, host: bytes) -> None:
    assert served.get(host).endswith(PAGE)


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"evil.example:9187", b"127.0.0.1.evil.example", b"localhost.evil.example", b"[evil]", b""],
)
def test_a_name_that_was_made_to_lead_here_is_refused(served: Served, host: bytes) -> None:
    """DNS rebinding: the page of another site, which the browser believes to be of this name."""
    assert served.get(host).startswith(b"HTTP/1.1 421 ")


def test_on_other_addresses_every_name_is_served() -> None:
    one = Served("0.0.0.0")
    try:
        assert one.get(b"mail.example").endswith(PAGE)
    finally:
        one.server.close()


def test_header_fields_without_end_are_refused(served: Served) -> None:
    with served.connect() as one:
        sent = 0
        one.sendall(b"GET / HTTP/1.1\r\n")
        try:
            while sent < 50 * REQUEST_BYTES:
                sent += one.send(b"X: " + b"a" * 1000 + b"\r\n")
                time.sleep(0.001)
        except OSError:
            pass
        assert sent < 50 * REQUEST_BYTES
    assert served.get().endswith(PAGE)


@pytest.mark.slow
def test_thousands_of_silent_connections_keep_nobody_out(served: Served) -> None:
    threads, before = threading.active_count(), descriptors()
    silent = []
    for _ in range(20 * CONNECTIONS):
        silent.append(served.connect())
        if len(silent) > CONNECTIONS:
            silent.pop(0).close()  # only the server has a bound to prove
    started = time.monotonic()
    assert served.get().endswith(PAGE)
    assert time.monotonic() - started < 2
    assert threading.active_count() == threads
    assert descriptors() <= before + 2 * CONNECTIONS + 10
    for one in silent:
        one.close()


def test_a_silent_connection_is_closed_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "SECONDS", 0.2)
    served = Served()
    try:
        with served.connect() as one:
            one.sendall(b"GET / HT")
            started = time.monotonic()
            assert received(one) == b""
            assert time.monotonic() - started < 5
    finally:
        served.server.close()


def test_a_flood_of_requests_makes_few_pages(served: Served) -> None:
    started = time.monotonic()
    for _ in range(100):
        assert served.get().endswith(PAGE)
    assert served.made <= 2 + (time.monotonic() - started)


def test_a_port_in_use_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match="in use"):
        listening(NumericAddress("127.0.0.1", served.port))


def test_the_name_that_the_user_gave_is_no_name_of_a_web_site(served: Served) -> None:
    assert served.get(b"mx.example:9187").endswith(PAGE)
    assert b"421" in served.get(b"other.example")

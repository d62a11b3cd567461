"""A small HTTP server for one page: whoever can reach the port may send anything, and must cost next to nothing."""

# Theory
# ------
# A scraper connects, sends a request of some hundred bytes, and reads the answer. So one thread with non-blocking
# sockets serves all of them. A request has a bound in bytes and in time; a new connection takes the place of the oldest
# one if there are too many, so thousands that send nothing keep nobody out. The page is made once a second at most.
#
# A server on a loopback address is for programs of this machine. A browser of this machine would also fetch the page
# for a web site whose name was made to lead here (DNS rebinding). The browser sends the name of that site as Host, so a
# Host that is neither an address nor localhost is refused there.

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .syslog_sink import NumericAddress

__all__ = ["MetricsServer", "listening"]

CONNECTIONS = 64  # at the same time; a scraper has one
REQUEST_BYTES = 8192  # of the request with its header fields; Prometheus sends some 300
SECONDS = 5.0  # for the request and its answer
_WAITING = 1024  # connections that the kernel keeps for us; it delays others by a second
_FRESH_SECONDS = 1.0  # a page that is not older is sent again
_PATHS = {b"/", b"/metrics"}
_NOTHING = b""


class _Client:
    """One connection."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self.sock = sock
        self.until = until
        self.request = bytearray()
        self.answer = memoryview(_NOTHING)


def listening(address: NumericAddress) -> socket.socket:
    """Return a socket that listens at ``address``. Raises OSError if that is not possible."""
    listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_WAITING)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class MetricsServer:
    """Serves ``page()``, which returns the kind of content and the content, to those who connect to ``listener``. It
    listens at ``address``, and is closed with the server."""

    def __init__(self, listener: socket.socket, address: NumericAddress, page: Callable[[], tuple[str, bytes]]) -> None:
        self._page = page
        self._made_at = -_FRESH_SECONDS
        self._made = "", _NOTHING
        self._local = ip_address(address.host).is_loopback
        self._name = address.name
        self._clients: dict[socket.socket, _Client] = {}  # the oldest one first
        self._listener = listener
        self._stopped, self._stop = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop to serve."""
        self._stop.close()
        self._thread.join()
        self._selector.close()
        for one in (*self._clients, self._listener, self._stopped):
            one.close()

    def _serve(self) -> None:
        while True:
            oldest = next(iter(self._clients.values()), None)
            timeout = None if oldest is None else max(0.0, oldest.until - monotonic())
            for key, _ in self._selector.select(timeout):
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._listener:
                    for _ in range(CONNECTIONS):  # then those that are open get their turn
                        if not self._accept():
                            break
                elif (client := self._clients.get(key.fileobj)) is not None:  # type: ignore[call-overload]  # a socket
                    self._go_on(client)
            now = monotonic()
            for client in [one for one in self._clients.values() if one.until <= now]:
                self._drop(client)

    def _accept(self) -> bool:
        """Take a new connection; return whether there was one."""
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError:  # it has gone already; or there are no descriptors left, and one more is needed
            if oldest := next(iter(self._clients.values()), None):
                self._drop(oldest)
            return False
        sock.setblocking(False)
        if len(self._clients) >= CONNECTIONS:
            self._drop(next(iter(self._clients.values())))
        client = self._clients[sock] = _Client(sock, monotonic() + SECONDS)
        self._selector.register(sock, selectors.EVENT_READ)
        self._go_on(client)
        return True

    def _drop(self, client: _Client) -> None:
        del self._clients[client.sock]
        self._selector.unregister(client.sock)
        client.sock.close()

    def _go_on(self, client: _Client) -> None:
        """Read or write what is possible now."""
        try:
            if not client.answer:
                self._read(client)
            if client.answer:
                client.answer = client.answer[client.sock.send(client.answer) :]
                if not client.answer:
                    with suppress(OSError):
                        client.sock.shutdown(socket.SHUT_WR)
                    self._drop(client)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)

    def _read(self, client: _Client) -> None:
        data = client.sock.recv(REQUEST_BYTES)
        client.request += data
        head, end, _ = bytes(client.request).partition(b"\r\n\r\n")
        if end or len(client.request) > REQUEST_BYTES:
            client.answer = memoryview(self._answer(head) if end else _response("431 Request Header Fields Too Large"))
            self._selector.modify(client.sock, selectors.EVENT_WRITE)
        elif not data:
            raise ConnectionResetError

    def _answer(self, head: bytes) -> bytes:
        first, *fields = head.split(b"\r\n")
        words = first.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _response("400 Bad Request")
        hosts = [
            value.strip() for name, _, value in (field.partition(b":") for field in fields) if name.lower() == b"host"
        ]
        if len(hosts) > 1 or (self._local and hosts and not self._is_ours(hosts[0])):
            return _response("421 Misdirected Request")
        if words[0] not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed", ("Allow: GET, HEAD",))
        if words[1].partition(b"?")[0] not in _PATHS:
            return _response("404 Not Found")
        now = monotonic()
        if now - self._made_at >= _FRESH_SECONDS:
            self._made, self._made_at = self._page(), now
        kind, body = self._made
        return _response("200 OK", (f"Content-Type: {kind}",), body, head=words[0] == b"HEAD")

    def _is_ours(self, host: bytes) -> bool:
        """Whether a Host field names this machine by an address, as localhost, or by the name that the user gave: no
        web site has chosen it."""
        name = host.decode("latin-1").lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if name and name in {"localhost", self._name}:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _response(status: str, fields: tuple[str, ...] = (), body: bytes = _NOTHING, *, head: bool = False) -> bytes:
    lines = (f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "Connection: close", "", "")
    return "\r\n".join(lines).encode("ascii") + (_NOTHING if head else body)

"""Follow the start of TLS as far as it is in the clear: who said hello, which version was chosen, and fatal alerts."""

# Theory
# ------
# Each record has five octets of header: type, version, length (RFC 8446 §5.1, RFC 5246 §6.2.1). Handshake messages may
# be divided over records in any way, and records over segments. Only the server's first message, the ServerHello, is
# kept, because it has the version. Alerts have two octets if they are not encrypted. The first record with application
# data ends the part that is in the clear; in TLS 1.3 that is the server's next message.

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["HANDSHAKE", "RECORD_TYPES", "SSL2", "TLS13", "Alert", "TlsHandshake", "begins_record"]

TLS13 = 0x0304
RECORD_TYPES = range(0x14, 0x18)  # the first octets of records (RFC 8446 §5.1)
_CHANGE_CIPHER, _ALERT, HANDSHAKE, _DATA = RECORD_TYPES
SSL2 = 0x80  # the first octet of a hello in the form of SSL 2
_HEADER = 5
_FATAL = 2
_CLOSE_NOTIFY = 0
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_SESSION_ID = 2 + 32 + 1  # octets before the session id: version, random, the length of the id (RFC 5246 §7.4.1.3)
_SUPPORTED_VERSIONS = 0x002B  # RFC 8446 §4.2.1
_MOST = 2048  # octets of the ServerHello that are kept; it has some hundred

Side = Literal["client", "server"]


def begins_record(data: bytes, at: int = 0) -> bool:
    """Return whether a TLS record begins at ``at``: a type that exists, and the major version 3."""
    return data[at] in RECORD_TYPES and data[at + 1 : at + 2] == b"\x03"


class Alert(NamedTuple):
    """A fatal alert in the clear: who sent it, its description, and where its record begins."""

    side: Side
    description: int
    offset: int
    frame: int
    time_ns: int


class _Records:
    """Cuts the bytes of one side into records."""

    __slots__ = ("frame", "header", "left", "offset", "time_ns")

    def __init__(self) -> None:
        self.header = b""
        self.left = 0  # octets of the current record that have not come
        self.offset = self.frame = self.time_ns = 0  # where the current record begins


class TlsHandshake:
    """Both sides of a handshake. ``over``: nothing more can be read from it. ``version``: the version that the server
    chose, None until that is known. ``chosen_at``: offset, frame and time of that."""

    __slots__ = ("_client", "_hello", "_part", "_server", "alert", "chosen_at", "client_hello", "over", "version")

    def __init__(self) -> None:
        self._client = _Records()
        self._server = _Records()
        self._hello = b""  # the server's handshake messages so far
        self._part = b""  # the octets so far of an alert that is divided
        self.client_hello = False
        self.over = False
        self.version: int | None = None
        self.chosen_at = (0, 0, 0)
        self.alert: Alert | None = None

    @property
    def server_hello(self) -> bool:
        """Whether a part of the server's hello has come."""
        return bool(self._hello)

    def take(self, side: Side, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Take the next bytes of ``side``."""
        one = self._client if side == "client" else self._server
        while data and not self.over:
            if not one.left:
                if not one.header:
                    one.offset, one.frame, one.time_ns = offset, frame, time_ns
                used = self._take_header(side, one, data)
            else:
                used = min(one.left, len(data))
                self._take_body(side, one, data[:used])
                one.left -= used
                if not one.left:
                    one.header = b""
            data = data[used:]
            offset += used

    def _take_header(self, side: Side, one: _Records, data: bytes) -> int:
        known = len(one.header)
        one.header += data[: _HEADER - known]
        first = one.header[0]
        if first == SSL2 and side == "client" and not self.client_hello:
            if len(one.header) > 1:
                used = 2 - known
                one.left, self.client_hello = one.header[1] or 1, True
                return used
            return len(one.header) - known
        if first not in RECORD_TYPES or first == _DATA:
            self.over = True
        elif len(one.header) == _HEADER:
            one.left = int.from_bytes(one.header[3:], "big")
            self._part = b""
            if not one.left:
                one.header = b""
        return min(_HEADER - known, len(data))

    def _take_body(self, side: Side, one: _Records, data: bytes) -> None:
        if one.header[0] == _ALERT:
            self._take_alert(side, one, data)
        elif one.header[0] != HANDSHAKE:
            return
        elif side == "client":
            self.client_hello = self.client_hello or data[0] == _CLIENT_HELLO
        elif self.version is None and len(self._hello) < _MOST:
            if not self._hello:
                self.chosen_at = one.offset, one.frame, one.time_ns
            self._hello += data
            self.version = _chosen_version(self._hello)

    def _take_alert(self, side: Side, one: _Records, data: bytes) -> None:
        if int.from_bytes(one.header[3:], "big") != 2:
            return  # encrypted
        self._part += data
        if len(self._part) == 2:
            level, description = self._part
            if level == _FATAL and description != _CLOSE_NOTIFY:
                self.alert = Alert(side, description, one.offset, one.frame, one.time_ns)
            self.over = level == _FATAL or description == _CLOSE_NOTIFY


def _chosen_version(message: bytes) -> int | None:
    """Return the version in a ServerHello, None if it has not come as a whole or is something else, or if its length
    has no room for its fields."""
    if message[0] != _SERVER_HELLO:
        return None
    length = int.from_bytes(message[1:4], "big")
    if length < _SESSION_ID or len(message) < 4 + length:
        return None
    body = message[4 : 4 + length]
    at = _SESSION_ID + body[_SESSION_ID - 1] + 3  # session id, cipher suite, compression
    if at > length:
        return None
    at += 2  # the length of the extensions
    while at + 4 <= len(body):
        kind, size = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
        if kind == _SUPPORTED_VERSIONS:
            return TLS13
        at += 4 + size
    return int.from_bytes(body[:2], "big")

"""Findings as syslog messages (RFC 5424), to the local daemon or over the network."""

# An audit must not wait for a log server. Datagrams are sent or lost; for a stream there is a buffer, and messages that
# do not fit are dropped and counted. There are no name lookups: a server is given by its address.

from __future__ import annotations

import os
import socket
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError, display_path
from ..files.folders import check_not_planted
from ..reports.text import address
from .sinks import Sink

if TYPE_CHECKING:
    from ..model import Connection, Finding, Summary
    from .sinks import Totals

__all__ = ["NumericAddress", "SyslogSink", "parse_address"]

_FACILITY = 2 << 3  # mail system
_SEVERITIES = {"error": 3, "warning": 4, "info": 6}
_NOTICE = 5
_BUFFERED = 1 << 20  # bytes: a few thousand messages
_LONGEST = 2048  # bytes of a message that every receiver should accept (RFC 5424 §6.1)
_RETRY_SECONDS = 5.0


class NumericAddress(NamedTuple):
    """An address that needs no lookup, and a port. ``name``: what it was looked up by."""

    host: str
    port: int
    name: str = ""


def parse_address(text: str, option: str) -> NumericAddress:
    """Parse ``192.0.2.1:514``, ``[2001:db8::1]:514`` or ``loghost:514``; ``localhost`` is 127.0.0.1. A name is looked
    up now: later this process may not be allowed to. Raises UsageError for anything else."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    host = "127.0.0.1" if host in {"", "localhost"} else host
    where = f"{option} {display_path(text)}"
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise UsageError("invalid address", where, "write 127.0.0.1:PORT, [::1]:PORT or NAME:PORT")
    with suppress(ValueError):
        return NumericAddress(str(ip_address(host)), int(port))
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a name"
        raise UsageError(f"no address ({reason})", where, "name an address: 127.0.0.1:PORT or [::1]:PORT") from None
    return NumericAddress(str(found[0][4][0]), int(port), host.lower())


class SyslogSink(Sink):
    """Sends to ``target``: the path of a local socket, ``udp:ADDRESS:PORT`` or ``tcp:ADDRESS:PORT``."""

    def __init__(self, target: str) -> None:
        kind, colon, rest = target.partition(":")
        self._target: str | NumericAddress
        if colon and kind in {"udp", "tcp"}:
            self._target = parse_address(rest, "--syslog")
            self._stream = kind == "tcp"
        elif target.startswith("/"):
            self._target, self._stream = target, False
        else:
            hint = "name /dev/log, udp:ADDRESS:PORT or tcp:ADDRESS:PORT"
            raise UsageError("invalid syslog target", f"--syslog {display_path(target)}", hint)
        self._head = f"{socket.gethostname() or '-'} smtpwire {os.getpid()}"
        self._socket: socket.socket | None = None
        self._retry_at = 0.0
        self._waiting = bytearray()
        self.lost = 0

    def open(self) -> None:
        """Connect. Raises UsageError if no server listens."""
        try:
            self._connect()
        except OSError as error:
            self._close()
            target = self._target if isinstance(self._target, str) else "{}:{}".format(*self._target)
            raise UsageError(
                f"no syslog ({error.strerror})", display_path(target), "does a syslog server listen there?"
            ) from error

    def close(self) -> None:
        """Send what is still in the buffer, for up to a second."""
        if self._socket is not None:
            self._socket.settimeout(1.0)
            self._push()
            if self._socket is not None:
                self._socket.close()

    def finding(self, finding: Finding, connection: Connection) -> None:
        """Send one message; its MSGID is the rule."""
        words = {
            "rule": finding.rule,
            "name": finding.name,
            "severity": finding.severity,
            "side": finding.side,
            "certainty": finding.certainty,
            "client": address(connection.client),
            "server": address(connection.server),
            "connection": str(connection.id),
            "frame": str(finding.frame),
        }
        text = " ".join(f"{name}={value}" for name, value in words.items())
        text += f" message={_quoted(finding.message)} evidence={_quoted(finding.evidence)}"
        self._send(_SEVERITIES[finding.severity], finding.time, finding.rule, text)

    def notice(self, text: str) -> None:
        """Send one message."""
        self._send(_NOTICE, "-", "capture", text)

    def tick(self, totals: Totals) -> None:
        """Send what is still in the buffer."""
        self._push()

    def finish(self, summary: Summary) -> None:
        """Send the counts of the run."""
        found = " ".join(f"{severity}={count}" for severity, count in summary.findings.items())
        text = f"connections={summary.connections} messages={summary.messages} {found} lost={self.lost}"
        self._send(_NOTICE, "-", "summary", text)

    def _send(self, severity: int, time: str, kind: str, text: str) -> None:
        # RFC 5424 §6.2.3: at most six decimals
        stamp = f"{time[:26].rstrip('Z')}Z" if len(time) > 27 else time
        line = f"<{_FACILITY + severity}>1 {stamp} {self._head} {kind} - {text}".encode()[:_LONGEST]
        if self._stream:
            line = b"%d %b" % (len(line), line)  # RFC 6587 §3.4.1
            if len(self._waiting) + len(line) > _BUFFERED:
                self.lost += 1
                return
            self._waiting += line
            self._push()
            return
        if not self._connected():
            self.lost += 1
            return
        assert self._socket is not None
        try:
            self._socket.send(line)
        except BlockingIOError:
            self.lost += 1
        except OSError:
            self.lost += 1
            self._close()

    def _push(self) -> None:
        if not (self._waiting and self._connected()):
            return
        assert self._socket is not None
        try:
            while self._waiting:
                del self._waiting[: self._socket.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()  # a partial message would damage the following ones
            self.lost += 1
            self._close()

    def _connected(self) -> bool:
        """Whether there is a connection; a broken one is opened again after _RETRY_SECONDS."""
        if self._socket is None and monotonic() >= self._retry_at:
            try:
                self._connect()
            except OSError:
                self._close()
        return self._socket is not None

    def _connect(self) -> None:
        if isinstance(self._target, str):
            check_not_planted(self._target, "socket")
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.connect(self._target)
        else:
            family = socket.AF_INET6 if ":" in self._target.host else socket.AF_INET
            kind = socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM
            self._socket = socket.socket(family, kind)
            self._socket.settimeout(1.0)
            self._socket.connect(self._target[:2])
        self._socket.setblocking(False)

    def _close(self) -> None:
        self._retry_at = monotonic() + _RETRY_SECONDS
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

"""Split the bytes of a connection, using both sides, into commands, replies, mail data, AUTH responses and TLS."""

# Theory
# ------
# Scapy's TCPSession passes the bytes that one side has sent since the last packet was returned, in the order of the
# capture. To distinguish mail data from commands, `LayerFlow` pairs replies with commands in order, and so knows when
# 354, 334 and 220 start another mode. After DATA, mail data is presumed at once, because with only one side captured no
# reply ever comes; a refusal reverses the presumption.
#
# This code is for dissection in Scapy. It does not judge, does not handle gaps, and follows only normal traffic. The
# audit has its own conversation for everything else.

from __future__ import annotations

import re
from collections import OrderedDict, deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from ..lines.commands import parse_command

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["TLS_RECORD", "LayerFlow", "LayerFlows", "PieceKind", "line_end", "reply_end"]

LINE_LIMIT = 65_536
"""Bytes without a line end after which a command or reply is returned incomplete; like the audit's ``line_bytes``."""

MESSAGE_LIMIT = 1 << 20
"""Bytes of mail data held back until its end; longer mail data is returned in pieces. TCPSession copies all held bytes
at each segment, so ten times the limit would take a hundred times as long."""

OUTSTANDING_LIMIT = 10_000
"""Commands remembered while they wait for a reply, as in the audit."""

FLOWS_LIMIT = 1024
"""Connections remembered in one session of Scapy's TCPSession; normally there is one."""

# RFC 8446 §5.1: type (20 to 23), then a version that starts with 3; RFC 5246 §6.2.1 is the same.
TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]").match

# RFC 5321 §4.2.1: "-" follows the code on every line except the last. Any other line ends a reply too.
_whole_reply = re.compile(rb"(?:[0-9]{3}-[^\n]*+\n)*(?![0-9]{3}-)[^\n]*+\n").match


class PieceKind(Enum):
    """The kind of a piece of the stream. MESSAGE includes its end mark; PIECE is mail data or a chunk without one."""

    COMMAND = auto()
    REPLY = auto()
    MESSAGE = auto()
    PIECE = auto()
    AUTH = auto()
    OPAQUE = auto()


def line_end(data: bytes, at: int = 0) -> tuple[int, bytes]:
    """Return the offset after the line at ``at``, and its line end: CRLF, LF, or nothing at the end of ``data``."""
    feed = data.find(b"\n", at)
    if feed < 0:
        return len(data), b""
    return feed + 1, b"\r\n" if feed > at and data[feed - 1] == 0x0D else b"\n"


def reply_end(data: bytes, at: int = 0) -> int:
    """Return the offset after the reply at ``at``; 0 if it is incomplete."""
    match = _whole_reply(data, at)
    return 0 if match is None else match.end()


class _Mode(Enum):
    COMMAND = auto()
    DATA = auto()
    AUTH = auto()
    TLS = auto()


class LayerFlow:
    """One connection: ``read`` takes the bytes that a side has sent so far and returns the complete pieces."""

    __slots__ = ("_chunk", "_greeted", "_mode", "_outstanding")

    def __init__(self) -> None:
        self._mode = _Mode.COMMAND
        self._greeted = False  # whether any reply has been seen
        self._chunk = 0  # octets that BDAT announced and that have not come yet
        self._outstanding: deque[str | None] = deque(maxlen=OUTSTANDING_LIMIT)

    def read(self, data: bytes, *, server: bool, over: bool = False) -> tuple[list[tuple[PieceKind, bytes]], int]:
        """Return the pieces in order and their total length; the remaining bytes must be passed again with the next
        ones.

        ``over``: no more bytes follow.
        """
        step = self._server if server else self._client
        pieces: list[tuple[PieceKind, bytes]] = []
        at = 0
        while at < len(data):
            kind, stop = step(data, at, over)
            if stop <= at:
                break
            pieces.append((kind, data[at:stop]))
            at = stop
        return pieces, at

    def _client(self, data: bytes, at: int, over: bool) -> tuple[PieceKind, int]:
        left = len(data) - at
        if self._mode is _Mode.COMMAND and not self._chunk and TLS_RECORD(data, at):
            self._mode = _Mode.TLS
        if self._mode is _Mode.TLS:
            return PieceKind.OPAQUE, len(data)
        if self._chunk:
            if left < min(self._chunk, MESSAGE_LIMIT) and not over:
                return PieceKind.PIECE, at
            taken = min(left, self._chunk)
            self._chunk -= taken
            return PieceKind.PIECE, at + taken
        if self._mode is _Mode.DATA:
            return self._mail(data, at, over)
        stop, ending = line_end(data, at)
        if not ending and not over and left <= LINE_LIMIT:
            return PieceKind.COMMAND, at
        line = data[at : stop - len(ending)]
        if self._mode is _Mode.AUTH:
            self._mode = _Mode.COMMAND
            self._outstanding.append("AUTH")
            return PieceKind.AUTH, stop
        self._sent(line)
        return PieceKind.COMMAND, stop

    def _sent(self, line: bytes) -> None:
        command = parse_command(line)
        self._outstanding.append(command.name)
        if command.name == "DATA":
            self._mode = _Mode.DATA
        elif command.name == "BDAT" and not command.deviations:
            self._chunk = command.chunk_size or 0

    def _mail(self, data: bytes, at: int, over: bool) -> tuple[PieceKind, int]:
        """Return the next piece of mail data at ``at``, which is the start of a line."""
        found = data.find(b"\r\n.\r\n", at)
        stop = at + 3 if data.startswith(b".\r\n", at) else found + 5 if found >= 0 else 0
        if stop:
            self._mode = _Mode.COMMAND
            self._outstanding.append(None)
            return PieceKind.MESSAGE, stop
        if over:
            return PieceKind.PIECE, len(data)
        if len(data) - at <= MESSAGE_LIMIT:
            return PieceKind.PIECE, at
        # Cut after a line, so that the rest starts a line; or one byte before the end, which may be the CR of a line
        # end.
        return PieceKind.PIECE, data.rfind(b"\r\n", at) + 2 if data.find(b"\r\n", at) >= 0 else len(data) - 1

    def _server(self, data: bytes, at: int, over: bool) -> tuple[PieceKind, int]:
        if self._mode is _Mode.TLS or TLS_RECORD(data, at):
            self._mode = _Mode.TLS
            return PieceKind.OPAQUE, len(data)
        stop = reply_end(data, at)
        if not stop:
            stop = len(data) if over or len(data) - at > LINE_LIMIT else at
        if stop > at:
            self._answered(data[at : at + 3])
        return PieceKind.REPLY, stop

    def _answered(self, code: bytes) -> None:
        """Pair a reply with its command and switch to the mode that it starts."""
        outstanding = self._outstanding
        greeted, self._greeted = self._greeted, True
        if not greeted and code == b"220" and "STARTTLS" not in outstanding:
            return  # the greeting answers no command, even if the client sent commands before it (RFC 5321 §3.1)
        # A code that only DATA or AUTH can get answers that command, even if earlier commands were left unanswered.
        only = {b"354": "DATA", b"334": "AUTH"}.get(code)
        if only is not None and only in outstanding:
            while outstanding[0] != only:
                outstanding.popleft()
        verb = outstanding.popleft() if outstanding else None
        if code == b"334":
            self._mode = _Mode.AUTH
        elif verb == "DATA" and code != b"354" and self._mode is _Mode.DATA:
            self._mode = _Mode.COMMAND
        elif verb == "STARTTLS" and code == b"220":
            self._mode = _Mode.TLS


class LayerFlows:
    """Flows by key; if there are too many, the least recently used one is dropped."""

    def __init__(self) -> None:
        self._flows: OrderedDict[Hashable, LayerFlow] = OrderedDict()

    def of(self, key: Hashable) -> LayerFlow:
        """Return the flow with this key; a new one if there is none."""
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = LayerFlow()
            if len(self._flows) > FLOWS_LIMIT:
                self._flows.popitem(last=False)
        else:
            self._flows.move_to_end(key)
        return flow

"""Targets of the streams: segments of a few connections, most of them nearly right, with the text of both sides."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from material import Material
from msgspec.structs import replace
from spoken import line

from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.exchanges.connection_report import TimeFormat, render
from smtpwire.analyzer.exchanges.conversation import Conversation, Run
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.lines.client_reader import ClientReader, Mode
from smtpwire.analyzer.lines.command_line import CommandLine
from smtpwire.analyzer.redact.redactor import Redactor
from smtpwire.analyzer.rules import RULES
from smtpwire.analyzer.streams.reassembler import Reassembler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smtpwire.analyzer.model import Connection
    from smtpwire.analyzer.streams.flow import Flow
    from smtpwire.analyzer.streams.receiver import How, Side

__all__ = ["Segment", "check", "conversation", "reassembler", "segments", "tracker"]

Segment = tuple[bytes, int, int, int, bytes, int, int, int]

_M32 = 0xFFFFFFFF
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16
_FLAGS = (*[_ACK] * 10, _PSH | _ACK, _SYN, _SYN | _ACK, _FIN | _ACK, _RST, _RST | _ACK, 0, 255)
_NEAR = (*[0] * 12, 1, -1, 5, -5, 1460, -1460, 1 << 20, 1 << 30, -(1 << 30), 1 << 31)
# In place of an offset: the segment starts where the last one did, comes after the next one, or was not captured.
_DELIVERIES = {
    number: name for at, name in enumerate(("again", "late", "lost")) for number in range(242 + 4 * at, 246 + 4 * at)
}
_MISSING = (*[0] * 12, 1, 100, 70_000)
_STEPS = (*[1_000_000] * 10, 0, -1_000_000, 1_000_000_000, 400_000_000_000, 8_000_000_000_000, 1 << 60)
_SMALL = Limits(
    loss_proof_frames=3,
    held_bytes=64,
    held_segments=3,
    all_held_bytes=200,
    connections=2,
    idle_seconds=5,
    handshakes=1,
    closed_connections=1,
    sniffed_bytes=8,
    line_bytes=24,
    reply_bytes=40,
    undecided_bytes=16,
    header_bytes=32,
    outstanding=3,
    turns=6,
    harvest_probes=2,
    unanswered_commands=4,
    remembered_servers=2,
    server_memory_seconds=60,
    findings_per_rule=2,
)
_LIMITS = (DEFAULT_LIMITS, DEFAULT_LIMITS, _SMALL, replace(_SMALL, outstanding=0, unanswered_commands=0, turns=0))
_SEGMENTS = 400  # of one input, so that each stays quick


def segments(take: Material) -> Iterator[Segment]:
    """Yield segments of at most four connections. Numbers are the expected ones, or near them, or any. Some segments
    come after the next one, and some are omitted."""
    late: Segment | None = None
    for delivery, segment in _drawn(take):
        if late is not None:
            yield (*segment[:6], *late[6:])
            yield (*late[:6], *segment[6:])
            late = None
        elif delivery == "late":
            late = segment
        elif delivery != "lost":
            yield segment
    if late is not None:
        yield late


def _drawn(take: Material) -> Iterator[tuple[str, Segment]]:
    """Yield segments in the order of sending, each with the name of its delivery."""
    following: dict[bytes, int] = {}
    before: dict[bytes, int] = {}
    time_ns = 1_700_000_000_000_000_000
    for frame in range(1, _SEGMENTS):
        if not take:
            return
        who = take.number()
        client, server = b"\xc0\x00\x02\x01", b"\xc0\x00\x02" + bytes((2 + (who >> 1 & 1),))
        port, other = 40_000 + (who >> 2 & 1), (25, 25, 587, 9999)[who >> 3 & 3]
        to_server = not who & 1
        ends = (client, server, port, other) if to_server else (server, client, other, port)
        key = ends[0] + ends[1] + ends[2].to_bytes(2, "big") + ends[3].to_bytes(2, "big")
        back = ends[1] + ends[0] + ends[3].to_bytes(2, "big") + ends[2].to_bytes(2, "big")
        flags = take.choice(_FLAGS)
        delivery, seq = "", following.setdefault(key, 4_294_967_000 if who & 32 else 1000)
        place = take.number()
        if place in _DELIVERIES:
            delivery = _DELIVERIES[place]
            seq = before.get(key, seq) if delivery == "again" else seq
        else:
            seq += _NEAR[place % len(_NEAR)]
        ack = following.get(back, 0) + take.choice(_NEAR)
        size = take.number()
        payload = b"" if not size else take.text(size - 200) if size > 200 else line(size)
        missing = take.choice(_MISSING) if who & 64 else 0
        if seq == following[key]:
            before[key] = seq
            following[key] += len(payload) + missing + bool(flags & _SYN) + bool(flags & _FIN)
        time_ns = max(0, time_ns + (take.choice(_STEPS) if who & 128 else 1_000_000)) & (1 << 63) - 1
        yield delivery, (key, seq & _M32, ack & _M32, flags, payload, missing, frame, time_ns)


class _FlowCheck:
    """The receiver of a flow: checks that delivered bytes and reported gaps follow each other exactly."""

    weight = 0

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.at: dict[Side, int] = {"client": 0, "server": 0}
        self.over = 0
        flow.receiver = self

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data("client", data, offset)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._data("server", data, offset)

    def _data(self, side: Side, data: bytes, offset: int) -> None:
        assert data
        assert not self.over
        assert offset == self.at[side]
        self.at[side] += len(data)

    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        assert length > 0
        assert offset == self.at[side]
        self.at[side] += length

    def closed(self, side: Side, how: How, frame: int, time_ns: int, acked: int) -> None:
        assert how in {"fin", "rst", "unseen"}

    def revoke(self, side: Side, offset: int) -> bool:
        return False

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None:
        assert offset >= 0


class _FlowChecks:
    """Gives each flow its check."""

    def __init__(self) -> None:
        self.made: list[_FlowCheck] = []

    def accept(self, flow: Flow) -> None:
        self.made.append(_FlowCheck(flow))

    def giving_up(self, flow: Flow) -> None:
        pass

    def finished(self, flow: Flow, why: str) -> None:
        for one in self.made:
            if one.flow is flow:
                one.over += 1
                assert flow.received == (one.at["client"], one.at["server"])


def reassembler(data: bytes) -> None:
    """Bytes are delivered once and in order, and little is held."""
    take = Material(data)
    limits = take.choice(_LIMITS)
    checks = _FlowChecks()
    streams = Reassembler(checks, limits)
    for segment in segments(take):
        streams.feed(*segment)
        for check in checks.made[-4:]:
            disorder = check.flow.disorder
            for stream in () if disorder is None else (disorder.client, disorder.server):
                assert stream.held_bytes == sum(len(one.payload) for one in stream.held)
                assert len(stream.held) <= limits.held_segments + 1 or not limits.held_segments
        if segment[6] % 16 == 0:
            streams.housekeeping.sweep()
    streams.close()
    assert len(streams.table) == 0
    assert all(one.over == 1 for one in checks.made)


_RENDERED = Redactor(Redact.NONE)  # it makes the messages of the findings


def check(connection: Connection) -> None:
    """Check what must hold for every report of a connection."""
    encoded = msgspec.json.encode(_RENDERED(connection)).decode("utf-8")
    assert encoded.isprintable()
    assert "\\u" not in encoded, "a control character"
    assert "\\n" not in encoded, "a line end"
    turns, findings = len(connection.dialogue), len(connection.findings)
    assert connection.client_bytes >= 0
    assert connection.server_bytes >= 0
    for number, finding in enumerate(connection.findings):
        assert finding.caused_by is None or 0 <= finding.caused_by < findings
        assert finding.caused_by != number
        assert finding.turn is None or 0 <= finding.turn < turns
        assert finding.offset >= 0
        assert finding.length >= 0
    for gap in connection.gaps:
        assert gap.length > 0


def _track(data: bytes) -> list[Connection]:
    """Return all reports; if the first byte says so, also those of connections while they are open."""
    limits = Material(data).choice(_LIMITS)
    tracking = Tracker(RuleBook(RULES, limits), limits=limits)
    standing = bool(Material(data).number() & 64)
    reports: list[Connection] = []
    for segment in segments(Material(data[1:])):
        tracking.segment(*segment)
        if segment[6] % 16 == 0:
            tracking.sweep()
            if standing and segment[6] % 64 == 0:
                reports += [deepcopy(render(one, tracking.clock)) for one in tracking.standing()]
    tracking.close()
    return reports + tracking.done


def tracker(data: bytes) -> None:
    """The input is whole connections; each report is sound."""
    for connection in _track(data):
        check(connection)


def conversation(data: bytes) -> None:
    """The input is the bytes of both sides in turns, with gaps; the report is sound."""
    take = Material(data)
    limits = take.choice(_LIMITS)
    key = b"\xc0\0\2\1\xc0\0\2\2" + (40_000).to_bytes(2, "big") + (25).to_bytes(2, "big")
    record = ConnectionRecord(1, key, profile="rfc5321", opening="handshake", started_ns=0)
    talk = ConversationFeed(Conversation(record, Run(RuleBook(RULES, limits), limits, TimeFormat())))
    at = {"client": 0, "server": 0}
    for frame in range(1, _SEGMENTS):
        if not take:
            break
        kind, size = take.number(), take.number()
        side: Literal["client", "server"] = "server" if kind & 1 else "client"
        if kind >> 1 & 15 == 15:
            talk.gap(side, at[side], 1 + size, frame, frame * 10**6)
            at[side] += 1 + size
            continue
        payload = take.text(size - 200) if size > 200 else line(size)
        if payload:
            seen = -1 if kind & 64 else at["client" if side == "server" else "server"]
            (talk.server if kind & 1 else talk.client)(payload, at[side], frame, frame * 10**6, seen)
            at[side] += len(payload)
    record.client_bytes, record.server_bytes = at["client"], at["server"]
    check(talk.finish())


def _pieces(data: bytes, sizes: bytes) -> Iterator[bytes]:
    at = number = 0
    while at < len(data):
        size = 1 + (sizes[number % len(sizes)] if sizes else 0)
        yield data[at : at + size]
        at += size
        number += 1


class _Events:
    """Records the events of a client reader without their frames, and each line only up to its limit."""

    def __init__(self, limit: int) -> None:
        self.recorded: list[tuple[Any, ...]] = []
        self._limit = limit

    def __getattr__(self, name: str) -> Any:
        return lambda *event: self.recorded.append((name, *(self._cut(one) for one in event[:2])))

    def _cut(self, value: Any) -> Any:
        if isinstance(value, CommandLine):
            return value.raw[: self._limit or None], value.end, value.length
        return value


def client(data: bytes) -> None:
    """A client's lines do not depend on how its bytes are cut."""
    take = Material(data)
    limits = take.choice(_LIMITS)
    sizes, mode = take.text(4), take.choice((Mode.COMMAND, Mode.ANSWER, Mode.CHUNK, Mode.HOLD))
    text = take.rest()
    results = []
    for cut in (sizes, b"\xff"):
        handler = _Events(limits.line_bytes)
        reader = ClientReader(handler, limits)
        reader.mode, reader.chunk_left = mode, 9
        at = 0
        for piece in _pieces(text, cut):
            reader.feed(piece, at, 1, 1, 0)
            at += len(piece)
        if mode is Mode.HOLD:
            reader.release(Mode.COMMAND)
        results.append([event for event in handler.recorded if event[0] not in {"undecided", "long_line", "keeps"}])
    assert results[0] == results[1]

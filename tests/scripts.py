"""Dialogues written as scripts, played to the tracker as TCP segments or to a conversation as bytes.

A script is a list of (who, what) in the order of events. Each entry arrives before the next one is sent, so several
lines in one client entry are pipelined::

    script = [("S", "220 mx ESMTP\\r\\n"), ("C", "QUIT\\r\\n"), ("S", "221 bye\\r\\n"), ("FS", "")]
    assert rules(script) == []
    assert rules([*hello("PIPELINING"), *lines("C NOOP", "S 250 ok")]) == []

``who`` is ``C`` or ``S`` for bytes of the client or the server (text is encoded as latin-1), ``GC`` or ``GS`` with the
decimal number of bytes that are missing in the capture, and ``FC``, ``FS``, ``RC``, ``RS`` for a FIN or RST. ``wait``
is a pause of so many seconds, for ``play`` only. After ``TLS`` the lines inside TLS follow, decrypted: ``talk`` reports
it to the conversation, ``play`` sends nothing there, like a capture that was decrypted before it was saved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from captures import ACK, CLIENT, FIN, PSH, RST, SERVER, START, SYN, Record, ethernet, flow, ipv4, tcp

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import PROFILE_OF_PORT, Tracker
from smtpwire.analyzer.exchanges.connection_report import TimeFormat
from smtpwire.analyzer.exchanges.conversation import Conversation, Run
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed
from smtpwire.analyzer.exchanges.record import ConnectionRecord
from smtpwire.analyzer.exchanges.secret_context import secret_context
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS, Limits
from smtpwire.analyzer.redact.redactor import Redactor

if TYPE_CHECKING:
    from smtpwire.analyzer import model

__all__ = [
    "CLIENT_PORT",
    "END",
    "GREETING",
    "MAIL",
    "MESSAGE",
    "WHOLE",
    "WRONG",
    "Cut",
    "Script",
    "Segment",
    "at_random",
    "by",
    "by_byte",
    "connections",
    "envelope",
    "findings",
    "hello",
    "lines",
    "play",
    "records",
    "rules",
    "segments",
    "talk",
]

Script = Sequence[tuple[str, bytes | str]]
Cut = Callable[[bytes], Iterable[bytes]]
"""How the bytes of one entry are divided into segments; by default into segments of a usual size."""

CLIENT_PORT = 43210
_SEGMENT_SIZE = 1400
_REDACTED = Redactor()  # it makes the messages of the findings
_FIRST = {"C": 1000, "S": 5000}  # initial sequence numbers

GREETING = "220 mx.example ESMTP\r\n"
MESSAGE = (
    "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: a@client.example\r\nTo: b@mx.example\r\nSubject: test\r\n"
    "Message-ID: <1@client.example>\r\n\r\nhello\r\n"
)
"""A message in which no rule finds anything, without the end mark."""


# -- writing scripts ---------------------------------------------------------------------------------------------------


def lines(*entries: str) -> list[tuple[str, bytes | str]]:
    """Entries such as ``"C QUIT"``: the side, a space, and the text, to which CRLF is added."""
    parts = (entry.partition(" ") for entry in entries)
    return [(who, text + "\r\n" if who in {"C", "S"} else text) for who, _, text in parts]


def hello(*keywords: str) -> list[tuple[str, bytes | str]]:
    """Greeting, EHLO and its reply, which lists ``keywords``."""
    listed = ["mx.example", *keywords]
    reply = "".join(f"250{'-' if n < len(listed) else ' '}{line}\r\n" for n, line in enumerate(listed, 1))
    return [("S", GREETING), ("C", "EHLO client.example\r\n"), ("S", reply)]


def envelope(parameters: str = "") -> list[tuple[str, bytes | str]]:
    """An accepted MAIL, to which ``parameters`` are added, and one accepted RCPT."""
    mail = f"MAIL FROM:<a@client.example> {parameters}".rstrip()
    return lines(f"C {mail}", "S 250 ok", "C RCPT TO:<b@mx.example>", "S 250 ok")


END = lines("C QUIT", "S 221 bye", "FC", "FS")
"""QUIT, and both sides close."""

MAIL = [*envelope(), *lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 queued")]
"""A transaction."""

WHOLE = [*hello("PIPELINING", "SIZE 2000"), *MAIL, *END]
"""A connection in which no rule finds anything."""

WRONG = [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no"), *END]
"""RCPT without MAIL (SEQ103)."""


def by(size: int) -> Cut:
    """Segments of ``size`` bytes."""
    return lambda data: [data[at : at + size] for at in range(0, len(data), size)]


by_byte = by(1)


def at_random(seed: int) -> Cut:
    """Segments of 1 to 9 bytes, the same ones for the same ``seed``."""
    choice = random.Random(seed)

    def cut(data: bytes) -> Iterable[bytes]:
        at = 0
        while at < len(data):
            size = choice.randint(1, 9)
            yield data[at : at + size]
            at += size

    return cut


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


# -- as segments -------------------------------------------------------------------------------------------------------


class Segment(NamedTuple):
    """The arguments of ``Tracker.segment``."""

    key: bytes
    seq: int
    ack: int
    flags: int
    payload: bytes
    missing: int
    frame: int
    time_ns: int


class _Wire:
    """Both ends of one TCP connection; ``sent`` is what its capture contains."""

    def __init__(self, port: int, client_port: int, shown: Sequence[str], first: dict[str, int]) -> None:
        keys = flow(CLIENT, SERVER, client_port, port), flow(SERVER, CLIENT, port, client_port)
        self.sent: list[Segment] = []
        self._keys = {"C": keys[0], "S": keys[1]}
        self._next = {side: number & 0xFFFFFFFF for side, number in first.items()}
        self._shown = shown
        self._time_ns = START

    def send(self, side: str, flags: int, payload: bytes = b"", *, keep: bool = True) -> None:
        peer = "S" if side == "C" else "C"
        if keep and side in self._shown:
            ack = self._next[peer] if flags & ACK else 0
            number = len(self.sent) + 1
            self.sent.append(Segment(self._keys[side], self._next[side], ack, flags, payload, 0, number, self._time_ns))
        self._time_ns += 1_000_000
        self.lose(side, len(payload) + bool(flags & (SYN | FIN)))

    def wait(self, seconds: int) -> None:
        self._time_ns += seconds * 1_000_000_000

    def lose(self, side: str, length: int) -> None:
        self._next[side] = (self._next[side] + length) & 0xFFFFFFFF


def segments(
    script: Script,
    *,
    port: int = 25,
    onesided: bool = False,
    midstream: bool = False,
    cut: Cut | None = None,
    client_port: int = CLIENT_PORT,
    first: dict[str, int] | None = None,
) -> list[Segment]:
    """The script as TCP segments of one connection with handshake, each entry acknowledged by the peer.

    ``onesided``: only the direction of the first entry is captured. ``midstream``: the capture starts after the
    handshake. ``first``: initial sequence numbers of ``"C"`` and ``"S"``.
    """
    shown = next(who for who, _ in script if who in {"C", "S"}) if onesided else "CS"
    wire = _Wire(port, client_port, shown, first or _FIRST)
    for side, flags in (("C", SYN), ("S", SYN | ACK), ("C", ACK)):
        wire.send(side, flags, keep=not midstream)
    divide = cut or by(_SEGMENT_SIZE)
    for who, text in script:
        side = who[-1]
        peer = "S" if side == "C" else "C"
        if who in {"C", "S"}:
            for piece in divide(_bytes(text)):
                wire.send(side, PSH | ACK, piece)
            wire.send(peer, ACK)
        elif who in {"GC", "GS"}:
            wire.lose(side, int(text))
            wire.send(peer, ACK)
        elif who in {"FC", "FS"}:
            wire.send(side, FIN | ACK)
        elif who in {"RC", "RS"}:
            wire.send(side, RST | ACK)
        elif who == "wait":
            wire.wait(int(text))
        elif who != "TLS":
            raise ValueError(f"unknown script entry {who!r}")
    return wire.sent


def records(sent: Iterable[Segment]) -> list[Record]:
    """Segments as frames of a capture file."""
    found = []
    for one in sent:
        source, target = (int.from_bytes(one.key[at : at + 2], "big") for at in (8, 10))
        addresses = (".".join(map(str, one.key[at : at + 4])) for at in (0, 4))
        packet = tcp(source, target, one.payload, seq=one.seq, ack=one.ack, flags=one.flags)
        found.append(Record(ethernet(ipv4(packet, *addresses)), one.time_ns))
    return found


def _book(select: Sequence[str], limits: Limits) -> RuleBook:
    return RuleBook(Options(select=tuple(select)).rules(), limits)


def connections(
    sent: Iterable[Segment],
    *,
    profile: str | None = None,
    select: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> list[model.Connection]:
    """The audited connections of these segments, in the order in which they ended."""
    tracker = Tracker(_book(select, limits), profile=profile, limits=limits)
    for one in sent:
        tracker.segment(*one)
    tracker.close()
    return [_REDACTED(*one) for one in tracker.ended]


def play(
    script: Script,
    *,
    profile: str | None = None,
    port: int = 25,
    onesided: bool = False,
    midstream: bool = False,
    cut: Cut | None = None,
    select: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> model.Connection:
    """The script's connection, audited from TCP segments. ``select``: rules in force, by default all."""
    sent = segments(script, port=port, onesided=onesided, midstream=midstream, cut=cut)
    (connection,) = connections(sent, profile=profile, select=select, limits=limits)
    return connection


# -- as bytes ----------------------------------------------------------------------------------------------------------


def talk(
    script: Script,
    *,
    profile: str | None = None,
    port: int = 25,
    onesided: bool = False,
    midstream: bool = False,
    cut: Cut | None = None,
    select: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    octets: bool = False,
    acks: bool = True,
    places: bool = True,
) -> model.Connection:
    """The script's connection, audited without TCP: each piece of an entry is a frame.

    ``octets``: the octets of a piece come one by one, all with its frame, time and ACK. ``acks``: the source knows what
    each side had acknowledged. ``places``: the source knows frames and times.
    """
    record = ConnectionRecord(
        1,
        flow(CLIENT, SERVER, CLIENT_PORT, port),
        profile=profile or PROFILE_OF_PORT.get(port, "rfc5321"),
        opening="midstream" if midstream else "handshake",
        started_ns=START if places else 0,
    )
    run = Run(_book(select, limits), limits, TimeFormat(), profile_fixed=profile is not None)
    conversation = ConversationFeed(Conversation(record, run))
    shown = next(who for who, _ in script if who in {"C", "S"}) if onesided else "CS"
    divide = cut or by(_SEGMENT_SIZE)
    offset = {"C": 0, "S": 0}
    frame = 0
    for who, text in script:
        side = who[-1]
        name: model.Side = "client" if side == "C" else "server"
        if who in {"C", "S"}:
            feed = conversation.client if side == "C" else conversation.server
            for piece in divide(_bytes(text)):
                frame += 1
                if side in shown:
                    seen = offset["S" if side == "C" else "C"] if acks else -1
                    where = (frame, START + frame * 1_000_000) if places else (0, 0)
                    for at, part in enumerate(by_byte(piece)) if octets else [(0, piece)]:
                        feed(part, offset[side] + at, *where, seen)
                offset[side] += len(piece)
            continue
        frame += 1
        where = (frame, START + frame * 1_000_000) if places else (0, 0)
        if who in {"GC", "GS"}:
            conversation.gap(name, offset[side], int(text), *where)
            offset[side] += int(text)
        elif who == "TLS":
            conversation.secured(offset["C"], *where)
        elif side in shown:
            conversation.closed(name, "fin" if who[0] == "F" else "rst", *where)
    record.client_bytes, record.server_bytes = offset["C"], offset["S"]
    report = conversation.finish(captured=not onesided)
    return _REDACTED(report, secret_context(record, always=conversation.talk.quotes_more))


# -- the result --------------------------------------------------------------------------------------------------------


def findings(
    script: Script,
    *,
    profile: str | None = None,
    port: int = 25,
    onesided: bool = False,
    midstream: bool = False,
    cut: Cut | None = None,
    select: Sequence[str] = (),
) -> list[model.Finding]:
    """The findings for the script, played as segments."""
    return play(
        script, profile=profile, port=port, onesided=onesided, midstream=midstream, cut=cut, select=select
    ).findings


def rules(
    script: Script,
    *,
    profile: str | None = None,
    port: int = 25,
    onesided: bool = False,
    midstream: bool = False,
    cut: Cut | None = None,
    select: Sequence[str] = (),
) -> list[str]:
    """Ids of the rules that fired, sorted, each once."""
    found = findings(script, profile=profile, port=port, onesided=onesided, midstream=midstream, cut=cut, select=select)
    return sorted({finding.rule for finding in found})

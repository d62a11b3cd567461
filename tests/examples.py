"""Plays the scripts of analyzer/rules/examples.toml as TCP segments; analyzer/rules/examples.py describes their
format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from captures import ACK, CLIENT, FIN, PSH, RST, SERVER, START, SYN, flow

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.redact.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smtpwire.analyzer import model

__all__ = ["played"]

SECOND = 1_000_000_000
SEGMENT = 1400
LINE = re.compile(r"([CS])(?:@([0-9]+))?: ?(.*)")
ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|([rnt\\]))")
PLAIN = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}
FLAGS = {"F": FIN | ACK, "R": RST | ACK}


def wire_bytes(text: str) -> bytes:
    """The bytes of one line of a script."""
    end = "\r\n"
    if text.endswith("\\") and not text.endswith("\\\\"):
        text, end = text[:-1], ""
    text = re.sub(r"\{([0-9]+) (.)\}", lambda found: int(found[1]) * found[2], text)
    text = ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else PLAIN[found[2]], text)
    return (text + end).encode("latin-1")


def unfolded(entry: str) -> list[str]:
    """``3 x C: RSET`` is three lines."""
    times, _, line = entry.partition(" x ")
    return [line] * int(times) if times.isdigit() else [entry]


class Player:
    """Sends the lines of a script between two hosts; each ``again`` is another connection."""

    def __init__(self, tracker: Tracker, port: int) -> None:
        self.tracker = tracker
        self.port = port
        self.time_ns = START
        self.frame = 0
        self.client_port = 43209
        self.connect()

    def connect(self) -> None:
        self.client_port += 1
        self.start = {"C": 1000, "S": 5000}
        self.next = dict(self.start)
        self.send("C", SYN)
        self.send("S", SYN | ACK)
        self.send("C", ACK)
        self.start = dict(self.next)

    def send(self, side: str, flags: int, payload: bytes = b"", at: int | None = None) -> None:
        client = side == "C"
        key = flow(CLIENT, SERVER, self.client_port, self.port)
        if not client:
            key = flow(SERVER, CLIENT, self.port, self.client_port)
        self.frame += 1
        self.time_ns += 1_000_000
        seq = self.next[side] if at is None else self.start[side] + at
        ack = self.next["S" if client else "C"] if flags & ACK else 0
        self.tracker.segment(key, seq, ack, flags, payload, 0, self.frame, self.time_ns)
        if at is None:
            self.next[side] += len(payload) + bool(flags & (SYN | FIN))

    def line(self, side: str, offset: str | None, text: str) -> None:
        payload = wire_bytes(text)
        for at in range(0, len(payload), SEGMENT):
            self.send(side, PSH | ACK, payload[at : at + SEGMENT], None if offset is None else int(offset))

    def play(self, script: Iterable[str]) -> None:
        lines = [line for entry in script for line in unfolded(entry)]
        for number, entry in enumerate(lines):
            line = LINE.fullmatch(entry)
            word, _, rest = entry.partition(" ")
            if line:
                self.line(*line.groups())
                following = LINE.fullmatch(lines[number + 1]) if number + 1 < len(lines) else None
                if following is None or following[1] != line[1]:
                    self.send("S" if line[1] == "C" else "C", ACK)  # everything arrived before the reply
            elif word in {"FC", "FS", "RC", "RS"}:
                self.send(word[1], FLAGS[word[0]])
            elif word in {"GC", "GS"}:
                self.next[word[1]] += int(rest)
                self.send("S" if word == "GC" else "C", ACK)
            elif word == "wait":
                self.time_ns += int(rest) * SECOND
            elif word == "again":
                self.connect()
            else:
                assert word == "TLS", entry
                # as a program that decrypts TLS would report it
                talk = self.tracker.streams.table.flows[flow(CLIENT, SERVER, self.client_port, self.port)].receiver
                assert isinstance(talk, ConversationFeed)
                talk.secured(self.next["C"] - self.start["C"], self.frame, self.time_ns)


def played(script: Iterable[str], *, profile: str | None, port: int) -> list[model.Connection]:
    """The audited connections of ``script``, with all rules."""
    tracker = Tracker(RuleBook(Options().rules(), DEFAULT_LIMITS), profile=profile)
    player = Player(tracker, port)
    player.play(script)
    tracker.close()
    redacted = Redactor()  # it makes the messages of the findings
    return [redacted(*one) for one in tracker.ended]

"""A connection is judged by itself: other connections before it or beside it change nothing in its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import json
from msgspec.structs import replace
from repeats import dialogue, reported
from scripts import WHOLE, Segment, hello, lines

from smtpwire.analyzer.audit import Options
from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.enums import Redact
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.redact.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from smtpwire.analyzer.model import Connection

TLS = [
    *hello("STARTTLS"),
    *lines("C STARTTLS", "S 220 go"),
    ("C", b"\x16\x03\x01\0\x30" + bytes(48)),
    ("S", b"\x16\x03\x03\0\x30" + bytes(48)),
    ("C", b"\x17\x03\x03\0\x20" + bytes(32)),
    ("S", b"\x17\x03\x03\0\x20" + bytes(32)),
    *lines("FC", "FS"),
]


def text(connection: Connection) -> bytes:
    """The report, without its number."""
    return json.encode(Redactor(Redact.NONE)(replace(connection, id=0)))


def place_of(sent: list[Segment], text: bytes) -> int:
    return next(number for number, one in enumerate(sent) if one.payload.startswith(text))


def replaced(old: str, new: str) -> list[tuple[str, bytes | str]]:
    changed = [(who, str(text).replace(old, new)) for who, text in WHOLE]
    assert changed != WHOLE
    return changed  # type: ignore[return-value]


VARIANTS = [
    ("MAIL FROM:<a@client.example>\r\n", "MAIL FROM:<a@client.example> SIZE=3000\r\n", "EXT506"),
    ("354 go", "250 go", "SEQ113"),
    ("250 queued", "250-queued\r\n250 as 5", None),
    ("250 queued", "451 later", None),
    ("250 queued", "599 \xe9", "BIT204"),
    ("QUIT", "QUIT now", "CMD310"),
    ("hello\r\n", "h\xe9llo\r\n", "BIT206"),
    ("Date:", "Dat:", "MSG701"),
    ("hello\r\n", "x" * 1200 + "\r\n", "LEN003"),
    ("hello\r\n", "\n.\nMAIL FROM:<x@y.example>\r\n", "BIT223"),
    ("QUIT", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", None),
    ("RCPT TO:<b@mx.example>", "RCPT TO:<postmaster>", None),
    ("221 bye", "250 bye", "RPL410"),
]


@pytest.mark.parametrize(("old", "new", "rule"), VARIANTS)
def test_the_same_dialogue_before_hides_no_fault(old: str, new: str, rule: str | None) -> None:
    script = replaced(old, new)
    alone = reported(dialogue(script, 2))
    third = reported([*dialogue(WHOLE), *dialogue(WHOLE, 1), *dialogue(script, 2), *dialogue(WHOLE, 3)])
    assert text(third[2]) == text(alone[0])
    assert not third[3].findings
    if rule is not None:
        assert rule in {f.rule for f in third[2].findings}


@pytest.mark.parametrize(("old", "new", "rule"), VARIANTS)
def test_a_fault_is_reported_in_each_of_many_equal_dialogues(old: str, new: str, rule: str | None) -> None:
    reports = reported([one for number in range(5) for one in dialogue(replaced(old, new), number)])
    rules = [[f.rule for f in each.findings] for each in reports]
    assert rules[1:] == rules[:-1]
    assert rule is None or rule in rules[0]


def lost(sent: list[Segment]) -> list[Segment]:
    at = place_of(sent, b"RCPT")
    return sent[:at] + sent[at + 1 :]


def swapped(sent: list[Segment]) -> list[Segment]:
    """The answer to the message is captured before the message."""
    at = place_of(sent, b"250 queued")
    return [*sent[: at - 2], sent[at], *sent[at - 2 : at], *sent[at + 1 :]]


def twice(sent: list[Segment]) -> list[Segment]:
    at = place_of(sent, b"RCPT")
    return [*sent[: at + 1], sent[at], *sent[at + 1 :]]


def rewritten(sent: list[Segment]) -> list[Segment]:
    at = place_of(sent, b"RCPT")
    return [*sent[: at + 1], sent[at]._replace(payload=b"NOOP" + sent[at].payload[4:]), *sent[at + 1 :]]


def divided(sent: list[Segment]) -> list[Segment]:
    at = place_of(sent, b"RCPT")
    one = sent[at]
    return [
        *sent[:at],
        one._replace(payload=one.payload[:6]),
        one._replace(seq=one.seq + 6, payload=one.payload[6:]),
        *sent[at + 1 :],
    ]


def cut_by_the_snap_length(sent: list[Segment]) -> list[Segment]:
    at = place_of(sent, b"Date")
    one = sent[at]
    return [*sent[:at], one._replace(payload=one.payload[:60], missing=len(one.payload) - 60), *sent[at + 1 :]]


def reset(sent: list[Segment]) -> list[Segment]:
    return [one._replace(flags=20) if one.flags & 1 else one for one in sent]


def unfinished(sent: list[Segment]) -> list[Segment]:
    return sent[: place_of(sent, b"QUIT")]


def without_the_handshake(sent: list[Segment]) -> list[Segment]:
    return sent[3:]


def impatient(sent: list[Segment]) -> list[Segment]:
    """RCPT is sent before the client has the reply to MAIL."""
    at = place_of(sent, b"RCPT")
    return [*sent[:at], sent[at]._replace(ack=sent[at].ack - 8), *sent[at + 1 :]]


CHANGES = (
    lost,
    rewritten,
    divided,
    cut_by_the_snap_length,
    reset,
    unfinished,
    without_the_handshake,
    impatient,
    twice,
    swapped,
)


@pytest.mark.parametrize("place", range(3, 20))
@pytest.mark.parametrize("change", CHANGES)
def test_parallel_connections_are_kept_apart(change: Callable[[list[Segment]], list[Segment]], place: int) -> None:
    one, other = dialogue(WHOLE, 2), change(dialogue(WHOLE, 3))
    both = reported([*one[:place], *other[:place], *one[place:], *other[place:]])
    assert sorted(map(text, both)) == sorted(map(text, [*reported(one), *reported(other)]))


def test_a_connection_that_goes_on_in_plain_text_is_not_taken_for_an_encrypted_one_before_it() -> None:
    clear = [*TLS[:5], *lines("C QUIT", "S 221 bye"), *TLS[-2:]]
    third = reported([*dialogue(TLS), *dialogue(TLS, 1), *dialogue(clear, 2)])
    assert [each.tls for each in third] == ["starttls", "starttls", "none"]
    assert text(third[2]) == text(reported(dialogue(clear, 2))[0])


def test_an_open_connection_is_reported_so_far() -> None:
    sent = dialogue(WHOLE)
    at = place_of(sent, b"DATA")
    tracker = Tracker(RuleBook(Options().rules(), Options().limits))
    for one in sent[:at]:
        tracker.segment(*one)
    (standing,) = tracker.standing()
    assert standing.closing == "open"
    known = len(standing.dialogue)
    for one in sent[at:]:
        tracker.segment(*one)
    tracker.close()
    assert len(tracker.done[0].dialogue) == known + 6

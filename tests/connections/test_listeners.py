"""Listeners: a connection that leaves a recorded path is judged in full, with the same report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from repeats import Reports, compared, dialogue
from scripts import END, MESSAGE, WHOLE, Segment, envelope, hello, lines

from smtpwire.analyzer.fastpath.recorder import MAX_STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

TLS = [
    *hello("STARTTLS"),
    *lines("C STARTTLS", "S 220 go"),
    ("C", b"\x16\x03\x01\0\x30" + bytes(48)),
    ("S", b"\x16\x03\x03\0\x30" + bytes(48)),
    ("C", b"\x17\x03\x03\0\x20" + bytes(32)),
    ("S", b"\x17\x03\x03\0\x20" + bytes(32)),
    *lines("FC", "FS"),
]


def third(script: list[tuple[str, bytes | str]], known: list[tuple[str, bytes | str]] = WHOLE) -> Reports:
    """Return two connections as ``known``, one as ``script``, one as ``known``."""
    reports = compared([one for n, s in enumerate([known, known, script, known]) for one in dialogue(s, n)])
    assert len(reports.connections) == 4
    return reports


def place_of(sent: list[Segment], text: bytes) -> int:
    return next(number for number, one in enumerate(sent) if one.payload.startswith(text))


def replaced(old: str, new: str) -> list[tuple[str, bytes | str]]:
    changed = [(who, str(text).replace(old, new)) for who, text in WHOLE]
    assert changed != WHOLE
    return changed  # type: ignore[return-value]


def test_the_same_dialogue_again_is_found() -> None:
    assert third(WHOLE).found == 2


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
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
    ],
)
def test_another_step_leaves_the_recorded_path(old: str, new: str, rule: str | None) -> None:
    reports = third(replaced(old, new))
    assert reports.found == 1
    if rule is not None:
        assert rule in {f.rule for f in reports.connections[2].findings}
    assert not reports.connections[3].findings


def test_a_message_larger_than_announced_leaves_the_recorded_path() -> None:
    script = replaced("hello\r\n", "".join(f"line {number}\r\n" for number in range(400)))
    reports = third(script)
    assert reports.found == 1
    assert [f.rule for f in reports.connections[2].findings] == [
        f.rule for f in compared(dialogue(script)).connections[0].findings
    ]
    smaller = replaced("hello\r\n", "".join(f"line {number}\r\n" for number in range(100)))
    assert third(smaller).found == 2


def test_commands_after_the_end_mark_are_a_separate_step() -> None:
    piped = [*hello("PIPELINING"), *envelope(), *lines("C DATA", "S 354 go")]
    piped += [("C", MESSAGE + ".\r\nQUIT\r\n"), ("S", "250 queued\r\n221 bye\r\n"), *lines("FC", "FS")]
    assert third(piped, piped).found == 2
    other = [(who, str(text).replace("QUIT", "RSET")) for who, text in piped]
    assert third(other, piped).found == 1  # type: ignore[arg-type]
    half = [(who, str(text).replace("QUIT\r\n", "QU")) for who, text in piped]
    assert third(half, piped).found == 1  # type: ignore[arg-type]


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


@pytest.mark.parametrize("change", CHANGES)
def test_changes_to_the_segments_leave_the_recorded_path(change: Callable[[list[Segment]], list[Segment]]) -> None:
    reports = compared(
        [*dialogue(WHOLE), *dialogue(WHOLE, 1), *change(dialogue(WHOLE, 2)), *dialogue(WHOLE, 3)],
    )
    assert reports.found == 1


@pytest.mark.parametrize("place", range(3, 20))
@pytest.mark.parametrize("change", CHANGES)
def test_parallel_connections_are_kept_apart(change: Callable[[list[Segment]], list[Segment]], place: int) -> None:
    one, other = dialogue(WHOLE, 2), change(dialogue(WHOLE, 3))
    both = [*one[:place], *other[:place], *one[place:], *other[place:]]
    compared([*dialogue(WHOLE), *dialogue(WHOLE, 1), *both])


def test_an_encrypted_connection_is_found_by_its_plain_text_part() -> None:
    assert third(TLS, TLS).found == 2
    longer = [*TLS[:-2], ("C", b"\x17\x03\x03\0\x20" + bytes(32)), ("S", b"\x17\x03\x03\0\2ab"), *TLS[-2:]]
    assert third(longer, TLS).found == 2
    clear = [*TLS[:5], *lines("C QUIT", "S 221 bye"), *TLS[-2:]]
    reports = third(clear, TLS)
    assert reports.found == 1


def test_a_path_without_an_end_is_not_recorded() -> None:
    endless = [*hello(), *lines("C NOOP", "S 250 ok") * (MAX_STEPS // 2), *END]
    assert third(endless, endless).found == 0
    assert third(WHOLE).found == 2


def test_an_open_connection_is_reported_so_far() -> None:
    """The report of a connection on a recorded path is requested before its end."""
    begun = dialogue(WHOLE, 2)
    at = place_of(begun, b"DATA")
    reports = compared([*dialogue(WHOLE), *dialogue(WHOLE, 1)])
    tracker = reports.tracker
    for one in begun[:at]:
        tracker.segment(*one)
    assert not tracker.streams.flows()
    (standing,) = tracker.standing()
    assert len(standing.dialogue) == len(reports.connections[0].dialogue) - 6
    assert standing.closing == "open"
    for one in begun[at:]:
        tracker.segment(*one)
    assert tracker.done[-1].dialogue[-1].frame == begun[place_of(begun, b"221")].frame


def test_paths_recorded_with_other_rules_are_forgotten() -> None:
    reports = compared([one for number in range(3) for one in dialogue(WHOLE, number)])
    tracker = reports.tracker
    tracker.forget_ways()
    judged = []
    begin = tracker.begin
    tracker.begin = lambda *args, **kwargs: judged.append(args) or begin(*args, **kwargs)  # type: ignore[method-assign,func-returns-value]
    for number in range(5, 9):
        for one in dialogue(WHOLE, number):
            tracker.segment(*one)
    assert len(judged) == 2

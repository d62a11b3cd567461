"""Lost frames: each single one and each pair, of plain sessions. Provably missing bytes are a gap of exact offset and
length, and no finding is certain that was not certain with all frames."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from captures import ACK, FIN, SYN
from scripts import CLIENT_PORT, MESSAGE, Script, Segment, connections, envelope, hello, lines, segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smtpwire.analyzer import model

QUIT = lines("C QUIT", "S 221 bye")
FINS = [("FC", ""), ("FS", "")]
MAIL = [*lines("C DATA", "S 354 go"), ("C", MESSAGE + ".\r\n"), *lines("S 250 queued")]
LONG = MESSAGE + "".join(f"line {n} of a longer message\r\n" for n in range(120))
GROUP = "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"
CHUNK = MESSAGE.encode()

DIALOGUES: dict[str, Script] = {
    "lockstep": [*hello(), *envelope(), *MAIL, *QUIT, *FINS],
    "server closes first": [*hello(), *envelope(), *QUIT, ("FS", ""), ("FC", "")],
    "pipelined": [
        *hello("PIPELINING"),
        ("C", GROUP),
        ("S", "250 ok\r\n250 ok\r\n354 go\r\n"),
        ("C", LONG + ".\r\nQUIT\r\n"),
        ("S", "250 queued\r\n221 bye\r\n"),
        *FINS,
    ],
    "pipelined, two messages": [
        *hello("PIPELINING"),
        ("C", GROUP),
        ("S", "250 ok\r\n250 ok\r\n354 go\r\n"),
        ("C", MESSAGE + ".\r\n" + GROUP),
        ("S", "250 queued\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        ("C", MESSAGE + ".\r\n"),
        *lines("S 250 queued"),
        *QUIT,
        *FINS,
    ],
    "a dialogue in the mail data": [
        *hello(),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", MESSAGE + "\r\n\0.\r\n" + GROUP + "Subject: inner\r\n\r\ntext\r\n.\r\n"),
        *lines("S 250 queued"),
        *QUIT,
        *FINS,
    ],
    "BDAT": [
        *hello("CHUNKING", "PIPELINING"),
        *envelope(),
        ("C", b"BDAT 40\r\n" + CHUNK[:40]),
        *lines("S 250 ok"),
        ("C", b"BDAT %d LAST\r\n" % len(CHUNK[40:]) + CHUNK[40:]),
        *lines("S 250 queued"),
        *QUIT,
        *FINS,
    ],
    "AUTH": [
        *hello("AUTH LOGIN PLAIN"),
        *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C dXNlcg==", "S 334 UGFzc3dvcmQ6", "C cGFzcw==", "S 235 yes"),
        *envelope(),
        *QUIT,
        *FINS,
    ],
    "STARTTLS": [
        *hello("STARTTLS"),
        *lines("C STARTTLS", "S 220 go"),
        ("C", b"\x16\x03\x01\x00\x05hello"),
        ("S", b"\x16\x03\x03\x00\x05hello"),
        ("C", b"\x17\x03\x03\x00\x05later"),
        *FINS,
    ],
    "client resets": [*hello(), *envelope(), ("RC", "")],
    "client resets after QUIT": [*hello(), *QUIT, ("RC", "")],
    "client resets in its mail data": [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", LONG), ("RC", "")],
    "server resets": [*hello(), *envelope(), *lines("C RSET"), ("RS", "")],
    "client goes away in its mail data": [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", LONG), *FINS],
    "client goes away": [*hello(), *envelope(), *FINS],
    "server goes away": [*hello(), *envelope(), ("FS", ""), ("FC", "")],
    "out of order": [
        *hello(),
        *lines("C RCPT TO:<b@mx.example>", "S 503 first MAIL", "C DATA", "S 503 first MAIL"),
        *envelope(),
        *MAIL,
        *QUIT,
        *FINS,
    ],
    "refused": [
        *hello(),
        *lines("C MAIL FROM:<a@client.example>", "S 550 no", "C FOO", "S 500 what", "C RSET", "S 250 ok"),
        *QUIT,
        *FINS,
    ],
    "turned away": [("S", "554 no service\r\n"), *QUIT, *FINS],
    "server says farewell": [*hello(), *lines("C NOOP", "S 421 closing"), ("FS", ""), ("FC", "")],
}


def sent(name: str, *, lazy: bool) -> list[Segment]:
    """Return the dialogue on the wire. ``lazy``: hosts acknowledge with their next data if they have any."""
    found = segments(DIALOGUES[name])
    if not lazy:
        return found
    return [
        one
        for one, following in zip(found, [*found[1:], None], strict=True)
        if one.payload or one.flags & 7 or following is None or following.key != one.key
    ]


def lacking(found: list[Segment], lost: tuple[int, ...]) -> dict[str, list[tuple[int, int]] | None]:
    """Return the certainly missing bytes of either side: ranges, each (offset, length). None: the start of the side is
    not known. A number that may belong to a FIN or to data is omitted."""
    kept = [one for at, one in enumerate(found) if at not in lost]
    client, server = found[0].key, found[1].key
    missing: dict[str, list[tuple[int, int]] | None] = {}
    for name, key, back in (("client", client, server), ("server", server, client)):
        first = next(one.seq for one in found if one.key == key) + 1
        start_known = any(one.key == key and one.flags & SYN for one in kept)
        answered = any(one.key == back and one.flags & SYN for one in kept)
        start_known = start_known or (
            answered and any(one.key == back and one.flags & ACK and one.ack == first for one in kept)
        )
        if not start_known or not any(one.key == key for one in kept):
            missing[name] = None
            continue
        reach = max(
            [one.seq + len(one.payload) for one in kept if one.key == key and not one.flags & SYN]
            + [one.ack for one in kept if one.key == back and one.flags & ACK],
            default=first,
        )
        data = [one for one in found if one.key == key and one.payload]
        missing[name] = joined(
            [
                (one.seq - first, len(one.payload))
                for one in data
                if one not in kept and one.seq + len(one.payload) <= reach
            ]
        )
    return missing


def joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for offset, length in ranges:
        if found and sum(found[-1]) == offset:
            found[-1] = found[-1][0], found[-1][1] + length
        else:
            found.append((offset, length))
    return found


def certain(connection: model.Connection, *, placed: bool) -> Counter[tuple[object, ...]]:
    """Return the certain findings, except the one that says that bytes are missing."""
    return Counter(
        (one.rule, one.side, one.offset if placed else 0)
        for one in connection.findings
        if one.certainty == "certain" and one.rule != "TCP906"
    )


def elsewhere(found: list[Segment]) -> list[Segment]:
    """Return the same session three times from other ports, so that its path is recorded."""
    here = CLIENT_PORT.to_bytes(2, "big")
    ports = (number.to_bytes(2, "big") for number in (50_001, 50_002, 50_003))
    return [one._replace(key=one.key.replace(here, port)) for port in ports for one in found]


def wrong(
    found: list[Segment], lost: tuple[int, ...], whole: model.Connection, before: Sequence[Segment] = ()
) -> list[str]:
    """Return what is wrong or missing in the report of a capture without the frames ``lost``."""
    kept = [one for at, one in enumerate(found) if at not in lost]
    reported = [one for one in connections([*before, *kept]) if one.client.port == CLIENT_PORT]
    if not reported:
        return [] if not any(one.payload for one in kept) else ["no connection"]
    (connection,) = reported
    missing = lacking(found, lost)
    placed = None not in missing.values()
    said = []
    new = certain(connection, placed=placed) - certain(whole, placed=placed)
    if new:
        said.append(f"certain: {sorted(new)}")
    fins = {one.key for at, one in enumerate(found) if at in lost and one.flags & FIN}
    for side, key in (("client", found[0].key), ("server", found[1].key)):
        want = missing[side]
        if want is None:
            continue
        have = joined(sorted((gap.offset, gap.length) for gap in connection.gaps if gap.side == side))
        if have != want and not (key in fins and want and have == [*want[:-1], (want[-1][0], want[-1][1] + 1)]):
            said.append(f"gaps of the {side}: {have}, in truth {want}")
    return said


@pytest.mark.slow
@pytest.mark.parametrize("lazy", [False, True], ids=["each acknowledged", "acknowledged with data"])
@pytest.mark.parametrize("name", DIALOGUES)
def test_a_lost_frame_makes_no_finding_certain_and_is_reported_if_it_can_be_detected(name: str, lazy: bool) -> None:
    found = sent(name, lazy=lazy)
    (whole,) = connections(found)
    assert whole.gaps == []
    failed = {}
    for count in (1, 2):
        for lost in combinations(range(len(found)), count):
            said = wrong(found, lost, whole)
            if said:
                failed[lost] = said
    assert failed == {}


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_lost_frame_makes_no_finding_certain_on_a_recorded_path(name: str) -> None:
    found = sent(name, lazy=False)
    before = elsewhere(found)
    (whole,) = connections(found)
    failed = {lost: said for lost in range(len(found)) if (said := wrong(found, (lost,), whole, before))}
    assert failed == {}


@pytest.mark.slow
@pytest.mark.parametrize("lazy", [False, True], ids=["each acknowledged", "acknowledged with data"])
@pytest.mark.parametrize("name", DIALOGUES)
def test_two_lost_frames_make_no_finding_certain(name: str, lazy: bool) -> None:
    found = sent(name, lazy=lazy)
    (whole,) = connections(found)
    choice = random.Random(name)
    failed = {}
    for _ in range(150):
        lost = tuple(choice.sample(range(len(found)), choice.choice([3, 3, 3, 4, 6])))
        said = [one for one in wrong(found, lost, whole) if one.startswith("certain")]
        if said:
            failed[lost] = said
    assert failed == {}

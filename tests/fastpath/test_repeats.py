"""Every dialogue that the project knows, played again and again: what is learned changes no report."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from examples import DecryptingTracker, Player, unfolded
from hypothesis import given, settings
from hypothesis import strategies as st
from readback import read
from repeats import MINUTE, SECOND, again, compared, dialogue, played
from scripts import GREETING, MESSAGE, Segment, envelope, hello, lines, segments

from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.rules import RULES, example_ids, example_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts import Script

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIMES = 5
VECTORS = [
    json.loads(line)
    for name in ("vectors.jsonl", "vectors_security.jsonl")
    for line in (HERE.parent / "rules" / name).read_text("ascii").splitlines()
]
SHARED = ROOT / ".." / "shared"
CAPTURES = sorted(path for path in (SHARED / "captures").rglob("*") if path.suffix in {".pcap", ".pcapng", ".cap"})
MOST_SEGMENTS = 3000  # of a capture that is played


def end(script: Sequence[tuple[str, bytes | str]]) -> Script:
    """Closed by both sides, where nothing says how it ends."""
    return script if script and script[-1][0][0] in "FR" else [*script, ("FC", ""), ("FS", "")]


def of_vector(vector: dict[str, Any]) -> Script:
    return [(who, text) for who, text in vector["script"]]


def of_example(script: Iterable[str], port: int) -> list[Segment]:
    """The segments of an example of a rule; empty where it takes a listener who decrypts."""
    entries = [line for entry in script for line in unfolded(entry)]
    if "TLS" in entries:
        return []
    sent: list[Segment] = []
    recorder = DecryptingTracker(RuleBook((), DEFAULT_LIMITS))
    recorder.segment = lambda *fields: sent.append(Segment(*fields))
    Player(recorder, port).play(entries)
    return sent


def over_and_over(sent: Sequence[Segment]) -> list[Segment]:
    return [one for number in range(TIMES) for one in again(sent, number)]


# -- all that there is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_every_vector(vector: dict[str, Any]) -> None:
    port = vector.get("port", 25)
    roads = {"onesided": vector.get("onesided", False), "midstream": vector.get("midstream", False)}
    for script in (of_vector(vector), end(of_vector(vector))):
        sent = segments(script, port=port, **roads)
        compared(over_and_over(sent), profile=vector.get("profile"))


@pytest.mark.slow
@pytest.mark.parametrize("rule_id", sorted(example_ids()))
def test_every_example_of_a_rule(rule_id: str) -> None:
    example = example_of(rule_id)
    assert example is not None
    for script in (example.fires, example.silent):
        for closing in ((), ("FC", "FS"), ("FS", "FC"), ("RC",)):
            compared(over_and_over(of_example([*script, *closing], example.port)), profile=example.profile)


@pytest.mark.parametrize("path", sorted((ROOT / "samples").glob("*.pcap")), ids=lambda path: path.stem)
def test_every_sample(path: Path) -> None:
    compared(over_and_over([Segment(*one) for one in read(path).segments]))


@pytest.mark.skipif(not CAPTURES, reason="the captures are not here")
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_captures_of_others(path: Path) -> None:
    sent = [Segment(*one) for one in read(path).segments]
    compared(over_and_over(sent[:MOST_SEGMENTS]))


def test_many_of_them_are_told_from_others() -> None:
    """Else the tests above would prove nothing."""
    found = sum(
        bool(compared(over_and_over(segments(end(of_vector(v)), port=v.get("port", 25)))).found) for v in VECTORS[::3]
    )
    assert found > len(VECTORS) // 9


# -- what varies -------------------------------------------------------------------------------------------------------

MAILBOXES = (
    *("bob@x.example", "alice.b+c@Sub.X-Y.example", "a" * 60 + "@x.example", "a" * 61 + "@x.example"),
    *("a" * 65 + "@x.example", "a@" + "d" * 63 + ".example", "a@" + "d" * 64 + ".example", "a@localhost"),
    *(
        '"q s"@x.example',
        "j\xf6@x.example",
        "postmaster@x.example",
        "decode@x.example",
        "a%b@x.example",
        "a!b@c.example",
    ),
    *(
        "AUTH@x.example",
        "a@[192.0.2.1]",
        "a@x_y.example",
        "a@1.2.3.4",
        "-a@x.example",
        "root@-x.example",
        "a@x.example.",
    ),
)
TEXTS = (
    *("ok", "", " ", "2.0.0 ok", "2.1.5 ok", "5.0.0 no", "4.1 x", "2.1", "2.0.0", "2.0.0\t", "2.10.1000 x", "250 ok"),
    *("x" * 399, "x" * 400, "x" * 401, "x" * 506, "x" * 507, "a\tb", "caf\xe9", "a\0b", "a\rb", "<bob@x.example> ok"),
    *("secret", "2.1.5  two", "0.0.0 x", "3.0.0 x", "421 x"),
)
NAMES = ("x.example", "X.EXAMPLE", "[192.0.2.1]", "localhost", "h_x.example", "a" * 64 + ".example", "..", "1.2.3.4")
SIZES = (0, 1, 999, 1000, 1001, 9_999_999, 10_000_000, 10**12)
BODIES = ("hello", "x" * 998, "x" * 999, "x" * 3000, "..x", ".x", "\xff", "a\nb", "\0", "q\r\n" * 400)
PAUSES = tuple(tenths * SECOND // 10 for tenths in (0, 0, 9, 10, 11, 1790, 1800, 1810, 3100))

ADDRESS = re.compile(r"(?<=FROM:<|. TO:<)[^>]*@[^>]*(?=>)")


@st.composite
def dialogues(draw: st.DrawFn) -> list[tuple[str, str]]:
    """A dialogue with a hello, mail in one of its forms, and an end."""
    keywords = draw(st.lists(st.sampled_from(["PIPELINING", "SIZE 1000", "8BITMIME", "STARTTLS", "DSN"]), unique=True))
    size = draw(st.sampled_from(["", " SIZE=100"]))
    commands = [f"MAIL FROM:<a@client.example>{size}", "RCPT TO:<b@mx.example>", "RCPT TO:<c@mx.example>", "DATA"]
    codes = draw(
        st.sampled_from([("250", "250", "250", "354"), ("250", "550", "250", "354"), ("550", "503", "503", "503")])
    )
    status = draw(st.sampled_from(["", "2.1.0 "]))
    replies = [f"{code} {status if code == '250' else ''}ok\r\n" for code in codes]
    script = [(who, str(text)) for who, text in hello(*keywords)]
    if draw(st.booleans()):
        script += [("C", "".join(line + "\r\n" for line in commands)), ("S", "".join(replies))]
    else:
        script += [
            one for pair in zip(commands, replies, strict=True) for one in (("C", pair[0] + "\r\n"), ("S", pair[1]))
        ]
    if codes[-1] == "354":
        rest = draw(st.sampled_from(["", "QUIT\r\n"]))
        script += [("C", MESSAGE + ".\r\n" + rest), ("S", f"250 {status}queued\r\n" + ("221 bye\r\n" if rest else ""))]
        script += [] if rest else [("C", "QUIT\r\n"), ("S", "221 bye\r\n")]
    ends = [("FC", "FS"), ("FS", "FC"), ("RS",), ("RC",), ("FC", "RS"), ("FS", "RC")]
    return script + [(who, "") for who in draw(st.sampled_from(ends))]


def varied(draw: st.DrawFn, script: Script) -> Script:
    """``script`` with other names and texts at some places."""
    changed = []
    for who, text in script:
        told = str(text)
        if who == "C" and draw(st.integers(0, 3)) == 0:
            told = ADDRESS.sub(lambda _: draw(st.sampled_from(MAILBOXES)), told)
            told = re.sub(r"SIZE=\d+", lambda _: f"SIZE={draw(st.sampled_from(SIZES))}", told)
            told = re.sub(r"(?<=EHLO ).*(?=\r)", lambda _: draw(st.sampled_from(NAMES)), told)
            told = told.replace("\r\nhello\r\n", f"\r\n{draw(st.sampled_from(BODIES))}\r\n")
        elif who == "S" and draw(st.integers(0, 3)) == 0:
            told = re.sub(r"(?m)^(\d\d\d ).*(?=\r$)", lambda m: m[1] + draw(st.sampled_from(TEXTS)), told)
        changed.append((who, told))
    return changed


def disturbed(draw: st.DrawFn, sent: list[Segment]) -> list[Segment]:
    """One thing that happens to segments on their way, or while they are captured."""
    at = draw(st.integers(3, len(sent) - 1))
    one = sent[at]
    what = draw(st.sampled_from(["no", "no", "lost", "late", "twice", "divided", "cut", "rewritten", "over"]))
    part = len(one.payload) // 2
    if what == "lost":
        return sent[:at] + sent[at + 1 :]
    if what == "late":
        return sent[:at] + sent[at + 1 : at + 2] + [one] + sent[at + 2 :]
    if what == "twice":
        return [*sent[: at + 1], *sent[at:]]
    if what == "divided" and part:
        pieces = one._replace(payload=one.payload[:part]), one._replace(payload=one.payload[part:], seq=one.seq + part)
        return [*sent[:at], *pieces, *sent[at + 1 :]]
    if what == "cut" and part:
        cut = one._replace(payload=one.payload[:part], missing=len(one.payload) - part)
        return [*sent[:at], cut, *sent[at + 1 :]]
    if what == "rewritten" and part:
        return [*sent[: at + 1], one._replace(payload=b"#" + one.payload[1:]), *sent[at + 1 :]]
    return sent[:at] if what == "over" else sent


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_whatever_varies(data: st.DataObject) -> None:
    draw: Any = data.draw
    script = draw(dialogues())
    port = draw(st.sampled_from([25, 25, 587, 24]))
    count = len(segments(script, port=port))
    common = {draw(st.integers(0, count - 1)): draw(st.sampled_from(PAUSES))}
    sent = [*dialogue(script, 0, common, port), *dialogue(script, 1, common, port)]
    for number in range(2, 6):
        pauses = dict(common)
        pauses[draw(st.integers(0, count - 1))] = draw(st.sampled_from(PAUSES))
        sent += disturbed(draw, dialogue(varied(draw, script), number, pauses, port))
    compared(sent)


# -- what a finding says of its own connection -------------------------------------------------------------------------


FRAME = re.compile(r" frame [0-9]+")  # a message that names one stands for no other, whatever its rule


@cache
def telling() -> frozenset[str]:
    """Rules whose findings differ where only addresses and times do."""
    rules = set()
    scripts = [(segments(of_vector(v), port=v.get("port", 25)), v.get("profile")) for v in VECTORS]
    for example in filter(None, map(example_of, sorted(example_ids()))):
        scripts += [(of_example(script, example.port), example.profile) for script in (example.fires, example.silent)]
    for sent, profile in scripts:
        moved = [
            one._replace(
                key=one.key.replace(b"\xc0\0\2", b"\xc6\x33\x64"),
                frame=one.frame * 3,
                time_ns=one.time_ns + n * 210_000,
            )
            for n, one in enumerate(sent)
        ]
        here, there = (played(part, learn=False, profile=profile).connections for part in (sent, moved))
        for one, other in zip(here, there, strict=True):
            said = zip(one.findings, other.findings, strict=True)
            rules |= {a.rule for a, b in said if FRAME.sub("", a.message) != FRAME.sub("", b.message)}
    return frozenset(rules)


def test_rules_that_tell_of_one_connection_are_declared() -> None:
    assert {"EXT504", "SEC618", "SEC629"} <= telling()
    assert sorted(rule_id for rule_id in telling() if not RULES[rule_id].individual) == []


def test_a_finding_that_names_a_frame_is_told_of_none_but_its_own() -> None:
    """The same numbers of frames, as in two files of which a third is longer."""
    mail = lines("C MAIL FROM:<>", "S 250 ok", "C RCPT TO:<postmaster>", "S 450 later")
    script = [*hello(), *mail, *lines("C DATA", "S 503 no", "C QUIT", "S 221 bye")]
    first, second, third = (dialogue([*script, *lines("FC", "FS")], number) for number in range(3))
    second = [one._replace(frame=other.frame) for one, other in zip(second, first, strict=True)]
    reports = compared([*first, *second, *third])
    assert [" frame " in one.findings[0].message for one in reports.connections] == [True] * 3


def test_the_other_end_of_time() -> None:
    """Two hours lie between connections, then a day."""
    script = [
        ("S", GREETING),
        *hello()[1:],
        *envelope(),
        *lines("C RSET", "S 250 ok", "C QUIT", "S 221 bye", "FC", "FS"),
    ]
    sent = segments(script)
    reports = compared([one for number in range(4) for one in again(sent, number, apart_ns=24 * 60 * MINUTE)])
    assert reports.found == 2
